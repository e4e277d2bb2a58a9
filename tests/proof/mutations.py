"""
Are the checkers any good? Each mutation breaks the code in one place; the
tests that are meant to notice must fail.

    python tests/proof/mutations.py [NUMBER ...]

Needs the editable install of the environment that runs it, and a compiler.
Prints which test noticed; exits with 1 if none did.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent.parent
COPIED = ("src", "csrc", "tests", "pyproject.toml", "setup.py", "README.md")


class Mutation(NamedTuple):
    """What is broken, where, and who should notice."""

    what: str
    file: str
    old: str
    new: str
    tests: str


PY = "src/websession/_backend_py.py"
C = "csrc/session.c"
KILL, FAULT = "tests/proof/test_kill.py", "tests/proof/test_fault.py"
POWER = "tests/proof/test_power_loss.py"
ORDER = "tests/proof/test_linearizable.py"
MODEL, SOAK = "tests/proof/test_model.py", "tests/proof/test_soak.py"
FUZZ, SAFE = "tests/proof/test_fuzz.py", "tests/proof/test_security.py"
LIMIT = "tests/test_own_limit.py"
RECORD, HOSTILE = "tests/test_record.py", "tests/test_hostile_files.py"
AT_FORK, INHERITED = "tests/proof/test_fork.py", "tests/test_inherited.py"
GREENLETS, OPENING = "tests/test_greenlets.py", "tests/test_opening.py"
FORKED, UPDATING = "src/websession/_fork.py", "src/websession/updating.py"
LAYOUT = "src/websession/stores/layout.py"
ONE_FILE = "src/websession/stores/sessionfile.py"

MUTATIONS = [
    # Locking
    Mutation(
        "writers share the lock, in C",
        C,
        "    status = ws_file_lock(fd, LOCK_EX, timeout);\n"
        "    if (status != WS_OK)\n        goto done;\n    locked = 1;\n"
        "    status = look_locked(&slots, fd, path, name);\n"
        "    if (status != WS_OK)\n        goto done;\n    memcpy",
        "    status = ws_file_lock(fd, LOCK_SH, timeout);\n"
        "    if (status != WS_OK)\n        goto done;\n    locked = 1;\n"
        "    status = look_locked(&slots, fd, path, name);\n"
        "    if (status != WS_OK)\n        goto done;\n    memcpy",
        ORDER,
    ),
    Mutation(
        "writers share the lock, in Python",
        PY,
        "with File(path, os.O_RDWR, checked=False) as file:\n"
        "            file.lock(LOCK_EX, timeout)",
        "with File(path, os.O_RDWR, checked=False) as file:\n"
        "            file.lock(LOCK_SH, timeout)",
        ORDER,
    ),
    Mutation(
        "readers believe a torn slot, in C",
        C,
        "        if (status == WS_DAMAGED)\n"
        "            status = scan_locked(&slots, fd, name, timeout);\n",
        "",
        ORDER + " tests/test_concurrency.py",
    ),
    Mutation(
        "an older slot does for readers that meet a torn one, in Python",
        "src/websession/_slots.py",
        "            if not locked:\n                return found\n"
        "            continue",
        "            continue",
        ORDER + " tests/test_concurrency.py",
    ),
    Mutation(
        "no unlock before close",
        "src/websession/_files.py",
        "                    self._unlock(fd)",
        "                    pass",
        "tests/test_processes.py",
    ),
    Mutation(
        "the compare of compare-and-swap is left out, in C",
        C,
        "if (expected != NULL && memcmp(header, expected, WS_HEADER_LEN)"
        " != 0)",
        "if (expected != NULL && 0)",
        ORDER,
    ),
    Mutation(
        "the compare of compare-and-swap is left out, in Python",
        "src/websession/_rules.py",
        "if expected is not None and live[:HEADER_LENGTH] != expected:",
        "if False:",
        SOAK + " " + ORDER,
    ),
    # Slots
    Mutation(
        "the live slot is overwritten, in C",
        C,
        "if (ws_slot_size(slot) >= record_len && slot != apart_from)",
        "if (ws_slot_size(slot) >= record_len)",
        POWER,
    ),
    Mutation(
        "the live slot is overwritten, in Python",
        "src/websession/_rules.py",
        "        if slot_size(slot) >= length and slot != apart_from",
        "        if slot_size(slot) >= length",
        POWER,
    ),
    Mutation(
        "the live slot of a small session is overwritten, in Python",
        "src/websession/_rules.py",
        "return 1 if apart_from == 0 else 0",
        "return 0",
        RECORD,
    ),
    Mutation(
        "the oldest slot is live, in C",
        "csrc/slots.c",
        "             WS_SEQUENCE(headers[slot]) > WS_SEQUENCE(headers[best])",
        "             WS_SEQUENCE(headers[slot]) < WS_SEQUENCE(headers[best])",
        MODEL,
    ),
    Mutation(
        "the oldest slot is live, in Python",
        "src/websession/_slots.py",
        "        elif sequence > best:",
        "        elif best < 0:",
        MODEL,
    ),
    Mutation(
        "torn slots do not come first, in Python",
        "src/websession/_rules.py",
        "    if found.torn:",
        "    if False:",
        RECORD,
    ),
    Mutation(
        "lengths are not held against the slot, in C",
        "csrc/slots.c",
        "    if (header[3] != magic[3] || ws_record_len(header) > slot_size)",
        "    if (header[3] != magic[3])",
        FUZZ + " " + RECORD,
    ),
    Mutation(
        "a sequence number is left out, in C",
        C,
        "                          WS_SEQUENCE(slots.header) + 1,",
        "                          WS_SEQUENCE(slots.header) + 2,",
        FUZZ + "::test_parser_in_c",
    ),
    Mutation(
        "a new file is as short as its record, in C",
        C,
        "#define FIRST_LEN 1024",
        "#define FIRST_LEN 0",
        POWER,
    ),
    # CRC
    Mutation(
        "any CRC will do, in C",
        "csrc/slots.c",
        "    return crc == ws_get_u32(header + 4);",
        "    return 1;",
        POWER,
    ),
    Mutation(
        "any CRC will do, in Python",
        "src/websession/_slots.py",
        "    elif crc != crc32(raw[8:], crc32(name)) or not has_finite_times"
        "(raw):",
        "    elif not has_finite_times(raw):",
        RECORD,
    ),
    Mutation(
        "the CRC does not begin with the name, in C",
        "csrc/slots.c",
        "slots->name_crc = ws_crc32(0, (const uint8_t *)name, WS_NAME_LEN);",
        "slots->name_crc = 0;",
        RECORD,
    ),
    Mutation(
        "folding goes a lane too far, in C",
        "csrc/crc.c",
        "lanes[lane] = fold(lanes[lane - 1], near, lanes[lane]);",
        "lanes[lane] = fold(lanes[lane - 1], far, lanes[lane]);",
        RECORD,
    ),
    # MAC
    Mutation(
        "any MAC will do",
        "src/websession/record.py",
        "        for older in self._older_states:",
        "        return True\n        for older in self._older_states:",
        SAFE + " " + HOSTILE,
    ),
    Mutation(
        "a record is verified once for all",
        "src/websession/stores/sessionfile.py",
        "        if raw is self.last:",
        "        if self.last:",
        HOSTILE + " tests/test_file_store.py",
    ),
    Mutation(
        "what another process has set is not looked at again",
        "src/websession/stores/sessionfile.py",
        "        self.origin = None\n        return raw",
        "        return raw",
        "tests/test_own_limit.py tests/test_file_store.py",
    ),
    Mutation(
        "what is known is compared by its header alone, in C",
        "csrc/slots.c",
        "                  memcmp(record, slots->known, len) == 0;",
        "                  memcmp(record, slots->known, 64) == 0;",
        RECORD,
    ),
    # Expiry
    Mutation(
        "a late store revives an expired session, in C",
        C,
        "    if (ws_record_expired(header, now, idle, lifetime))",
        "    if (0)",
        MODEL,
    ),
    Mutation(
        "a late store revives an expired session, in Python",
        "src/websession/_rules.py",
        "    if is_expired(created, stored, now, own or idle, lifetime):",
        "    if False:",
        MODEL,
    ),
    Mutation(
        "a session's own limit is not looked at, in C",
        "csrc/slots.c",
        "    if (WS_IDLE(header) > 0)",
        "    if (0)",
        MODEL,
    ),
    Mutation(
        "a session's own limit is not looked at, in Python",
        "src/websession/_rules.py",
        "own or idle, lifetime):",
        "idle, lifetime):",
        MODEL,
    ),
    Mutation(
        "a blind store takes another one's limit away, in C",
        C,
        "    if (expected == NULL && WS_IDLE(header) != WS_IDLE(record))",
        "    if (0)",
        LIMIT,
    ),
    Mutation(
        "the sweep goes by the limit of the application, in Python",
        "src/websession/_sweep_py.py",
        "own or self.idle",
        "self.idle",
        LIMIT,
    ),
    Mutation(
        "the lifetime is not looked at",
        "src/websession/session.py",
        "                self.maxLifetime and now - record.created > "
        "self.maxLifetime",
        "                False",
        MODEL,
    ),
    Mutation(
        "a clock that steps back takes the time with it",
        "src/websession/record.py",
        "return stored if 0 < stored - now <= CLOCK_SLACK else now",
        "return now",
        MODEL,
    ),
    Mutation(
        "the sweep goes by the modification time alone",
        "csrc/sweep.c",
        "        return ws_record_expired(header, s->now, s->idle, "
        "s->lifetime);",
        "        return 1;",
        MODEL + " tests/test_file_store.py",
    ),
    # Count
    Mutation(
        "one session too many",
        "src/websession/stores/ledger.py",
        "if limit and self.total >= limit:",
        "if limit and self.total > limit:",
        MODEL,
    ),
    Mutation(
        "an announced creation is not settled",
        "src/websession/stores/ledger.py",
        "        if kind == _CREATE and info is not None and _counts(info):",
        "        if False:",
        MODEL + " " + KILL,
    ),
    Mutation(
        "a removal is not announced",
        "src/websession/stores/ledger.py",
        "            self.save(kind, name)",
        "            self.save()",
        MODEL + " " + KILL,
    ),
    Mutation(
        "a wrong mark stays, in Python",
        "src/websession/_sweep_py.py",
        "            os.fchmod(opened.fd, 0o600)",
        "            pass",
        KILL,
    ),
    Mutation(
        "the mark comes after the record, in C",
        C,
        "    if ((WS_FLAGS(record) & WS_FLAG_SUPERSEDED) && "
        "fchmod(fd, 0700) < 0) {",
        "    if (0) {",
        KILL + " " + MODEL,
    ),
    # Deletion
    Mutation(
        "a deleted session can be written, in C",
        C,
        "    if (status == WS_OK && info.nlink != 1)\n"
        "        status = ws_file_named(AT_FDCWD, path, &info);\n"
        "    if (status != WS_OK)\n        return status;\n",
        "    if (status != WS_OK)\n        return status;\n",
        "tests/test_concurrency.py",
    ),
    Mutation(
        "a deleted session can be written, in Python",
        PY,
        "                info.st_nlink != 1 and not file.is_named(path)",
        "                False",
        "tests/test_concurrency.py",
    ),
    Mutation(
        "what failed after the old session went takes the new one as well",
        "src/websession/renewing.py",
        "            return self._store.read(session_id, self.now())"
        ".superseded\n        except InvalidSessionId:\n"
        "            return True",
        "            return self._store.read(session_id, self.now())"
        ".superseded\n        except InvalidSessionId:\n"
        "            return False",
        FAULT,
    ),
    Mutation(
        "a removal is not made durable",
        "src/websession/stores/sessionfile.py",
        "        if outcome == status.OK and tools.durability == 2:",
        "        if False:",
        POWER,
    ),
    # Faults
    Mutation(
        "writes are not synced, in C",
        C,
        "    if (durability > 0 && fdatasync(fd) < 0)",
        "    if (0)",
        POWER,
    ),
    Mutation(
        "half a key is a key",
        "src/websession/stores/safety.py",
        "            while left:\n",
        "            if left:\n",
        FAULT,
    ),
    Mutation(
        "descriptors stay open",
        "src/websession/_files.py",
        "                os.close(fd)\n",
        "                pass\n",
        SOAK + " " + FAULT,
    ),
    Mutation(
        "a fault in a read is an absent session",
        PY,
        "        _raise(outcome, name)\n        return None\n"
        "    except OSError as error:\n"
        "        status.fail(status.ERRNO, error.errno or 0, name)",
        "        _raise(outcome, name)\n        return None\n"
        "    except OSError as error:\n        return None",
        FAULT,
    ),
    Mutation(
        "all values of a cookie are looked at",
        "src/websession/web/cookie.py",
        "_MOST_VALUES = 4",
        "_MOST_VALUES = 400",
        FUZZ + " tests/test_cookie.py",
    ),
    # Forks and greenlets
    Mutation(
        "a child waits for imports that nobody will finish",
        FORKED,
        "    _forget_imports(me)\n",
        "",
        AT_FORK,
    ),
    Mutation(
        "a package that is imported anew is not told of what is in it",
        FORKED,
        'if each == name or each.startswith(name + "."):',
        "if each == name:",
        AT_FORK,
    ),
    Mutation(
        "a child takes its threads for those of its parent",
        FORKED,
        "        files._held.clear()\n",
        "",
        INHERITED,
    ),
    Mutation(
        "a child goes on with an operation of its parent's",
        FORKED,
        "            file.forsake()\n",
        "            pass\n",
        INHERITED,
    ),
    Mutation(
        "a forked child gives up its parent's lock",
        FORKED,
        "        locks._held.clear()\n",
        "        pass\n",
        INHERITED,
    ),
    Mutation(
        "a child takes a log-out for the expiry of another thread's",
        FORKED,
        '        getattr(_loaded("session"), "expiring", {}),\n',
        "",
        INHERITED,
    ),
    Mutation(
        "a child forgets what it is updating itself",
        FORKED,
        "[key for key in table if key[0] != me]",
        "list(table)",
        INHERITED,
    ),
    Mutation(
        "a child has the locks of other threads, over a mapping",
        "src/websession/stores/threadlocks.py",
        "            if owner.thread == me\n",
        "",
        INHERITED,
    ),
    Mutation(
        "a child has none of its own locks, over a mapping",
        "src/websession/stores/threadlocks.py",
        "            if owner.thread == me\n",
        "            if False\n",
        INHERITED,
    ),
    Mutation(
        "a child waits for another thread to leave a mapping",
        "src/websession/stores/mapping.py",
        '        """In a child, which has no thread but this one."""\n'
        "        self._lock = RLock()\n",
        "",
        INHERITED + " tests/test_mapping.py",
    ),
    Mutation(
        "a version is new only after the change, over a mapping",
        "src/websession/stores/mapping.py",
        "        version = self._number(session_id)\n"
        "        self._mapping[session_id] = (timestamp, data)\n"
        "        self._sync()\n        return version\n",
        "        self._mapping[session_id] = (timestamp, data)\n"
        "        return self._written(session_id)\n",
        INHERITED,
    ),
    Mutation(
        "a child waits for a thread that does not run there",
        "src/websession/cleanup.py",
        "        if self.is_alive():\n            self._stop_event.set()\n",
        "        self._stop_event.set()\n",
        INHERITED,
    ),
    Mutation(
        "one greenlet's update is another one's",
        UPDATING,
        "    return get_ident(), greenlet and greenlet.getcurrent()",
        "    return get_ident(), None",
        GREENLETS,
    ),
    Mutation(
        "greenlets update one object of a mapping at once",
        UPDATING,
        "                self._refuse_greenlets(session_id)\n",
        "                pass\n",
        GREENLETS,
    ),
    # A store that was made anew
    Mutation(
        "a process never looks whether its store was made anew",
        "src/websession/stores/file.py",
        "        self._layout.check_at_times()\n",
        "",
        OPENING,
    ),
    Mutation(
        "that a store was made anew is found out once",
        LAYOUT,
        "        now = time.monotonic()\n        marker = None\n",
        "        now = self._looked = time.monotonic()\n"
        "        marker = None\n",
        OPENING,
    ),
    Mutation(
        "a shard is made in a store that was made anew",
        LAYOUT,
        "        self.check()\n        make_directory(",
        "        make_directory(",
        OPENING,
    ),
    Mutation(
        "any store in the place is the one that was opened",
        LAYOUT,
        '        if marker[b"id"] != self.marker[b"id"]:\n',
        "        if False:\n",
        OPENING,
    ),
    Mutation(
        "a session of a store that was made anew is not authentic",
        ONE_FILE,
        "        if not tools.verifies(name, raw):\n"
        "            tools.layout.check()\n",
        "        if not tools.verifies(name, raw):\n",
        OPENING,
    ),
    Mutation(
        "a log-out from a store that was made anew says nothing",
        ONE_FILE,
        "        if outcome == status.ABSENT:\n"
        "            tools.layout.check()\n",
        "",
        OPENING,
    ),
    Mutation(
        "a process sweeps a store that was made anew",
        "src/websession/stores/file.py",
        '0 while another process sweeps."""\n        self._layout.check()\n',
        '0 while another process sweeps."""\n',
        OPENING,
    ),
]


def mutated(text, mutation):
    """The text with the one place changed."""
    found = text.count(mutation.old)
    if found != 1:
        raise ValueError(
            f"{mutation.what}: {found} places in {mutation.file} instead of 1"
        )
    return text.replace(mutation.old, mutation.new)


def compile_extension(place):
    """As an install does it, without one."""
    generated = "build/generated/_native.c"
    code = "import build_native; build_native.make().emit_c_code(%r)"
    subprocess.run(
        [sys.executable, "-c", code % generated],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place / "csrc")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    sources = [generated, *map(str, place.glob("csrc/*.c"))]
    includes = [sysconfig.get_path("include"), "csrc", "build/generated"]
    subprocess.run(
        [
            *("cc", "-O2", "-shared", "-fPIC"),
            *(f"-I{include}" for include in includes),
            *sources,
            *("-o", "src/websession/_native.abi3.so"),
        ],
        cwd=place,
        check=True,
    )


def noticed(mutation, place):
    """The name of the first test that fails; None: none does."""
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, place / name, ignore=ignored)
        else:
            shutil.copy(source, place / name)
    file = place / mutation.file
    file.write_text(mutated(file.read_text(), mutation))
    environment = {
        **os.environ,
        "PYTHONPATH": str(place / "src"),
        "WEBSESSION_MUTATED": "1",
    }
    if mutation.file.startswith("csrc"):
        compile_extension(place)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "--no-header"),
            *("-p", "no:cacheprovider", "--tb=no"),
            *mutation.tests.split(),
        ],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else None


def main(numbers):
    missed = 0
    for number, mutation in enumerate(MUTATIONS):
        if numbers and number not in numbers:
            continue
        with tempfile.TemporaryDirectory() as place:
            by = noticed(mutation, Path(place))
        missed += by is None
        print(f"{number:2} {mutation.what}: {by or 'NOT NOTICED'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]]))
