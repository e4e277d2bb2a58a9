"""The command as administrators run it: piped, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
import traceback
from tempfile import TemporaryFile

from websession.cli import main
from websession.disk import backend as backends
from websession.ids import handle

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WITHOUT_RICH = (
    "import sys; sys.modules.update(rich=None, rich_argparse=None); "
    "from websession.cli import main; sys.exit(main())"
)


def handle_of(session_id):
    return handle(session_id).decode()


class Console:
    """
    Runs the command.

    Args:
        backend: "c" or "python".

    Attributes:
        environment: of the commands.
    """

    def __init__(self, backend):
        self.environment = {
            **os.environ,
            "WEBSESSION_BACKEND": backend,
            "COLUMNS": "100",
            "LINES": "30",
            "TERM": "xterm-256color",
        }
        self.environment.pop("WEBSESSION_PATH", None)
        self.environment.pop("NO_COLOR", None)

    def command(self, *arguments, rich=True):
        start = ["-m", "websession"] if rich else ["-c", WITHOUT_RICH]
        return [sys.executable, *start, *map(str, arguments)]

    def start(self, *arguments, **options):
        """The process, with its output in pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            **options,
        )

    def run(self, *arguments, **options):
        """Exit status, standard output, standard error."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def run_forked(self, *arguments):
        """The same as `run`, without the start of another Python."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                self._be_the_command(arguments, out.fileno(), err.fileno())
            status = os.waitpid(child, 0)[1]
            out.seek(0)
            err.seek(0)
            return os.waitstatus_to_exitcode(status), out.read(), err.read()

    def _be_the_command(self, arguments, out, err):
        status = 70  # of no command
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout = open(1, "w", closefd=False)
            sys.stderr = open(2, "w", closefd=False)
            os.environ.clear()
            os.environ.update(self.environment)
            backend = os.environ["WEBSESSION_BACKEND"]
            backends.default = backends.choose(backend)
            backends.BACKEND = backends.default.NAME
            try:
                status = main(list(map(str, arguments)))
            except SystemExit as end:
                status = end.code
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)

    def text(self, *arguments, status=0):
        """What is printed, by a command that says nothing else."""
        found, out, err = self.run_forked(*arguments)
        assert (found, err) == (status, ""), (found, out, err)
        return out

    def json(self, *arguments, status=0):
        """The objects that are printed, one on each line."""
        out = self.text(*arguments, "--json", status=status)
        return [json.loads(line) for line in out.splitlines()]

    def complaint(self, *arguments, status):
        """The one sentence of a command that refuses or fails."""
        found, out, err = self.run_forked(*arguments)
        assert (found, out) == (status, ""), (found, out, err)
        assert err.startswith("websession: "), err
        assert err.count("\n") == 1, err
        return err[len("websession: ") : -1]

    def on_terminal(self, *arguments, rich=True, during=None, typed=None):
        """
        Exit status and everything that a terminal shows, as it came.

        Args:
            during: is called with the process while it runs.
            typed: a line that somebody types.
        """
        master, slave = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments, rich=rich),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self.environment,
            start_new_session=True,
        )
        os.close(slave)
        if typed is not None:
            os.write(master, f"{typed}\n".encode())
        if during is not None:
            during(process)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            shown += part
        os.close(master)
        return process.wait(60), shown.decode()


def plain(shown):
    """Without colours and movements of the cursor."""
    return _CONTROL.sub("", shown).replace("\r\n", "\n")


def wait_for(process, text):
    """Reads a process's output until a line has this in it."""
    deadline = time.monotonic() + 30
    for line in process.stdout:
        if text in line:
            return line
        assert time.monotonic() < deadline, "waited too long"
    raise AssertionError(f"it ended without {text!r}")
