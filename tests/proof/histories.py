"""
Is there an order of concurrent operations that explains what each returned?

Wing and Gong's search ("Testing and verifying concurrent objects", 1993), with
Lowe's memory of configurations that were tried.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Done", "linearizable"]

ABSENT = None


@dataclass(frozen=True)
class Done:
    """An operation: when it was called and returned, and what it was told."""

    called: int
    returned: int
    kind: str
    argument: object
    result: object


def _apply(done, state):
    """The state after it, or "impossible" if it cannot have come here."""
    kind, argument, result = done.kind, done.argument, done.result
    if kind == "create":
        expected, after = state is ABSENT, state
        if expected:
            after = argument
    elif kind == "read":
        expected = after = state
    elif kind == "store":
        expected, after = state is not ABSENT, state
        if expected:
            after = argument
    elif kind == "update":
        after = ABSENT if state is ABSENT else state + argument
        expected = after
    else:
        expected, after = state is not ABSENT, ABSENT
    return after if expected == result else "impossible"


def linearizable(operations, state):
    """
    Whether the operations, of one session that was in `state` (its data, or
    `ABSENT`) before all of them, can have happened one after the other.
    """
    operations = sorted(operations, key=lambda done: done.called)
    everything = (1 << len(operations)) - 1
    tried = set()
    todo = [(0, state)]
    while todo:
        configuration = todo.pop()
        happened, state = configuration
        if happened == everything:
            return True
        if configuration in tried:
            continue
        tried.add(configuration)
        left = [
            (number, done)
            for number, done in enumerate(operations)
            if not happened >> number & 1
        ]
        first_return = min(done.returned for _, done in left)
        for number, done in left:
            if done.called <= first_return:
                after = _apply(done, state)
                if after != "impossible":
                    todo.append((happened | 1 << number, after))
    return False
