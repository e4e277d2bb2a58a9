"""
Are the checkers any good? Each mutation breaks the code in one place; the
tests that are meant to notice must fail.

    python tests/proof/mutations.py [--list | NUMBER ...]

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


PY = "src/websession/disk/plain/operations.py"
ENGINE = "src/websession/engine.py"
C, RULES_C = "csrc/operations.c", "csrc/rules.c"
WIPE_C, WIPE_PY = "csrc/wipe.c", "src/websession/disk/plain/wipe.py"
KILL, FAULT = "tests/proof/test_kill.py", "tests/proof/test_fault.py"
POWER = "tests/proof/test_power_loss.py"
ORDER = "tests/proof/test_linearizable.py"
MODEL, SOAK = "tests/proof/test_model.py", "tests/proof/test_soak.py"
FUZZ, SAFE = "tests/proof/test_fuzz.py", "tests/proof/test_security.py"
MERGE = "tests/unit/test_merge.py"
LIMIT = "tests/session/test_own_limit.py"
RACES = "tests/processes/test_races.py"
SHOWN, DOCTOR = "tests/cli/test_terminal.py", "tests/cli/test_doctor.py"
STOP, DISK = "tests/proof/test_stop.py", "tests/disk/test_disk.py"
CLEANUP = "tests/disk/test_cleanup.py"
MOVING = "tests/session/test_moving.py"
CARRY = "src/websession/stores/transit.py"
SOURCE = "src/websession/legacy/source.py"
TRANSFER = "src/websession/admin/copy.py"
DICT, SESSION = "tests/web/test_web_dict.py", "tests/web/test_session.py"
FOR_WEB = "tests/session/test_for_web.py"
OPTIONS = "tests/frameworks/test_options.py"
IN_USE = "tests/disk/test_limits_in_use.py"
SCAN = "tests/disk/test_scan.py"
REPLACE = "tests/unit/test_replace.py"
PLAIN = "tests/unit/test_plain_pickle.py"
WSGI, ASGI = "tests/web/test_wsgi.py", "tests/frameworks/test_asgi.py"
RECORD = "tests/unit/test_record.py"
HOSTILE = "tests/disk/test_hostile_files.py"
AT_FORK = "tests/proof/test_fork.py"
INHERITED = "tests/processes/test_inherited.py"
GREENLETS = "tests/processes/test_greenlets.py"
OPENING = "tests/disk/test_opening.py"
FORKED, UPDATING = "src/websession/_fork.py", "src/websession/updating.py"
LAYOUT = "src/websession/disk/root.py"

RENEW = "tests/session/test_renewing.py"
MOVING_ON = "tests/frameworks/test_moving_on.py"
PARTITIONED = "tests/frameworks/test_partitioned.py"
LIFETIMES = "tests/frameworks/test_lifetimes.py"
DJANGO = "tests/frameworks/test_django.py"
BOTTLE = "tests/frameworks/test_bottle.py"

MUTATIONS = [
    # Locking
    Mutation(
        "writers share the lock, in C",
        "csrc/files.c",
        "    status = ws_file_lock(*fd, LOCK_EX, timeout);",
        "    status = ws_file_lock(*fd, LOCK_SH, timeout);",
        ORDER,
    ),
    Mutation(
        "writers share the lock, in Python",
        PY,
        "    file.lock(LOCK_EX, timeout)\n    info = file.check()\n    if",
        "    file.lock(LOCK_SH, timeout)\n    info = file.check()\n    if",
        ORDER,
    ),
    Mutation(
        "what is forged gets other data, in C",
        C,
        "    if (!slots->same && !ws_mac_verifies",
        "    if (0 && !ws_mac_verifies",
        REPLACE,
    ),
    Mutation(
        "what is forged gets other data, in Python",
        PY,
        "if live is not known and not keys.verifies(name, live):",
        "if live is None:",
        REPLACE,
    ),
    Mutation(
        "whatever is live gets other data, in C",
        C,
        "        status = ws_may_follow(&slots, out,",
        "        status = 0 * ws_may_follow(&slots, out,",
        REPLACE,
    ),
    Mutation(
        "whatever is live gets other data, in Python",
        PY,
        "                live, record, live[VERSION], now, idle, lifetime\n"
        "            )\n",
        "                live, record, live[VERSION], now, idle, lifetime\n"
        "            ) * 0\n",
        REPLACE,
    ),
    Mutation(
        "who replaces the data of a large record hashes it under the lock",
        C,
        "    if (!WS_IN_PAGE(slots->live) ||",
        "    if (0 ||",
        REPLACE,
    ),
    Mutation(
        "env of another serializer is signed as if it were one's own, in C",
        C,
        "(WS_ENV_LEN(live) > 0 && live[WS_SERIALIZER_AT] != serializer)",
        "(0 && live[WS_SERIALIZER_AT] != serializer)",
        REPLACE,
    ),
    Mutation(
        "env of another serializer is signed as if it were one's own",
        PY,
        "            if env and number_of(live) != number:",
        "            if False:",
        REPLACE,
    ),
    Mutation(
        "env of another serializer is kept in what was read before",
        "src/websession/stores/records.py",
        "        if env and number_of(raw) != self._number:",
        "        if False:",
        "tests/disk/test_serializers_change.py",
    ),
    Mutation(
        "a record that ends beyond its file is whole, in Python",
        "src/websession/disk/plain/slots.py",
        "    if len(raw) < length:",
        "    if False:",
        REPLACE,
    ),
    Mutation(
        "half of a MAC is compared, in C",
        "csrc/mac.c",
        "        for (i = 0; i < WS_MAC_LEN; i++)\n            differs",
        "        for (i = 0; i < WS_MAC_LEN / 2; i++)\n            differs",
        REPLACE,
    ),
    Mutation(
        "only the first secret verifies, in C",
        "csrc/mac.c",
        "which < keys->count; which++",
        "which < 1; which++",
        REPLACE,
    ),
    Mutation(
        "a record of another store is authentic, in C",
        "csrc/mac.c",
        "    update(&mac, keys->store_id, sizeof keys->store_id);\n",
        "    update(&mac, initial, sizeof keys->store_id);\n",
        REPLACE,
    ),
    Mutation(
        "readers believe a torn slot, in C",
        C,
        "        if (status == WS_DAMAGED)\n"
        "            status = scan_locked(&slots, fd, name, timeout);\n",
        "",
        ORDER + " tests/processes/test_concurrency.py",
    ),
    Mutation(
        "an older slot does for readers that meet a torn one, in Python",
        "src/websession/disk/plain/slots.py",
        "            if not locked:\n                return found\n"
        "            continue",
        "            continue",
        ORDER + " tests/processes/test_concurrency.py",
    ),
    Mutation(
        "no unlock before close",
        "src/websession/disk/plain/files.py",
        "                    self._unlock(fd)",
        "                    pass",
        "tests/processes/test_processes.py",
    ),
    Mutation(
        "the compare of compare-and-swap is left out, in C",
        RULES_C,
        "if (expected != NULL && memcmp(header, expected, WS_HEADER_LEN)"
        " != 0)",
        "if (expected != NULL && 0)",
        ORDER,
    ),
    Mutation(
        "the compare of compare-and-swap is left out, in Python",
        ENGINE,
        "if expected is not None and live[VERSION] != expected:",
        "if False:",
        SOAK + " " + ORDER,
    ),
    # Slots
    Mutation(
        "the live slot is overwritten, in C",
        RULES_C,
        "if (ws_slot_size(slot) >= record_len && slot != apart_from)",
        "if (ws_slot_size(slot) >= record_len)",
        POWER,
    ),
    Mutation(
        "the live slot is overwritten, in Python",
        "src/websession/disk/plain/rules.py",
        "        if slot_size(slot) >= length and slot != apart_from",
        "        if slot_size(slot) >= length",
        POWER,
    ),
    Mutation(
        "the live slot of a small session is overwritten, in Python",
        "src/websession/disk/plain/rules.py",
        "return 1 if apart_from == 0 else 0",
        "return 0",
        RECORD,
    ),
    Mutation(
        "the oldest slot is live, in C",
        "csrc/slots.c",
        "(best < 0 || WS_SEQUENCE(slots->headers[slot]) >",
        "(best < 0 || WS_SEQUENCE(slots->headers[slot]) <",
        MODEL,
    ),
    Mutation(
        "the oldest slot is live, in Python",
        "src/websession/disk/plain/slots.py",
        "        elif sequence > best:",
        "        elif best < 0:",
        MODEL,
    ),
    Mutation(
        "lengths are not held against the slot, in C",
        "csrc/slots.c",
        "    if (header[WS_FORMAT_AT] != magic[WS_FORMAT_AT] ||\n"
        "        ws_record_len(header) > slot_size)",
        "    if (header[WS_FORMAT_AT] != magic[WS_FORMAT_AT])",
        FUZZ + " " + RECORD,
    ),
    Mutation(
        "a sequence number is left out, in C",
        C,
        "                        WS_SEQUENCE(slots->header) + 1,",
        "                        WS_SEQUENCE(slots->header) + 2,",
        FUZZ + "::test_parser_in_c",
    ),
    Mutation(
        "a new file is as short as its record, in C",
        C,
        "#define FIRST_LEN 1024",
        "#define FIRST_LEN 0",
        POWER,
    ),
    Mutation(
        "a torn slot is not healed, in C",
        WIPE_C,
        "len > WS_HEADER_LEN || slots->kinds[slot] == WS_TORN",
        "len > WS_HEADER_LEN && slots->kinds[slot] != WS_TORN",
        RECORD,
    ),
    Mutation(
        "a torn slot is not healed, in Python",
        WIPE_PY,
        "    for slot in found.torn:",
        "    for slot in ():",
        RECORD,
    ),
    Mutation(
        "a torn slot is healed with the number 0",
        WIPE_PY,
        "before = max(0, sequence_of(found.raw) - 1)",
        "before = 0",
        RECORD,
    ),
    Mutation(
        "a retired slot is empty",
        WIPE_PY,
        '    file.write_at(header.ljust(in_page, b"\\0"), start)\n',
        "    file.write_at(bytes(in_page), start)\n",
        RECORD,
    ),
    Mutation(
        "the CRC of a retired slot fits",
        WIPE_PY,
        "crc32(rest, crc32(name)) ^ 0xFFFFFFFF",
        "crc32(rest, crc32(name))",
        RECORD,
    ),
    Mutation(
        "old values stay in slots that no record reaches, in C",
        WIPE_C,
        "0, start, (size_t)in_page) <",
        "0, start, 0) <",
        RECORD,
    ),
    Mutation(
        "old values stay behind a shorter record, in C",
        C,
        "WS_IN_PAGE(target) ? ws_slot_size(target) : 0",
        "0",
        RECORD,
    ),
    Mutation(
        "old values stay behind a shorter large record, in Python",
        WIPE_PY,
        "        elif slot >= IN_PAGE and written > length:",
        "        elif False:",
        RECORD,
    ),
    Mutation(
        "the room of a large record is kept, in C",
        "csrc/files.c",
        "#ifdef FALLOC_FL_PUNCH_HOLE",
        "#if 0",
        RECORD,
    ),
    Mutation(
        "the room of a large record is kept, in Python",
        WIPE_PY,
        "        if not _punch(file.fd, page, last):",
        "        if True:",
        RECORD,
    ),
    # CRC
    Mutation(
        "any CRC will do, in C",
        "csrc/slots.c",
        "    return crc == ws_get_u32(header + WS_CRC_AT);",
        "    return 1;",
        POWER,
    ),
    Mutation(
        "any CRC will do, in Python",
        "src/websession/disk/plain/slots.py",
        "    elif crc != crc32(raw[AFTER_CRC:], crc32(name)) or not (",
        "    elif not (",
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
        "src/websession/keyring.py",
        "        for older in self._older_states:",
        "        return True\n        for older in self._older_states:",
        SAFE + " " + HOSTILE,
    ),
    Mutation(
        "a record is verified once for all, in C",
        C,
        "    if (keys != NULL && len > 0",
        "    if (keys != NULL && known_len == 0 && len > 0",
        REPLACE,
    ),
    Mutation(
        "a record is verified once for all, in Python",
        PY,
        "        and raw is not known\n",
        "        and not known\n",
        REPLACE,
    ),
    Mutation(
        "what another process has set is not looked at again",
        "src/websession/stores/records.py",
        "            self._recall.remember(known, raw)\n"
        "        created, stored",
        "            self._recall.remember(known, raw, known.seen[1])\n"
        "        created, stored",
        "tests/session/test_own_limit.py tests/disk/test_file_store.py",
    ),
    Mutation(
        "what is known is compared by its header alone, in C",
        "csrc/slots.c",
        "                  memcmp(record, slots->known, len) == 0;",
        "                  memcmp(record, slots->known, 64) == 0;",
        RECORD,
    ),
    # The file is still that session's
    Mutation(
        "a file that was deleted before it was locked is a session, in C",
        C,
        "    if (status == WS_OK && info.nlink == 0)\n"
        "        status = WS_EXISTS;\n",
        "",
        RACES,
    ),
    Mutation(
        "a file that was deleted before it was locked is a session, in Python",
        PY,
        "        if info.st_nlink == 0:",
        "        if False:",
        RACES,
    ),
    Mutation(
        "a file is deleted only without any link, in C",
        C,
        "info->nlink == 1 ?",
        "info->nlink != 0 ?",
        RACES,
    ),
    Mutation(
        "inodes of all devices are the same, in C",
        "csrc/files.c",
        "        (now.device != info->device || now.inode != info->inode))",
        "        now.inode != info->inode)",
        RACES,
    ),
    Mutation(
        "a file may be another user's, in C",
        "csrc/files.c",
        "    if (!S_ISREG(info->mode) || info->uid != geteuid())",
        "    if (!S_ISREG(info->mode))",
        RACES,
    ),
    Mutation(
        "programs inherit descriptors, in C",
        "csrc/files.c",
        "(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)",
        "(O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)",
        RACES,
    ),
    Mutation(
        "a lock is waited for without end, in C",
        "csrc/files.c",
        "            return WS_BUSY;",
        "            until = 0;",
        RACES,
    ),
    Mutation(
        "the creation time may change, in C",
        RULES_C,
        "WS_STORED_AT - WS_CREATED_AT) == 0",
        "with_env ? 0 : WS_STORED_AT - WS_CREATED_AT) == 0",
        RECORD,
    ),
    Mutation(
        "env is compared in the first page only, in C",
        RULES_C,
        "            memcmp(chunk, bytes, len) != 0)",
        "            0)",
        RECORD,
    ),
    # Expiry
    Mutation(
        "a late store revives an expired session, in C",
        RULES_C,
        "    if (ws_record_expired(header, now, idle, lifetime))",
        "    if (0)",
        MODEL,
    ),
    Mutation(
        "a late store revives an expired session, in Python",
        ENGINE,
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
        ENGINE,
        "own or idle, lifetime):",
        "idle, lifetime):",
        MODEL,
    ),
    Mutation(
        "a blind store takes another one's limit away, in C",
        RULES_C,
        "WS_IDLE(header) != WS_IDLE(record))",
        "0)",
        "tests/unit/test_rules.py",
    ),
    Mutation(
        "the sweep goes by the limit of the application, in Python",
        "src/websession/record.py",
        "now, own or idle, lifetime)\n",
        "now, idle, lifetime)\n",
        LIMIT,
    ),
    Mutation(
        "the lifetime is not looked at",
        "src/websession/session.py",
        "                self.maxLifetime and now - created > "
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
        MODEL + " tests/disk/test_file_store.py",
    ),
    Mutation(
        "a shorter limit of its own waits for the common one, in C",
        "csrc/sweep.c",
        "    if (info->st_mode & (WS_MODE_SUPERSEDED | WS_MODE_OWN_LIMIT))",
        "    if (info->st_mode & WS_MODE_SUPERSEDED)",
        LIMIT,
    ),
    Mutation(
        "a shorter limit of its own waits for the common one, in Python",
        "src/websession/disk/plain/sweep.py",
        "        if info.st_mode & (MODE_SUPERSEDED | MODE_OWN_LIMIT):",
        "        if info.st_mode & MODE_SUPERSEDED:",
        LIMIT,
    ),
    Mutation(
        "a limit that is set later is not marked, in C",
        C,
        "WS_IDLE(record) != idle_before)",
        "idle_before == 0 && WS_SEQUENCE(record) == 1)",
        LIMIT,
    ),
    Mutation(
        "a long limit is looked at by every sweep, in Python",
        "src/websession/disk/plain/sweep.py",
        "        if not self.own or 0 < self.limit <= self.own:",
        "        if not self.own:",
        LIMIT,
    ),
    # Sweeping
    Mutation(
        "a sweep shares its lock, in Python",
        "src/websession/disk/plain/sweep.py",
        "opened.lock(LOCK_EX, 0)",
        "opened.lock(1, 0)",
        CLEANUP,
    ),
    Mutation(
        "a sweep waits for locks, in C",
        "csrc/sweep.c",
        "file, O_RDONLY, 0, &info, &fd)",
        "file, O_RDONLY, 1, &info, &fd)",
        STOP,
    ),
    Mutation(
        "a sweep waits for locks, in Python",
        "src/websession/disk/plain/sweep.py",
        "opened.lock(LOCK_EX, 0)",
        "opened.lock(LOCK_EX, 1)",
        STOP,
    ),
    Mutation(
        "a sweep does not look at the name again, in C",
        "csrc/sweep.c",
        "        status = ws_file_named(s->dirfd, file, &info);\n",
        "",
        STOP,
    ),
    Mutation(
        "a sweep does not look at the name again, in Python",
        "src/websession/disk/plain/sweep.py",
        "                if not opened.is_named(file, self.dir_fd):",
        "                if False:",
        STOP,
    ),
    Mutation(
        "a sweep writes more names than it has room for, in C",
        "csrc/sweep.c",
        "    if (len > s->odd_left)\n        return;\n",
        "",
        CLEANUP,
    ),
    Mutation(
        "busy files are not counted, in C",
        "csrc/sweep.c",
        "        s->swept->busy++;\n",
        "",
        CLEANUP,
    ),
    Mutation(
        "busy sessions are not live, in C",
        "csrc/sweep.c",
        "    s->swept->live += counts;\n    if (status == WS_BUSY)\n",
        "    if (status != WS_BUSY)\n        s->swept->live += counts;\n"
        "    if (status == WS_BUSY)\n",
        CLEANUP,
    ),
    Mutation(
        "busy files are not counted, in Python",
        "src/websession/disk/plain/sweep.py",
        "                swept.busy += 1",
        "                pass",
        CLEANUP,
    ),
    Mutation(
        "everybody sweeps at once",
        "src/websession/disk/sweep.py",
        "            if error.status == engine.BUSY:\n"
        "                return False",
        "            if error.status == engine.BUSY:\n"
        "                return True",
        "tests/processes/test_processes.py",
    ),
    Mutation(
        "a slice goes on when its time is up",
        "src/websession/disk/sweep.py",
        "                or took >= self._budget\n",
        "",
        CLEANUP,
    ),
    Mutation(
        "a slice on a slow disk lasts as long as it takes",
        "src/websession/disk/sweep.py",
        "                or time.perf_counter() - started >= _PATIENCE * "
        "self._budget\n",
        "",
        CLEANUP,
    ),
    Mutation(
        "a sweep does not rest",
        "src/websession/disk/sweep.py",
        "_REST, _LONG_REST, _PART = 20, 100, 16",
        "_REST, _LONG_REST, _PART = 1, 100, 16",
        CLEANUP,
    ),
    Mutation(
        "every slice begins at the first shard",
        "src/websession/disk/sweep.py",
        "            note.shard = shard\n",
        "            note.shard = 0\n",
        CLEANUP,
    ),
    Mutation(
        "a full disk ends a sweep that cannot note where it was",
        "src/websession/disk/sweep.py",
        "            if error.errno not in NO_ROOM:\n",
        "            if True:\n",
        DISK,
    ),
    Mutation(
        "where a sweep was is lost if it cannot be noted",
        "src/websession/disk/sweep.py",
        "            self._unsaved = note, due\n",
        "            pass\n",
        DISK,
    ),
    # Count
    Mutation(
        "one session too many",
        "src/websession/disk/ledger.py",
        "if limit and self.total >= limit:",
        "if limit and self.total > limit:",
        MODEL,
    ),
    Mutation(
        "an announced creation is not settled",
        "src/websession/disk/ledger.py",
        "        if kind == _CREATE and info is not None and _counts(info):",
        "        if False:",
        MODEL + " " + KILL,
    ),
    Mutation(
        "a removal is not announced",
        "src/websession/disk/ledger.py",
        "        if not self._saves(kind, name):",
        "        if not self._saves(_NOTHING):",
        MODEL + " " + KILL,
    ),
    Mutation(
        "a wrong mark stays, in Python",
        "src/websession/disk/plain/sweep.py",
        "            wanted &= ~MODE_SUPERSEDED",
        "            pass",
        KILL,
    ),
    Mutation(
        "the mark comes after the record, in C",
        C,
        "    if (WS_FLAGS(record) & WS_FLAG_SUPERSEDED)\n        mode |=",
        "    if (0)\n        mode |=",
        KILL + " " + MODEL,
    ),
    Mutation(
        "a log-out needs room on the disk",
        "src/websession/disk/ledger.py",
        "            if error.errno not in NO_ROOM:\n",
        "            if True:\n",
        FAULT + " " + DISK,
    ),
    Mutation(
        "a removal that was not announced stays in the count",
        "src/websession/disk/ledger.py",
        "            self._settle(*self._unannounced)",
        "            pass",
        FAULT,
    ),
    Mutation(
        "what was settled is not written",
        "src/websession/disk/ledger.py",
        "        if self._changed:",
        "        if False:",
        "tests/disk/test_format.py",
    ),
    Mutation(
        "whoever knew no limit does not look again, in C",
        C,
        "look_again(counted, ws_file_release(fd, 1, status))",
        "ws_file_release(fd, 1, status)",
        STOP,
    ),
    Mutation(
        "whoever knew no limit does not look again, in Python",
        PY,
        "        _make(path, name, record, durability, timeout)\n"
        "        return _look_again(counted)\n",
        "        _make(path, name, record, durability, timeout)\n"
        "        return engine.OK\n",
        STOP,
    ),
    Mutation(
        "whoever deletes does not look for the count, in C",
        C,
        "    int status = look_for_count(counted);",
        "    int status = WS_OK;",
        KILL,
    ),
    Mutation(
        "whoever deletes does not look for the count, in Python",
        PY,
        "        _look_for_count(counted)\n"
        "        with File(path, os.O_RDONLY, checked=False) as file:",
        "        with File(path, os.O_RDONLY, checked=False) as file:",
        KILL,
    ),
    Mutation(
        "a superseded session does not look for the count again",
        "src/websession/disk/count.py",
        "        finally:\n            self._look_again(name)\n",
        "        finally:\n            pass\n",
        STOP,
    ),
    Mutation(
        "a creation is announced in a damaged count",
        "src/websession/disk/ledger.py",
        "        if self._good:\n            self._save(_CREATE, name)",
        "        if True:\n            self._save(_CREATE, name)",
        "tests/processes/test_concurrency.py",
    ),
    # Deletion
    Mutation(
        "a deleted session can be written, in C",
        C,
        "info->nlink == 1 ? WS_OK : ws_file_named(AT_FDCWD, path, info);",
        "WS_OK;",
        RACES,
    ),
    Mutation(
        "a deleted session can be written, in Python",
        PY,
        "(info.st_nlink != 1 and not file.is_named(path))",
        "False",
        RACES,
    ),
    Mutation(
        "a removal is not made durable",
        "src/websession/disk/engine.py",
        "        if outcome == OK and self._durability == 2:\n",
        "        if False:\n",
        POWER,
    ),
    # New IDs
    Mutation(
        "what failed after the old ID went takes the new one as well",
        "src/websession/regenerating.py",
        "superseded is None and not store.leads_to(session_id, new_id):\n",
        "superseded is None:\n",
        RENEW,
    ),
    Mutation(
        "whoever has superseded the old ID, the new one stays",
        "src/websession/stores/records.py",
        "        return successor_of(raw)[1] == handle(successor_id)",
        '        return successor_of(raw)[1] != b""',
        RENEW,
    ),
    Mutation(
        "the old ID of no grace goes before it leads anywhere",
        "src/websession/regenerating.py",
        "    limits = sessions._limits()\n    return",
        "    limits = sessions._limits()\n"
        "    if grace <= 0:\n"
        "        gone = sessions._store.delete(old_id, record.version)\n"
        "        return record.version if gone else None\n"
        "    return",
        RENEW,
    ),
    Mutation(
        "a function is not told what was stored meanwhile",
        "src/websession/regenerating.py",
        "            _take_over(sessions, new_id, record, func, idle)\n",
        "            pass\n",
        RENEW,
    ),
    Mutation(
        "a log-out under the old ID ends that alone, in C",
        C,
        "(info.mode & WS_MODE_SUPERSEDED))\n        status",
        "0)\n        status",
        RENEW,
    ),
    Mutation(
        "a log-out under the old ID ends that alone, in Python",
        PY,
        "if info.st_mode & MODE_SUPERSEDED and not marked:",
        "if False:",
        RENEW,
    ),
    Mutation(
        "a log-out under the old ID ends that alone, in a mapping",
        "src/websession/stores/mapping.py",
        "            for each in reversed(followed):\n"
        "                self._remove(each)\n",
        "",
        RENEW,
    ),
    Mutation(
        "a log-out begins with the old ID",
        "src/websession/stores/succession.py",
        "        header, successor = _look(engine, address)\n",
        "        header, successor = _look(engine, address)\n"
        "        if successor:\n"
        "            engine.remove(address, superseded=True)\n",
        RENEW,
    ),
    Mutation(
        "a log-out looks once whether a new ID has followed",
        "src/websession/stores/succession.py",
        "        outcome = engine.remove(address)\n",
        "        outcome = engine.remove(address, None, bool(followed))\n",
        RENEW,
    ),
    Mutation(
        "what is over ends its successor",
        "src/websession/session.py",
        "                if self._store.delete(session_id, version):",
        "                if self._store.delete(session_id):",
        RENEW,
    ),
    Mutation(
        "a snapshot outlives the successor of its successor",
        "src/websession/stores/succession.py",
        "        _, name = successor_of(found)\n",
        "        return steps\n",
        RENEW,
    ),
    Mutation(
        "a mark that a crash left ends the session before",
        "src/websession/stores/succession.py",
        "            return steps\n",
        "            return 0\n",
        RENEW,
    ),
    Mutation(
        "the old ID reads after a second new one",
        "src/websession/stores/records.py",
        "        if steps > 1 or not holds_data(raw):",
        "        if not holds_data(raw):",
        RENEW,
    ),
    Mutation(
        "the old ID reads after a second new one, in a mapping",
        "src/websession/stores/mapping.py",
        "                if steps > 1 or not env.readable:",
        "                if not env.readable:",
        RENEW,
    ),
    Mutation(
        "the data stays under the old ID",
        "src/websession/stores/records.py",
        "            _again(old, now, block, readable),\n",
        "            _again(old, now, block, True),\n",
        RENEW,
    ),
    Mutation(
        "the data stays under the old ID, in a mapping",
        "src/websession/stores/mapping.py",
        "timestamp, data if readable else None)",
        "timestamp, data)",
        RENEW,
    ),
    Mutation(
        "an atomic change is stored under the ID from before a log-in",
        "src/websession/web/contents.py",
        "        if self._renew is None:\n",
        "        if self._renew is None or not self._closed:\n",
        "tests/frameworks/test_new_ids.py " + RENEW,
    ),
    Mutation(
        "a late request takes the new cookie away",
        "src/websession/web/loading.py",
        "            except SessionRenewed as error:\n"
        "                renewed = error\n",
        "",
        RENEW,
    ),
    Mutation(
        "who asks for a readable grace last gets it",
        "src/websession/web/session.py",
        "            readable = readable and self._renew[1]",
        "            pass",
        RENEW,
    ),
    Mutation(
        "Flask refreshes the cookie of an old ID",
        "src/websession/flask.py",
        "        return None if self._read_only else self.id",
        "        return self._id",
        "tests/frameworks/test_flask.py",
    ),
    Mutation(
        "Django brings back what was deleted, under a new key",
        "src/websession/django.py",
        "            new_key = manager.sessions.regenerateSession(key)\n"
        "        except InvalidSessionId:\n",
        "            new_key = manager.sessions.regenerateSession(key)\n"
        "        except InvalidSessionId:\n            self.create()\n",
        "tests/frameworks/test_django.py",
    ),
    # Moving
    Mutation(
        "a killed mover's empty file is a session",
        "src/websession/disk/engine.py",
        "        if outcome == EXISTS and self.reap(address):\n",
        "        if False:\n",
        MOVING,
    ),
    Mutation(
        "an empty file is taken away from who is about to fill it",
        "src/websession/disk/sweep.py",
        "            file.lock(LOCK_EX, timeout)\n",
        "",
        MOVING,
    ),
    Mutation(
        "a session is removed where it was before it reads back",
        CARRY,
        "            self._make(found)\n            return False",
        "            self._make(found)\n            return True",
        MOVING,
    ),
    Mutation(
        "what is stored where it was meanwhile is removed",
        SOURCE,
        "self._read(name + _ASIDE) == version and _unlinked(aside)",
        "_unlinked(aside)",
        MOVING,
    ),
    Mutation(
        "what is to be removed stays in the reach of its application",
        SOURCE,
        "            with contextlib.suppress(FileNotFoundError):\n"
        "                os.rename(path, aside)\n"
        "            return self._read(name + _ASIDE) == version "
        "and _unlinked(aside)",
        "            return self._read(name) == version and _unlinked(path)",
        MOVING,
    ),
    Mutation(
        "a killed mover hides a session",
        SOURCE,
        "found = self._read(name) or self._read(name + _ASIDE)",
        "found = self._read(name)",
        MOVING,
    ),
    Mutation(
        "a log-out where it was is undone by a move",
        CARRY,
        "            target.delete(session_id)\n",
        "",
        MOVING,
    ),
    Mutation(
        "a log-out is undone by a move to there",
        CARRY,
        "            if self.seen:\n                raise\n",
        "",
        MOVING,
    ),
    Mutation(
        "two move a session at once",
        CARRY,
        '    with target.lock(session_id, _LOCK_PATIENCE, "moving it"):',
        "    if True:",
        MOVING,
    ),
    Mutation(
        "a log-out does not wait for who moves the session",
        "src/websession/legacy/moving.py",
        '        with self.lockSession(session_id, label="deleting it"):',
        "        if True:",
        MOVING,
    ),
    Mutation(
        "what was copied before is never replaced",
        CARRY,
        "        return found.stored > here.stored or (",
        "        return False or (",
        MOVING,
    ),
    Mutation(
        "the second of two states with one time is lost",
        CARRY,
        "found.stored == here.stored and self.copied is not _NOTHING",
        "False",
        MOVING,
    ),
    Mutation(
        "what has expired in the target by its own limit is not replaced",
        CARRY,
        "        if is_expired(here.created, here.stored, found.stored, "
        "here.idle, 0):",
        "        if False:",
        MOVING,
    ),
    Mutation(
        "what a crash left where it was lives on under the old ID",
        "src/websession/legacy/moving.py",
        "        self.move(session_id)\n        regenerate",
        "        regenerate",
        MOVING,
    ),
    Mutation(
        "what is moved by command is deleted before it is on the disk",
        "src/websession/cli/migrate.py",
        'durability="full" if options.move else "none"',
        'durability="none"',
        POWER,
    ),
    Mutation(
        "a failure tells the name of a file, which has the ID in it",
        SOURCE,
        "                error.errno, error.strerror, self._path\n"
        "            ) from None",
        "                error.errno, error.strerror, error.filename\n"
        "            ) from None",
        MOVING,
    ),
    Mutation(
        "what cannot be read where it was counts as not there",
        "src/websession/legacy/moving.py",
        "        if unreadable is not None:\n",
        "        if False:\n",
        MOVING_ON,
    ),
    Mutation(
        "the first source that fails ends the search",
        "src/websession/legacy/moving.py",
        "                unreadable = error\n                continue\n",
        "                unreadable = error\n                break\n",
        MOVING_ON,
    ),
    Mutation(
        "a closed directory counts as a file that may not be read",
        SOURCE,
        "error.errno in _OF_THE_FILE and os.path.lexists(path)",
        "error.errno in _OF_THE_FILE",
        "tests/frameworks/test_migration.py",
    ),
    Mutation(
        "cachelib's expiry is not looked at",
        "src/websession/legacy/sources.py",
        "        if until and until < time.time():",
        "        if False:",
        "tests/frameworks/test_migration.py",
    ),
    Mutation(
        "who names the live record cannot write its env anew, in C",
        RULES_C,
        "same_origin(slots, record, expected == NULL)",
        "same_origin(slots, record, 1)",
        RECORD,
    ),
    Mutation(
        "who names the live record cannot write its env anew, in Python",
        ENGINE,
        "    if expected is None and origin_of(record) != origin_of(live):",
        "    if origin_of(record)[1] != origin_of(live)[1] or (\n"
        "        expected is None and origin_of(record) != origin_of(live)\n"
        "    ):",
        RECORD,
    ),
    Mutation(
        "who names the live record may change its creation time, in C",
        RULES_C,
        "WS_STORED_AT - WS_CREATED_AT) == 0",
        "with_env ? WS_STORED_AT - WS_CREATED_AT : 0) == 0",
        RECORD,
    ),
    Mutation(
        "who names the live record may change its creation time, in Python",
        ENGINE,
        "    if live[CREATION] != record[CREATION]:",
        "    if expected is None and live[CREATION] != record[CREATION]:",
        RECORD,
    ),
    Mutation(
        "forgeries are signed by migrate",
        TRANSFER,
        "        if not source.layout.keyring.verifies(name, raw):",
        "        if False:",
        "tests/cli/test_migrate.py",
    ),
    Mutation(
        "a forgery in the target is one that is there already",
        TRANSFER,
        "            elif not self._target.layout.keyring.verifies(name, "
        "there):",
        "            elif False:",
        "tests/cli/test_migrate.py",
    ),
    Mutation(
        "forgeries are signed by rekey",
        TRANSFER,
        "        if not store.layout.keyring.verifies(name, raw):",
        "        if False:",
        "tests/cli/test_rekey.py",
    ),
    Mutation(
        "what is stored beside rekey is lost",
        "src/websession/admin/copy.py",
        "store.engine.address(name), draft, version_of(there),",
        "store.engine.address(name), draft, None,",
        "tests/cli/test_rekey.py",
    ),
    Mutation(
        "what has expired by its own limit is never signed nor replaced",
        TRANSFER,
        "        store.delete(name, version_of(there))\n",
        "        pass\n",
        "tests/cli/test_rekey.py",
    ),
    Mutation(
        "what is used meanwhile is deleted as old",
        "src/websession/admin/inspector.py",
        "        outcome = self.engine.remove(address, expected)",
        "        outcome = self.engine.remove(address)",
        "tests/cli/test_show.py",
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
        "src/websession/disk/private.py",
        "            while left:\n",
        "            if left:\n",
        FAULT,
    ),
    Mutation(
        "descriptors stay open",
        "src/websession/disk/plain/files.py",
        "                os.close(fd)\n",
        "                pass\n",
        SOAK + " " + FAULT,
    ),
    Mutation(
        "a fault in a read is an absent session",
        PY,
        "        _raise(outcome, name)\n        return None\n"
        "    except OSError as error:\n"
        "        engine.fail(engine.ERRNO, error.errno or 0, name)",
        "        _raise(outcome, name)\n        return None\n"
        "    except OSError as error:\n        return None",
        FAULT,
    ),
    Mutation(
        "a wait counts the sleeps that it asked for, in C",
        "csrc/files.c",
        "        if (timeout <= 0 || ws_clock() >= until)",
        "        if ((timeout -= (double)wait.tv_nsec / 1e9) <= 0)",
        FAULT,
    ),
    Mutation(
        "a wait counts the sleeps that it asked for, in Python",
        "src/websession/disk/plain/files.py",
        "if timeout <= 0 or interrupting or time.monotonic() >= until:",
        "if (timeout := timeout - wait) <= 0 or interrupting:",
        FAULT,
    ),
    Mutation(
        "without statx nothing works",
        "csrc/files.c",
        "    if (errno != ENOSYS && errno != EPERM)",
        "    if (errno != ENOSYS)",
        FAULT,
    ),
    Mutation(
        "a failed sync is a failed write, in C",
        C,
        "        return WS_UNSYNCED;\n    return WS_OK;",
        "        return WS_ERRNO;\n    return WS_OK;",
        FAULT,
    ),
    Mutation(
        "all values of a cookie are looked at",
        "src/websession/web/cookie.py",
        "_MOST_VALUES = 4",
        "_MOST_VALUES = 400",
        FUZZ + " tests/unit/test_cookie.py",
    ),
    # What is shown
    Mutation(
        "control characters of eight bits are printable",
        "src/websession/exceptions.py",
        "        if each.isprintable()\n",
        '        if each.isprintable() or "\\x80" <= each < "\\xa0"\n',
        SHOWN,
    ),
    Mutation(
        "commands print what comes",
        "src/websession/cli/output.py",
        'f"{styled}{printable(text)}\\n"',
        'f"{styled}{text}\\n"',
        SHOWN,
    ),
    Mutation(
        "complaints print what comes",
        "src/websession/cli/output.py",
        'sys.stderr.write(f"{printable(text)}\\n")',
        'sys.stderr.write(f"{text}\\n")',
        SHOWN,
    ),
    Mutation(
        "headings print what comes",
        "src/websession/cli/output.py",
        "_styled(printable(text), ",
        "_styled(text, ",
        SHOWN,
    ),
    Mutation(
        "wrong arguments are repeated as they are",
        "src/websession/cli/arguments.py",
        "super().error(printable(message))",
        "super().error(message)",
        SHOWN,
    ),
    Mutation(
        "JSON has NaN",
        "src/websession/cli/output.py",
        "json.dumps(value, allow_nan=False)",
        "json.dumps(value)",
        SHOWN,
    ),
    Mutation(
        "JSON is as the terminal takes it",
        "src/websession/cli/output.py",
        "json.dumps(value, allow_nan=False)",
        "json.dumps(value, allow_nan=False, ensure_ascii=False)",
        SHOWN,
    ),
    Mutation(
        "NaN in data is a number",
        "src/websession/cli/show.py",
        "isinstance(data, float) and isfinite(data)",
        "isinstance(data, float)",
        SHOWN,
    ),
    Mutation(
        "messages have paths as they are",
        "src/websession/disk/root.py",
        "self.shown = printable(os.fsdecode(self.root))",
        "self.shown = os.fsdecode(self.root)",
        "tests/disk/test_opening.py",
    ),
    Mutation(
        "a disk without a journal is as good as others",
        "src/websession/admin/doctor.py",
        'return file.read().strip() == "<none>"',
        "return False",
        DOCTOR,
    ),
    Mutation(
        "a trial does not wait for a process after one that failed",
        "src/websession/admin/probes.py",
        "statuses = [os.waitpid(child, 0)[1] for child in children]",
        "statuses = [any(os.waitpid(child, 0)[1] for child in children)]",
        DOCTOR,
    ),
    Mutation(
        "the holder of a lock is shown as it is",
        "src/websession/exceptions.py",
        "        holder = printable(holder)\n",
        "",
        "tests/session/test_websession.py",
    ),
    Mutation(
        "the holder of a lock is shown in any length",
        "src/websession/exceptions.py",
        "if len(holder) > _LONGEST_HOLDER",
        "if False",
        "tests/session/test_websession.py",
    ),
    Mutation(
        "the note of a lock's holder is of any length",
        "src/websession/disk/lock.py",
        "[:_LONGEST_LABEL]",
        "",
        "tests/processes/test_processes.py",
    ),
    Mutation(
        "a file is left when the first write fails, in C",
        C,
        "            (void)unlink(path);\n        errno = saved;",
        "            (void)path;\n        errno = saved;",
        DISK,
    ),
    Mutation(
        "a file is left when the first write fails, in Python",
        PY,
        "            if file.is_named(path):\n                os.unlink(path)",
        "            if file.is_named(path):\n                pass",
        DISK,
    ),
    Mutation(
        "key and marker are not synced",
        "src/websession/disk/private.py",
        "                left = left[os.write(fd, left) :]\n"
        "            os.fsync(fd)",
        "                left = left[os.write(fd, left) :]",
        POWER,
    ),
    Mutation(
        "the names of key and marker are not synced",
        "src/websession/disk/private.py",
        "    sync_directory(os.path.dirname(path))",
        "    pass",
        POWER,
    ),
    Mutation(
        "the name of a new session is not synced",
        "src/websession/disk/engine.py",
        "            sync_directory(self.layout.directory(name))\n"
        "        return outcome\n"
        "\n"
        "    def commit",
        "            pass\n        return outcome\n\n    def commit",
        POWER,
    ),
    Mutation(
        "the name of a new shard is not synced",
        "src/websession/disk/engine.py",
        "                sync_directory(self.layout.root)\n",
        "                pass\n",
        POWER,
    ),
    Mutation(
        "a list passes over what cannot be opened now",
        ENGINE,
        "UNREADABLE = (CorruptData, SessionBusy, UnsafeStore)",
        "UNREADABLE = (CorruptData, SessionStoreError)",
        DISK,
    ),
    Mutation(
        "a module that cannot be opened is no matter of the store's",
        "src/websession/disk/engine.py",
        "    @loud\n    def handles",
        "    def handles",
        DISK,
    ),
    # Merging
    Mutation(
        "a set that is written in another order is a change",
        "src/websession/web/merge.py",
        "        return _Comparison(dumps, loads).is_same(one, other)",
        "        return False",
        MERGE,
    ),
    Mutation(
        "true is one, in a merge",
        "src/websession/web/merge.py",
        "        if kind is not type(other):\n            return False\n",
        "",
        MERGE,
    ),
    Mutation(
        "two equal lists are one, in a merge",
        "src/websession/web/merge.py",
        "            return self._partners.get(id(one)) is other",
        "            return True",
        MERGE,
    ),
    Mutation(
        "zeros are equal, in a merge",
        "src/websession/web/merge.py",
        "_SIMPLE = frozenset({int, str,",
        "_SIMPLE = frozenset({int, float, str,",
        MERGE,
    ),
    Mutation(
        "what a set has more does not count, in a merge",
        "src/websession/web/merge.py",
        "        return len(one) == len(other) and compare(self, one, other)",
        "        return compare(self, one, other)",
        MERGE,
    ),
    Mutation(
        "an object is as it was only if it is written alike at once",
        "src/websession/web/merge.py",
        "written == wanted or self._again(written) == wanted",
        "written == wanted",
        MERGE,
    ),
    Mutation(
        "a session is new until it is used",
        "src/websession/web/session.py",
        "        self._use()\n        return self._is_new",
        "        return self._is_new",
        "tests/web/test_session.py",
    ),
    Mutation(
        "a session has not ended until it is used",
        "src/websession/web/session.py",
        "        self._use()\n        return self._ended",
        "        return self._ended",
        "tests/web/test_session.py",
    ),
    Mutation(
        "a body that is made later says no Vary",
        "src/websession/web/session.py",
        "return self.accessed or (not is_made and self._has_cookie)",
        "return self.accessed",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "every body is made before it is sent",
        "src/websession/web/body.py",
        "    return body is None or isinstance(",
        "    return True or isinstance(",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "what is written the old way says no Vary",
        "src/websession/wsgi.py",
        "            self._begin(False)",
        "            self._begin(True)",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "a stream of CherryPy says no Vary",
        "src/websession/cherrypy.py",
        "        if cherrypy.serving.response.stream:",
        "        if False:",
        "tests/frameworks/test_cherrypy.py",
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
        "src/websession/updating.py",
        "= self.updating, self.expiring\n",
        "= (self.updating,)\n",
        INHERITED,
    ),
    Mutation(
        "a child forgets what it is updating itself",
        "src/websession/updating.py",
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
        INHERITED + " tests/session/test_mapping.py",
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
        "src/websession/updating.py",
        "            _refuse_greenlets(_key(sessions, session_id))\n",
        "            pass\n",
        GREENLETS,
    ),
    # A store that was made anew
    Mutation(
        "a process never looks whether its store was made anew",
        "src/websession/disk/engine.py",
        "        self.layout.check_at_times()\n",
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
        "src/websession/disk/engine.py",
        "        else:\n            self.layout.check()\n        raise",
        "        raise",
        OPENING,
    ),
    Mutation(
        "a log-out from a store that was made anew says nothing",
        "src/websession/disk/engine.py",
        "        if outcome == ABSENT:\n"
        "            self.layout.check()\n"
        "        if outcome == OK",
        "        if outcome == OK",
        OPENING,
    ),
    Mutation(
        "a process sweeps a store that was made anew",
        "src/websession/disk/engine.py",
        '0 while another process sweeps."""\n        self.layout.check()\n',
        '0 while another process sweeps."""\n',
        OPENING,
    ),
    Mutation(
        "the ID is printed into the page of a script",
        "src/websession/cgi.py",
        "self._held is not None and self._held.has_blank_line()",
        "False",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "the ID is printed into the page of a script, the second time",
        "src/websession/cgi.py",
        "if self._has_begun or (",
        "if (",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "a script that was refused goes on printing",
        "src/websession/cgi.py",
        "    sys.stdout.flush()\n    sys.exit()",
        "    sys.stdout.flush()",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "what a script printed goes out before its session is stored",
        "src/websession/cgi.py",
        "        self._store()\n"
        "        self._has_begun = True\n"
        "        self._release()",
        "        self._release()\n"
        "        self._store()\n"
        "        self._has_begun = True",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "a child that was forked in a script stores the session",
        "src/websession/cgi.py",
        "is_ours = self._pid == os.getpid()",
        "is_ours = True",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "what a script has put in the place of the output is not looked at",
        "src/websession/cgi.py",
        "        _flush(sys.stdout)\n        _flush(self._text)\n        text",
        "        _flush(self._text)\n        text",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "two digits name a session that is to be deleted",
        "src/websession/cli/show.py",
        "_LEAST_DIGITS = 6",
        "_LEAST_DIGITS = 2",
        "tests/cli/test_show.py",
    ),
    Mutation(
        "the doctor calls a store without its key fit",
        "src/websession/admin/doctor.py",
        "layout.keyring  # noqa: B018  # is it there, the right one?",
        "pass",
        "tests/cli/test_doctor.py",
    ),
    Mutation(
        "the doctor calls a place fit where anybody can replace a new store",
        "src/websession/admin/doctor.py",
        "            check_above(path)\n",
        "            pass\n",
        "tests/cli/test_doctor.py",
    ),
    Mutation(
        "more is deleted than was asked for",
        "src/websession/cli/show.py",
        'count = _delete_old(store, before, options, "deleting"',
        "before = time.time() - options.older_than\n"
        '        count = _delete_old(store, before, options, "deleting"',
        "tests/cli/test_show.py",
    ),
    Mutation(
        "handles are deleted before one that is refused",
        "src/websession/cli/show.py",
        "    names = {_name(store, word) or word: word for word in words}\n"
        "    count = missing = 0\n"
        "    for name, word in names.items():\n",
        "    count = missing = 0\n"
        "    for word in words:\n"
        "        name = _name(store, word) or word\n",
        "tests/cli/test_show.py",
    ),
    Mutation(
        "the list leaves out in silence what it cannot read",
        "src/websession/admin/inspector.py",
        "                found = self.session_of(row)\n"
        "            except (CorruptData, SessionStoreError) as error:\n"
        "                left_out(error)\n",
        "                found = self.session_of(row)\n"
        "            except (CorruptData, SessionStoreError):\n",
        "tests/cli/test_list.py tests/cli/test_migrate.py",
    ),
    Mutation(
        "nobody says whose a file is that cannot be read",
        "src/websession/admin/inspector.py",
        "if info is None or info.st_uid == os.geteuid():",
        "if info is None or info.st_uid != 1:",
        "tests/cli/test_list.py",
    ),
    Mutation(
        "a terminal shows the source of the man page",
        "src/websession/cli/manpage.py",
        "    if is_terminal():\n",
        "    if False:\n",
        "tests/cli/test_command.py",
    ),
    Mutation(
        "what fails to set the man page is believed",
        "src/websession/cli/manpage.py",
        "        if done.returncode == 0:\n            page",
        "        if True:\n            page",
        "tests/cli/test_command.py",
    ),
    Mutation(
        "code in a guide is wrapped",
        "src/websession/cli/guide.py",
        "        elif is_code:\n",
        "        elif False:\n",
        "tests/cli/test_guide.py",
    ),
    Mutation(
        "a source of something else is as good as an empty one",
        "src/websession/cli/migrate.py",
        "    number = source.entries() if is_first else 0\n",
        "    number = 0\n",
        "tests/cli/test_migrate.py",
    ),
    Mutation(
        "info says all that it knows to whoever does not ask for it",
        "src/websession/cli/info.py",
        "        _print(store, census, options.all)\n",
        "        _print(store, census, True)\n",
        "tests/cli/test_info.py",
    ),
    Mutation(
        "an interruption does not say what was done",
        "src/websession/cli/output.py",
        "filter(None, (of, so_far()))",
        "filter(None, (of,))",
        "tests/cli/test_migrate.py tests/cli/test_rekey.py "
        "tests/cli/test_show.py",
    ),
    Mutation(
        "a script that failed stores its session",
        "src/websession/cgi.py",
        "if is_ours and (error is None or isinstance(error, SystemExit)):",
        "if True:",
        "tests/web/test_cgi.py",
    ),
    Mutation(
        "an exception keeps the lock, under WSGI",
        "src/websession/wsgi.py",
        "        except BaseException:\n"
        "            session._unlock()\n"
        "            raise\n"
        "        return answer.send(body)",
        "        except BaseException:\n"
        "            raise\n"
        "        return answer.send(body)",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "half a response keeps the lock, under WSGI",
        "src/websession/wsgi.py",
        "        finally:\n            self._answer.end()",
        "        finally:\n            pass",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "what cannot be stored keeps the lock, under WSGI",
        "src/websession/wsgi.py",
        "            session._commit(is_made)\n"
        "        finally:\n"
        "            session._unlock()",
        "            session._commit(is_made)\n"
        "        finally:\n"
        "            pass",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "what cannot be read keeps the lock",
        "src/websession/web/loading.py",
        "        except BaseException:\n"
        "            self._unlock()\n"
        "            raise",
        "        except BaseException:\n            raise",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "a session that could not be read is an empty one",
        "src/websession/web/loading.py",
        "            self._data = None\n            raise",
        "            raise",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "who is cancelled while he waits keeps the lock, under ASGI",
        "src/websession/web/aio.py",
        "        except BaseException:\n"
        "            self.release()\n"
        "            raise",
        "        except BaseException:\n            raise",
        "tests/frameworks/test_asgi.py",
    ),
    Mutation(
        "a change of a snapshot is dropped without a word",
        "src/websession/web/contents.py",
        "            if is_changed or self._renew is not None:\n"
        '                raise SessionRenewed(self._id or "")\n'
        "            return",
        "            return",
        "tests/web/test_session.py",
    ),
    Mutation(
        "IDs may have what ends a cookie",
        "src/websession/web/manager.py",
        "        check_id_chars(self.sessions.session_id_chars)\n",
        "",
        "tests/unit/test_cookie.py",
    ),
    Mutation(
        "a quotation mark may be in a cookie",
        "src/websession/web/cookie.py",
        "frozenset(' \",;\\\\')",
        "frozenset(' ,;\\\\')",
        "tests/unit/test_cookie.py",
    ),
    Mutation(
        "what is too large is a fault of the system's, in the middleware",
        "src/websession/web/refusal.py",
        "REFUSED = (MaxSessionCountExceeded, SessionTooLarge)",
        "REFUSED = (MaxSessionCountExceeded,)",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "what is too large may be tried again",
        "src/websession/web/refusal.py",
        "    if isinstance(error, SessionTooLarge):\n"
        "        return _TOO_LARGE\n",
        "",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "nobody is told which session is too large",
        "src/websession/web/contents.py",
        '            self._manager.emit("too-large", session_id, '
        "str(error))\n",
        "",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "what is too large on the loop is a fault of the system's",
        "src/websession/web/contents.py",
        "except (SessionBusy, InvalidSessionId, SessionTooLarge):",
        "except (SessionBusy, InvalidSessionId):",
        "tests/frameworks/test_asgi.py",
    ),
    Mutation(
        "the smallest keys are named",
        "src/websession/stores/sizes.py",
        "reverse=True",
        "reverse=False",
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "Django answers with 500 to what is too large",
        "src/websession/django.py",
        "        raise TooLarge(*error.args) from error",
        "        raise",
        "tests/frameworks/test_django.py",
    ),
    Mutation(
        "CherryPy answers with 500 to what is too large",
        "src/websession/cherrypy.py",
        "        except refusal.REFUSED as error:",
        "        except ZeroDivisionError as error:",
        "tests/frameworks/test_cherrypy.py",
    ),
    # Frameworks
    Mutation(
        "adapters take IDs of one length",
        "src/websession/session.py",
        "            otherIDLengths=True,\n",
        "",
        MOVING_ON,
    ),
    Mutation(
        "every WebSession takes IDs of other lengths",
        "src/websession/session.py",
        "            if otherIDLengths\n",
        "            if True\n",
        MOVING_ON,
    ),
    Mutation(
        "IDs may be of any length",
        "src/websession/session.py",
        "            and len(session_id) in ids.OTHER_LENGTHS\n",
        "",
        MOVING_ON,
    ),
    Mutation(
        "a moved session keeps what it cannot keep",
        "src/websession/legacy/moving.py",
        "                    keeping,\n",
        "                    source,\n",
        MOVING_ON,
    ),
    Mutation(
        "what is left out of a moved session is not told",
        "src/websession/legacy/moving.py",
        "                    keeping.warn(session_id)\n",
        "                    pass\n",
        MOVING_ON,
    ),
    Mutation(
        "what comes back as another type is not told",
        "src/websession/legacy/keeping.py",
        "        return told_apart(one) == told_apart(other)\n",
        "        return True\n",
        MOVING_ON,
    ),
    Mutation(
        "Decimal becomes text in Flask",
        "src/websession/flask.py",
        "frozenset, Decimal, date,",
        "frozenset, date,",
        MOVING_ON,
    ),
    Mutation(
        "a session that Django cannot cross-check is let in, or fails",
        "src/websession/django.py",
        '            return self._nothing("hijack", key, str(error))\n',
        "            raise\n",
        MOVING_ON,
    ),
    Mutation(
        "a partitioned cookie is taken away by one that is not",
        "src/websession/web/cookie.py",
        'GMT{self._tail(https)}"',
        'GMT{self._attributes}; Secure"',
        PARTITIONED,
    ),
    Mutation(
        "a partitioned cookie may go without TLS",
        "src/websession/web/cookie.py",
        "        if partitioned and secure is not True:",
        "        if partitioned and secure is False:",
        PARTITIONED,
    ),
    Mutation(
        "Django's cookie is never partitioned",
        "src/websession/django.py",
        "partition(response.cookies, settings.SESSION_COOKIE_NAME)",
        "pass",
        PARTITIONED,
    ),
    Mutation(
        "CherryPy's cookie is never partitioned",
        "src/websession/cherrypy.py",
        "            partition(response.cookie, name)\n",
        "",
        PARTITIONED,
    ),
    Mutation(
        "CherryPy locks sessions that nobody knows",
        "src/websession/cherrypy.py",
        "        if self._is_stored:\n            sessions = ",
        "        if True:\n            sessions = ",
        "tests/frameworks/test_crawlers.py",
    ),
    Mutation(
        "Flask's sessions live for ever",
        "src/websession/flask.py",
        "sessions.maxLifetime = lifetime_in_seconds(lifetime)\n",
        "sessions.maxLifetime = 0\n",
        LIFETIMES,
    ),
    Mutation(
        "Django's sessions live for ever",
        "src/websession/django.py",
        "            lifetime=lifetime_in_seconds(lifetime),\n",
        "            lifetime=0,\n",
        LIFETIMES,
    ),
    Mutation(
        "CherryPy's sessions end before their timeout",
        "src/websession/cherrypy.py",
        "return LIFETIME if self.timeout * 60 <= LIFETIME else 0.0",
        "return LIFETIME",
        LIFETIMES,
    ),
    Mutation(
        "a date that has passed is nothing to Django's exists()",
        "src/websession/django.py",
        "            self._read(session_key, timeout)\n",
        "            _manager().sessions.readSession(session_key)\n",
        DJANGO,
    ),
    Mutation(
        "Django makes a session that is over",
        "src/websession/django.py",
        "        if self._is_over(data):\n            self._session_key",
        "        if False:\n            self._session_key",
        DJANGO,
    ),
    Mutation(
        "Django saves a session that is over",
        "src/websession/django.py",
        "        if self._is_over(data):\n            self._end()\n",
        "        if False:\n            self._end()\n",
        DJANGO,
    ),
    Mutation(
        "Django changes a session that is over atomically",
        "src/websession/django.py",
        "        if self._is_over(self._session):\n",
        "        if False:\n",
        DJANGO,
    ),
    Mutation(
        "an empty path is one to Django's check",
        "src/websession/django.py",
        "isinstance(path, str) and not path.strip())",
        "False)",
        DJANGO,
    ),
    Mutation(
        "a moved session of Django forgets its date of expiry",
        "src/websession/legacy/sources.py",
        "            idle = max(1, int(until - stored))\n",
        "",
        "tests/frameworks/test_migration.py",
    ),
    Mutation(
        "Bottle's hooks have no session",
        "src/websession/bottle.py",
        '        vars(app)["wsgi"] = self._around(app, app.wsgi)\n',
        "",
        BOTTLE,
    ),
    Mutation(
        "Bottle stores what came before an exception",
        "src/websession/bottle.py",
        "            session._discard()\n",
        "            pass\n",
        BOTTLE,
    ),
    Mutation(
        "Bottle stores what came before an exception of a hook",
        "src/websession/bottle.py",
        "if exc_info is not None and self._discarded not in environ:",
        "if False:",
        BOTTLE,
    ),
    Mutation(
        "a plugin that Bottle has uninstalled goes on",
        "src/websession/bottle.py",
        "if self not in app.plugins or self._key in environ:",
        "if self._key in environ:",
        BOTTLE,
    ),
    Mutation(
        "two plugins of Bottle have one name",
        "src/websession/bottle.py",
        '        if keyword != "session":',
        "        if False:",
        BOTTLE,
    ),
    # What a session is to its application
    Mutation(
        "a session that is not loaded looks empty from C",
        "src/websession/web/dictsession.py",
        "        dict.__setitem__(self, _NOT_LOADED, None)\n",
        "",
        DICT,
    ),
    Mutation(
        "C code finds what was loaded, not what was set",
        "src/websession/web/dictsession.py",
        "        dict.__setitem__(self, key, value)\n",
        "",
        DICT,
    ),
    Mutation(
        "C code finds what was deleted",
        "src/websession/web/dictsession.py",
        "        dict.__delitem__(self, key)\n",
        "",
        DICT,
    ),
    Mutation(
        "C code finds nothing that was loaded",
        "src/websession/web/dictsession.py",
        "        dict.update(self, data or {})\n",
        "",
        DICT,
    ),
    Mutation(
        "whether sessions differ is asked before they are loaded",
        "src/websession/web/dictsession.py",
        "        return not self == other\n",
        "        return dict.__ne__(self, other)\n",
        DICT,
    ),
    Mutation(
        "popitem takes what came in first",
        "src/websession/web/session.py",
        "        key = next(reversed(self))\n",
        "        key = next(iter(self))\n",
        DICT,
    ),
    Mutation(
        "Starlette hands out a session that is not loaded",
        "src/websession/web/aio.py",
        "        self._use()\n",
        "        pass\n",
        "tests/frameworks/test_asgi.py",
    ),
    Mutation(
        "what a body changes is stored never",
        "src/websession/web/body.py",
        "            raise\n        if self._end is not None:\n"
        "            self._end()\n",
        "            raise\n",
        "tests/frameworks/test_flask.py",
    ),
    Mutation(
        "a client that goes away ends no body",
        "src/websession/web/body.py",
        "            close(self._body)\n        finally:\n"
        "            if self._end is not None:\n",
        "            close(self._body)\n        finally:\n"
        "            if False:\n",
        WSGI,
    ),
    Mutation(
        "a body that failed is stored",
        "src/websession/web/body.py",
        "            self._end = None\n",
        "            pass\n",
        WSGI,
    ),
    Mutation(
        "a late change makes a session without a cookie",
        "src/websession/web/contents.py",
        "            elif self._data:\n                self._warn(",
        "            elif self._data and not self._create():\n"
        "                self._warn(",
        SESSION,
    ),
    Mutation(
        "what comes with a late new ID is stored under the old one",
        "src/websession/web/session.py",
        "            self._is_spoilt = True\n            self._warn(",
        "            self._warn(",
        SESSION,
    ),
    Mutation(
        "a failure at the end of a body tears the response",
        "src/websession/web/contents.py",
        '        except Exception:\n            self._warn("could not',
        '        except ZeroDivisionError:\n            self._warn("could not',
        SESSION,
    ),
    Mutation(
        "a change after the end says nothing",
        "src/websession/web/session.py",
        "        if self._phase == OVER:\n",
        "        if False:\n",
        SESSION,
    ),
    Mutation(
        "a whole body is over before it is sent",
        "src/websession/web/session.py",
        "            self._is_used_late = True\n",
        "            pass\n",
        SESSION,
    ),
    Mutation(
        "each whole body is compared",
        "src/websession/web/contents.py",
        "        if is_made and not self._is_used_late:\n",
        "        if False:\n",
        SESSION,
    ),
    Mutation(
        "the last piece goes before its changes, under ASGI",
        "src/websession/asgi.py",
        "        if is_last:\n            await self._finish(is_made)\n"
        "        await self._send(message)\n",
        "        await self._send(message)\n        if is_last:\n"
        "            await self._finish(is_made)\n",
        ASGI,
    ),
    Mutation(
        "a body without an end stores nothing, under ASGI",
        "src/websession/asgi.py",
        "            await self._finish(False)\n",
        "            pass\n",
        ASGI,
    ),
    Mutation(
        "every body with a length is there, under ASGI",
        "src/websession/asgi.py",
        "        if self._session._concerns(is_made):\n",
        "        if self._session._concerns(True):\n",
        ASGI,
    ),
    Mutation(
        "a body with a length may always use the session, under ASGI",
        "src/websession/asgi.py",
        "        if self._session._concerns(is_made):\n",
        "        if self._session._concerns(False):\n",
        ASGI,
    ),
    Mutation(
        "a teardown of Flask changes too late",
        "src/websession/flask.py",
        "    response.call_on_close(end)\n",
        "",
        "tests/frameworks/test_flask.py",
    ),
    Mutation(
        "a stream of Pyramid loses its length",
        "src/websession/pyramid.py",
        "        response.content_length = length\n",
        "",
        "tests/frameworks/test_pyramid.py",
    ),
    Mutation(
        "what was stored is stored again at the end",
        "src/websession/web/draft.py",
        "        self.base, self.version = encoded, version\n",
        "",
        SESSION,
    ),
    Mutation(
        "what others stored meanwhile is lost",
        "src/websession/web/draft.py",
        "merge(base, mine, theirs, manager.dumps, manager.loads)",
        "merge(base, mine, mine, manager.dumps, manager.loads)",
        SESSION,
    ),
    Mutation(
        "a session that was stored is not modified",
        "src/websession/web/contents.py",
        "        self._is_changed = self._is_changed or is_changed\n",
        "",
        SESSION,
    ),
    Mutation(
        "a session that was stored at once is not modified",
        "src/websession/web/contents.py",
        "        self._is_changed = True\n        self._written()\n"
        "        return True\n",
        "        self._written()\n        return True\n",
        ASGI,
    ),
    Mutation(
        "what changed nothing at once has modified the session",
        "src/websession/web/session.py",
        "        if not self._draft.is_base(before):\n",
        "        if True:\n",
        "tests/unit/test_merge.py",
    ),
    Mutation(
        "a cookie outlasts a session that is permanent no more",
        "src/websession/flask.py",
        "        return self._was_permanent and not self.permanent\n",
        "        return False\n",
        "tests/frameworks/test_flask.py",
    ),
    Mutation(
        "an event loop waits for a stopped writer",
        "src/websession/web/aio.py",
        "            session_id, self._env, timeout=PATIENCE\n",
        "            session_id, self._env, timeout=None\n",
        ASGI,
    ),
    Mutation(
        "an event loop waits for one that Django meets",
        "src/websession/django.py",
        "                return self._loaded(PATIENCE)\n",
        "                return self._loaded(None)\n",
        DJANGO,
    ),
    Mutation(
        "a thread waits no longer than a loop",
        "src/websession/web/aio.py",
        "        if not self._manager.is_quick or not _is_on_loop():\n",
        "        if not self._manager.is_quick:\n",
        ASGI,
    ),
    Mutation(
        "who replaces what is not remembered waits for a stopped writer",
        "src/websession/stores/records.py",
        "            raw = self._current(known, now, timeout)\n",
        "            raw = self._current(known, now)\n",
        RACES,
    ),
    Mutation(
        "a session that is busy is a failure, under ASGI",
        "src/websession/asgi.py",
        "            if not await answer.refuse_busy(error):\n"
        "                raise\n",
        "            raise\n",
        ASGI,
    ),
    Mutation(
        "a response that has begun is answered again",
        "src/websession/asgi.py",
        "        if self._has_begun:\n"
        "            return False\n"
        "        import",
        "        import",
        ASGI,
    ),
    Mutation(
        "an event loop deletes what has expired",
        "src/websession/session.py",
        "                if timeout is not None or self._deleteExpired(\n"
        "                    session_id, version\n"
        "                ):\n"
        "                    raise InvalidSessionId(session_id)\n",
        "                if self._deleteExpired(session_id, version):\n"
        "                    raise InvalidSessionId(session_id)\n",
        ASGI,
    ),
    Mutation(
        "an event loop moves sessions from another store",
        "src/websession/web/manager.py",
        "            and type(self.sessions).readSession is WebSession",
        "            and type(self.sessions).readSession is not WebSession",
        ASGI,
    ),
    Mutation(
        "options beside a WebSession are dropped",
        "src/websession/web/manager.py",
        "        if options:\n            raise TypeError(",
        "        if False:\n            raise TypeError(",
        FOR_WEB,
    ),
    Mutation(
        "options beside a store are dropped",
        "src/websession/stores/file.py",
        "    if options:\n        raise TypeError(",
        "    if False:\n        raise TypeError(",
        FOR_WEB,
    ),
    Mutation(
        "an option wins over a framework's own setting",
        "src/websession/web/manager.py",
        "    for name in settings.keys() & options.keys():\n",
        "    for name in ():\n",
        OPTIONS,
    ),
    Mutation(
        "a limit of Flask's is not looked at",
        "src/websession/flask.py",
        "sessions.expireRemove = checked_limit(_IDLE, idle)\n",
        "sessions.expireRemove = idle\n",
        OPTIONS,
    ),
    Mutation(
        "options of CherryPy are told apart by how they look",
        "src/websession/cherrypy.py",
        "            if made_of == settings:\n",
        "            if repr(made_of) == repr(settings):\n",
        OPTIONS,
    ),
    Mutation(
        "C that is not there is looked for by each store",
        "src/websession/disk/backend.py",
        "    return default if choice is None else _named(choice)\n",
        "    return _named(choice or 'auto')\n",
        "tests/unit/test_backend.py",
    ),
    Mutation(
        "what another program keeps is an empty session",
        "src/websession/web/draft.py",
        '    if data == "_created_":\n',
        "    if True:\n",
        DJANGO,
    ),
    Mutation(
        "a sweep on files goes by the limit after which nothing may be used",
        "src/websession/disk/engine.py",
        "        return self.sweeper().sweep_all(now, remove, lifetime)",
        "        return self.sweeper().sweep_all(now, _, lifetime)",
        "tests/contract",
    ),
    Mutation(
        "a sweep of a mapping goes by the limit after which nothing may be "
        "used",
        "src/websession/stores/mapping.py",
        "created, timestamp, now, env.idle or remove, lifetime",
        "created, timestamp, now, env.idle or _, lifetime",
        "tests/contract",
    ),
    Mutation(
        "a store of a format that was never released is damaged",
        "src/websession/disk/root.py",
        "        if version.isdigit() and int(version) < FORMAT:\n",
        "        if False:\n",
        "tests/disk/test_opening.py",
    ),
    Mutation(
        "the flag of a block that is to come is passed over, in C",
        "csrc/slots.c",
        "int known = WS_FLAG_SUPERSEDED | WS_FLAG_USER;",
        "int known = 7;",
        RECORD,
    ),
    Mutation(
        "more tags than there may be are passed over, in C",
        "csrc/slots.c",
        "tags > WS_MAX_TAGS",
        "tags > 9",
        RECORD,
    ),
    Mutation(
        "a user block without the flag is passed over, in C",
        "csrc/slots.c",
        "(flagged ? tags == 0 : WS_USER_LEN(header) > 0)",
        "(flagged && tags == 0)",
        RECORD,
    ),
    Mutation(
        "a user block without the flag is passed over, in Python",
        "src/websession/record.py",
        "return bool(tags == 0 if flags & FLAG_USER else tags + label)",
        "return bool(flags & FLAG_USER and tags == 0)",
        RECORD,
    ),
    Mutation(
        "another user's record may follow, in C",
        "csrc/rules.c",
        "len = WS_USER_LEN(header);",
        "len = 0;",
        "tests/unit/test_rules.py",
    ),
    Mutation(
        "another user's record may follow, in Python",
        "src/websession/engine.py",
        "        flags and user_of(live) != user_of(record)\n",
        "        flags and user_of(live)[:18] != user_of(record)[:18]\n",
        "tests/unit/test_rules.py",
    ),
    Mutation(
        "a record of no user may follow, in Python",
        "src/websession/engine.py",
        "    if live[USER_SIZE] != record[USER_SIZE] or (\n",
        "    if (\n",
        "tests/unit/test_rules.py",
    ),
    Mutation(
        "what is written blindly takes the user away",
        "src/websession/engine.py",
        'number, b"", own, user\n            outcome',
        'number, b"", own, b""\n            outcome',
        "tests/contract/test_engines.py",
    ),
    Mutation(
        "a touch takes the user away",
        "src/websession/stores/records.py",
        "    if flags:\n        user = user_of(old)\n",
        "",
        "tests/disk/test_file_store.py",
    ),
    Mutation(
        "a copy takes the user away",
        "src/websession/admin/copy.py",
        "        parts.supersede, parts.idle, parts.user,\n",
        '        parts.supersede, parts.idle, b"",\n',
        "tests/cli/test_migrate.py",
    ),
    Mutation(
        "the flag of a block that is to come is passed over, in Python",
        "src/websession/record.py",
        "    if flags & ~(FLAG_SUPERSEDED | FLAG_USER) or",
        "    if flags & ~7 or",
        RECORD,
    ),
    Mutation(
        "text that is no JSON ends an iteration",
        "src/websession/_tagged_json.py",
        "        except (StopIteration, SystemError):\n",
        "        except KeyError:\n",
        "tests/unit/test_json.py",
    ),
    Mutation(
        "JSON imports the package json",
        "src/websession/_tagged_json.py",
        "    import _json\n",
        "    import json, _json\n",
        "tests/unit/test_backend.py",
    ),
    Mutation(
        "a request imports pickle",
        "src/websession/serializers.py",
        '    if "_pickle" in modules:\n        return',
        "    if True:\n        return",
        PLAIN,
    ),
    Mutation(
        "a session is corrupt where pickle cannot be imported",
        "src/websession/stores/records.py",
        "        except SessionStoreError:\n            raise  # that",
        "        except ZeroDivisionError:\n            raise  # that",
        PLAIN,
    ),
    Mutation(
        "plain pickles are read below a mark",
        "src/websession/_plain_pickle.py",
        "fence = self.marks[-1] if self.marks else 0",
        "fence = 0",
        PLAIN,
    ),
    Mutation(
        "a scan takes what was superseded for a session, in C",
        "csrc/scan.c",
        "    if (info.st_mode & WS_MODE_SUPERSEDED)",
        "    if (0 && (info.st_mode & WS_MODE_SUPERSEDED))",
        SCAN,
    ),
    Mutation(
        "a scan takes what was superseded for a session, in Python",
        "src/websession/disk/plain/scan.py",
        "if info.st_mode & MODE_SUPERSEDED:",
        "if False:",
        SCAN,
    ),
    Mutation(
        "the sample of each shard begins anew",
        "src/websession/admin/stats.py",
        "        seen += found.sessions + found.superseded\n",
        "",
        SCAN,
    ),
    Mutation(
        "a row of a sample stands for itself alone",
        "src/websession/admin/stats.py",
        "        weight = self.every\n",
        "        weight = 1\n",
        SCAN,
    ),
    Mutation(
        "a torn slot is believed by a scan",
        "src/websession/admin/inspector.py",
        "        if status in (OK, ABSENT):",
        "        if status in (OK, ABSENT, -6):",
        SCAN,
    ),
    Mutation(
        "rows that had no room are left out, in C",
        "src/websession/disk/native.py",
        "        filled = result.filled\n",
        "        filled = min(result.filled, len(rows))\n",
        SCAN,
    ),
    Mutation(
        "a single byte is read as the one that all share",
        "src/websession/_plain_pickle.py",
        "if len(raw) == 1:",
        "if len(raw) == -1:",
        PLAIN,
    ),
    Mutation(
        "one object is written twice",
        "src/websession/_plain_pickle.py",
        "        self.seen[id(value)] = len(self.seen)\n",
        "        self.seen[len(self.seen)] = len(self.seen)\n",
        PLAIN,
    ),
    Mutation(
        "a pass that began long ago has looked at everything",
        "src/websession/disk/sweepnote.py",
        "self.began, tally.when = tally.when, now",
        "self.began = tally.when = now",
        CLEANUP,
    ),
    Mutation(
        "every pass begins after the interval",
        "src/websession/disk/sweep.py",
        "max(self._interval, min(rest, _LONGEST_REST))",
        "self._interval",
        CLEANUP,
    ),
    Mutation(
        "a pass that takes long comes as often as others",
        "src/websession/disk/sweep.py",
        "rest = max(limit / _PART, _LONG_REST * tally.took_for_live)",
        "rest = limit / _PART",
        CLEANUP,
    ),
    Mutation(
        "what was removed makes the next sweep wait",
        "src/websession/disk/sweepnote.py",
        "        return self.took * self.live / seen if seen else self.took\n",
        "        return self.took\n",
        "tests/processes/test_concurrency.py",
    ),
    Mutation(
        "each new session asks when a sweep is due",
        "src/websession/disk/sweep.py",
        "        if now < due and time.monotonic() < until:\n",
        "        if False:\n",
        CLEANUP,
    ),
    Mutation(
        "when a sweep is due is known for ever",
        "src/websession/disk/sweep.py",
        "        if now < due and time.monotonic() < until:\n",
        "        if now < due:\n",
        CLEANUP,
    ),
    Mutation(
        "a new session is refused while others have expired",
        "src/websession/disk/engine.py",
        "is_last = not self.sweeper().make_room(now, remove, lifetime)",
        "is_last = True",
        CLEANUP,
    ),
    Mutation(
        "whoever is refused looks at everything each time",
        "src/websession/disk/sweep.py",
        "            if 0 <= now - self._note().began",
        "            if False and 0 <= now - self._note().began",
        CLEANUP,
    ),
    Mutation(
        "an application without limits has the smallest",
        "src/websession/disk/limitsnote.py",
        "max(values) if min(values) > 0 else 0.0",
        "max(values)",
        IN_USE,
    ),
    Mutation(
        "limits are in use for ever",
        "src/websession/disk/limitsnote.py",
        "now - seen <= max(_KEPT, *limits)",
        "True",
        IN_USE,
    ),
    Mutation(
        "limits are forgotten before their sessions are over",
        "src/websession/disk/limitsnote.py",
        "now - seen <= max(_KEPT, *limits)",
        "now - seen <= _KEPT",
        IN_USE,
    ),
    Mutation(
        "each new session notes the limits",
        "src/websession/disk/limitsnote.py",
        "    if seen is not None and 0 <= now - seen < NOTED_FOR:\n",
        "    if False:\n",
        IN_USE,
    ),
    Mutation(
        "a sweep on the way goes by the limits of whoever comes by",
        "src/websession/disk/sweep.py",
        "                shard, now, use.remove[1], use.lifetime[1], ",
        "                shard, now, idle, lifetime, ",
        IN_USE,
    ),
    Mutation(
        "sweep takes limits that are shorter than those in use",
        "src/websession/cli/sweep.py",
        "    if limits is None or options.force:\n",
        "    if True:\n",
        "tests/cli/test_sweep.py",
    ),
    Mutation(
        "who copies sessions is an application without limits",
        "src/websession/cli/migrate.py",
        "    store.engine.notes_limits = False\n",
        "",
        "tests/cli/test_migrate.py",
    ),
    Mutation(
        "limits that could not be noted wait as long as others",
        "src/websession/disk/engine.py",
        "            good_for = TRY_AGAIN\n",
        "",
        IN_USE,
    ),
    Mutation(
        "a limit of for ever is not noted",
        "src/websession/disk/limitsnote.py",
        "round(each, 3) if each < _FOR_EVER else 0.0",
        "round(each, 3)",
        IN_USE,
    ),
    Mutation(
        "the printed line does not say --force",
        "src/websession/cli/sweep.py",
        'for name in ("force", "allow_network"):',
        'for name in ("allow_network",):',
        "tests/cli/test_sweep.py",
    ),
    Mutation(
        "a percent sign ends the line that cron runs",
        "src/websession/cli/sweep.py",
        '        line=command.replace("%", "\\\\%"),\n',
        "        line=command,\n",
        "tests/cli/test_sweep.py",
    ),
    Mutation(
        "the line for systemd has the quotes of a shell",
        "src/websession/cli/sweep.py",
        'exec=" ".join(map(_unit_word, words)),',
        "exec=command,",
        "tests/cli/test_sweep.py",
    ),
    Mutation(
        "sessions for the web live for ever",
        "src/websession/session.py",
        "            maxLifetime=lifetime,\n",
        "",
        FOR_WEB,
    ),
    Mutation(
        "whoever opens a store the other way is told nothing",
        "src/websession/session.py",
        "BadSessionId(session_id, self._other_length(session_id))",
        "BadSessionId(session_id)",
        FOR_WEB,
    ),
    Mutation(
        "a stop is lost while a worker of the demo is made",
        "src/websession/demo/on_wsgiref.py",
        "    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)\n",
        "",
        "tests/servers/test_demo_command.py",
    ),
    Mutation(
        "the demo gives another user what an expired session held",
        "src/websession/demo/site.py",
        '        if expired.get("user", name) == name:\n',
        "        if expired:\n",
        "tests/servers/test_demo.py",
    ),
    Mutation(
        "the demo forgets what an expired session held",
        "src/websession/demo/site.py",
        "            session[EXPIRED] = data.get(EXPIRED, data)\n",
        "",
        "tests/servers/test_demo.py",
    ),
    Mutation(
        "the demo shows another user the notes that wait",
        "src/websession/demo/site.py",
        '            session.update(dict.fromkeys(NOTES, ""))\n',
        "            pass\n",
        "tests/servers/test_demo.py",
    ),
    Mutation(
        "events that nobody can be told of import logging",
        "src/websession/web/events.py",
        '    if "logging" not in modules and level < _WARNING:',
        "    if False:",
        "tests/unit/test_backend.py",
    ),
    Mutation(
        "a warning is not written where nobody has imported logging",
        "src/websession/web/events.py",
        '    if "logging" not in modules and level < _WARNING:',
        '    if "logging" not in modules:',
        "tests/web/test_wsgi.py",
    ),
    Mutation(
        "a pass does not come by for the limit of a session",
        "src/websession/disk/sweep.py",
        "use.lifetime[0], tally.own",
        "use.lifetime[0]",
        CLEANUP,
    ),
    Mutation(
        "the last limit of a session is the shortest, in C",
        "csrc/sweep.c",
        "    else if (s->swept->own == 0 || own < s->swept->own)",
        "    else",
        CLEANUP,
    ),
    Mutation(
        "the last shard has the shortest limit of a session",
        "src/websession/disk/sweepnote.py",
        "        self.own = _shorter(self.own, swept.own)",
        "        self.own = swept.own",
        CLEANUP,
    ),
    Mutation(
        "every request over plain HTTP warns",
        "src/websession/web/plainhttp.py",
        "    _has_warned = True\n",
        "    _has_warned = False\n",
        "tests/web/test_plainhttp.py",
    ),
    Mutation(
        "a proxy that ends TLS is not believed",
        "src/websession/web/plainhttp.py",
        "_is_local(host) or _came_over_tls(env)",
        "_is_local(host)",
        "tests/web/test_plainhttp.py",
    ),
    Mutation(
        "what ends in an exception is not counted",
        "src/websession/disk/count.py",
        "            self._look_again(name)\n            raise\n",
        "            raise\n",
        "tests/disk/test_file_store.py",
    ),
    Mutation(
        "whoever deletes does not look for the count again, in C",
        C,
        "    return look_again(counted, status);",
        "    return status;",
        STOP,
    ),
    Mutation(
        "a superseded session has a limit of its own, in C",
        "csrc/sweep.c",
        "        own = 0; /* it goes by another time */",
        "        (void)0;",
        CLEANUP,
    ),
    Mutation(
        "reads are noted in the inode, in C",
        "csrc/files.c",
        "    flags |= OPEN_FLAGS | O_NOATIME;",
        "    flags |= OPEN_FLAGS;",
        "tests/disk/test_file_store.py",
    ),
    Mutation(
        "reads are noted in the inode, in Python",
        "src/websession/disk/plain/files.py",
        "flags | _NOATIME",
        "flags",
        "tests/disk/test_file_store.py",
    ),
    Mutation(
        "a file of another user is a failing system, in C",
        "csrc/files.c",
        "        if (errno == EPERM && flags & O_NOATIME)",
        "        if (0)",
        RACES,
    ),
    Mutation(
        "a file of another user is a failing system, in Python",
        "src/websession/disk/plain/files.py",
        "                if error.errno != EPERM:",
        "                if True:",
        RACES,
    ),
    Mutation(
        "a cookie that came back is warned of",
        "src/websession/web/contents.py",
        " and not self._has_cookie:",
        ":",
        "tests/web/test_plainhttp.py",
    ),
    Mutation(
        "the first session with a short limit waits for a day",
        "src/websession/disk/engine.py",
        "        if own and self._tends:",
        "        if False:",
        CLEANUP,
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
            *("-o", "src/websession/disk/_native.abi3.so"),
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
    if not list(PROJECT.glob("src/websession/disk/_native*.so")):
        # Every test of the C half would fail, and seem to notice.
        sys.exit("install it first: pip install -e '.[test]'")
    missed = 0
    for number, mutation in enumerate(MUTATIONS):
        if numbers and number not in numbers:
            continue
        with tempfile.TemporaryDirectory() as place:
            by = noticed(mutation, Path(place))
        missed += by is None
        print(f"{number:2} {mutation.what}: {by or 'NOT NOTICED'}", flush=True)
    return 1 if missed else 0


def show():
    for number, each in enumerate(MUTATIONS):
        print(f"{number:3} {each.what}: {each.file}: {each.tests}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        sys.exit(show())
    sys.exit(main([int(argument) for argument in sys.argv[1:]]))
