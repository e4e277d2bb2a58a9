"""An engine around another one: what goes wrong, and what comes in between."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import Any, NamedTuple

from websession.engine import Engine

__all__ = ["Done", "WrappingEngine"]


class Done(NamedTuple):
    """
    An operation, as whoever asked for it saw it.

    Attributes:
        name: of the method.
        outcome: what it returned, or the exception that it raised.
    """

    name: str
    outcome: Any


class WrappingEngine(Engine):
    """
    Does what another engine does, and what a test has planned besides: see
    `before` and `after`.

    Attributes:
        engine: the other one.
        planned: what has not happened yet.
        trace: a `Done` for each operation that came to an end.
        quick, parts, timeout: the other one's at first.
    """

    def __init__(self, engine):
        self.engine = engine
        self.quick, self.parts = engine.quick, engine.parts
        self.timeout = engine.timeout
        self.trace = []
        self.planned = []
        self._counting = threading.Lock()

    def __getattr__(self, name):
        """What the other one has beyond the contract."""
        return getattr(self.engine, name)

    def before(self, name, happens, call=1):
        """
        Plans what happens before an operation takes effect.

        Args:
            name: of the operation's method.
            happens: an exception to be raised, or a function to be called,
                which may raise one.
            call: before the so manieth one from now on; None: before each.
        """
        self._plan("before", name, happens, call)

    def after(self, name, happens, call=1):
        """Plans what happens when it has taken effect: a fault loses that."""
        self._plan("after", name, happens, call)

    def outcomes(self, name):
        """Those of one operation, in order."""
        return [each.outcome for each in self.trace if each.name == name]

    def _plan(self, moment, name, happens, call):
        assert name in OPERATIONS, f"an engine has no {name}"
        with self._counting:
            self.planned.append([(moment, name), call, happens])

    def _happens(self, *when):
        due = []
        with self._counting:
            for plan in self.planned:
                if plan[0] == when:
                    if plan[1] is not None:
                        plan[1] -= 1
                    if not plan[1]:
                        due.append(plan)
            self.planned = [each for each in self.planned if each[1] != 0]
        for _, _, happens in due:
            if isinstance(happens, BaseException):
                raise happens
            happens()

    def _do(self, name, args, options):
        try:
            self._happens("before", name)
            outcome = getattr(self.engine, name)(*args, **options)
            self._happens("after", name)
        except BaseException as error:
            self.trace.append(Done(name, error))
            raise
        self.trace.append(Done(name, outcome))
        return outcome


# `replace` is that of `Engine`: it reads and commits, and what is planned for
# these comes in between.
OPERATIONS = [
    name
    for name, _ in inspect.getmembers(Engine, inspect.isfunction)
    if not name.startswith("_") and name != "replace"
]


def _delegated(name):
    @functools.wraps(getattr(Engine, name))
    def operation(self, *args, **options):
        return self._do(name, args, options)

    return operation


for _name in OPERATIONS:
    setattr(WrappingEngine, _name, _delegated(_name))
