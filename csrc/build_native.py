"""
Builds ``websession.disk._native`` from the C files beside this one.

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
SOURCES = (
    "crc.c", "files.c", "ids.c", "mac.c", "operations.c", "rules.c",
    "scan.c", "slots.c", "sweep.c", "wipe.c",
)  # fmt: skip
HEADERS = ("ws_api.h", "ws_internal.h", "build_native.py")
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


POLYNOMIAL = 0xEDB88320  # of CRC-32, its lowest power in the highest bit


def crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc


def crc_tables() -> str:
    """The eight tables of a slice-by-eight CRC-32."""
    first = [crc_of_byte(byte) for byte in range(256)]
    tables = [first]
    for _ in range(7):
        tables.append([crc >> 8 ^ first[crc & 0xFF] for crc in tables[-1]])
    rows = ",\n".join(
        "{" + ",".join(f"0x{crc:08x}u" for crc in table) + "}"
        for table in tables
    )
    return f"static const uint32_t ws_crc_table[8][256] = {{\n{rows}}};\n"


def folding_constants() -> str:
    """
    What 16 bytes are multiplied by to be folded onto those `bits` later: for
    either half a power of x, modulo the polynomial, in 33 reflected bits.
    """
    lines = []
    for name, bits in (("FAR", 512), ("NEAR", 128)):
        for half, power in (("LOW", bits + 32), ("HIGH", bits - 32)):
            value = 0x80000000  # one
            for _ in range(power):
                value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
            lines.append(f"#define WS_CRC_{name}_{half} 0x{value << 1:09x}")
    return "\n".join(lines) + "\n"


def flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def make() -> FFI:
    """The cffi builder that setup.py names."""
    # Paths relative to the project, as setuptools wants them in an sdist.
    os.makedirs("build/generated", exist_ok=True)
    header = crc_tables() + folding_constants()
    table = Path("build/generated/crc_table.h")
    if not table.exists() or table.read_text() != header:
        table.write_text(header)
    compile_args = ["-O2", *WARNINGS]
    link_args = []
    if flag("WEBSESSION_SANITIZE"):
        # cffi's own glue does not pass -Wconversion, so -Werror stays here.
        compile_args += ["-g", "-fno-omit-frame-pointer", *SANITIZERS]
        link_args += SANITIZERS
    builder = FFI()
    builder.cdef((HERE / "ws_api.h").read_text())
    builder.set_source(
        "websession.disk._native",
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
