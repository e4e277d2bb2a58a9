"""PHP's own handler, timed by PHP itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from .base import Contestant

__all__ = ["Php"]


class Php(Contestant):
    """
    PHP's ``files`` handler in a PHP process that measures its own loops.
    A store is always a whole request there: it locks, reads, writes.
    """

    name = "PHP files"
    operations = frozenset(("new", "retrieve", "cycle", "delete"))

    @classmethod
    def missing(cls):
        return None if shutil.which("php") else "php"

    def __init__(self, place):
        super().__init__(place)
        place.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name("sessions.php")
        command = ["php", "-d", f"session.save_path={place}", str(script)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, operation, keys, data, times):
        json.dump([operation, keys, data, times], self.process.stdin)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def timed(self, operation, keys, data, times):
        return self.ask(operation, keys, data, times)

    def fill(self, count, data):
        return self.ask("new", [], data, count)[1]

    def new(self, data):
        return self.fill(1, data)[0]

    def retrieve(self, key):
        return self.ask("get", [key], None, 1)[1]

    def delete(self, key):
        self.ask("delete", [key], None, 1)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
