"""
Builds ``websession._native`` from the C files beside this one.

Run by setuptools through ``cffi_modules`` in setup.py. Two environment
variables matter here:

* ``WEBSESSION_REQUIRE_EXTENSION=1``: a failed compile is an error. Without it
  the package is installed in pure Python, which works, but slower.
* ``WEBSESSION_SANITIZE=1``: compile with AddressSanitizer and
  UndefinedBehaviorSanitizer, and treat warnings as errors.
"""

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = ("bytes.c", "files.c", "ids.c", "session.c", "slots.c", "sweep.c")
HEADERS = ("ws_api.h", "ws_internal.h", "build_native.py")
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def crc_tables() -> str:
    """The eight tables of a slice-by-eight CRC-32 (reflected 0xEDB88320)."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
        first.append(byte)
    tables = [first]
    for _ in range(7):
        tables.append([crc >> 8 ^ first[crc & 0xFF] for crc in tables[-1]])
    rows = ",\n".join(
        "{" + ",".join(f"0x{crc:08x}u" for crc in table) + "}"
        for table in tables
    )
    return f"static const uint32_t ws_crc_table[8][256] = {{\n{rows}}};\n"


def flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def make() -> FFI:
    """The cffi builder that setup.py names."""
    # Paths relative to the project, as setuptools wants them in an sdist.
    os.makedirs("build/generated", exist_ok=True)
    table = Path("build/generated/crc_table.h")
    if not table.exists() or table.read_text() != crc_tables():
        table.write_text(crc_tables())
    compile_args = ["-O2", *WARNINGS]
    link_args = []
    if flag("WEBSESSION_SANITIZE"):
        # cffi's own glue does not pass -Wconversion, so -Werror stays here.
        compile_args += ["-g", "-fno-omit-frame-pointer", *SANITIZERS]
        link_args += SANITIZERS
    builder = FFI()
    builder.cdef((HERE / "ws_api.h").read_text())
    builder.set_source(
        "websession._native",
        '#include <stddef.h>\n#include <stdint.h>\n#include "ws_api.h"\n',
        sources=[f"csrc/{name}" for name in SOURCES],
        include_dirs=["csrc", "build/generated"],
        depends=[f"csrc/{name}" for name in HEADERS],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        optional=not flag("WEBSESSION_REQUIRE_EXTENSION"),
        py_limited_api=True,
    )
    return builder
