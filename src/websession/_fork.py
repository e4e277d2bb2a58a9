"""
What a fork does to everything that this package remembers. The one place that
says so; imported by the first fork (see the end of ``__init__``).

A child has its parent's memory and one of its threads. What another thread was
in the middle of stays half done for ever; idents of threads are given out
again; and the memory says "mine" of locks that are the parent's. So, in the
child, before anything else runs there:

===========================  ==============================================
imports of other threads     are forgotten, and begin anew where the child
                             needs them: nobody will ever finish these
`disk.plain.files._held`     the parent's: closed here, not unlocked. An
                             operation that goes on in the child, since a
                             signal handler forked, fails at its next step
`disk.lock._held`            the parent's: forgotten. Its descriptor is closed
                             by filelock itself, not unlocked
`MappingStore`               a copy, like the mapping: what this thread has
                             locked in it stays so, all else is free
`updating.doing`             what other threads were at is forgotten
`CleanUpThread`              does not run; `join` waits for nothing
===========================  ==============================================

These need nothing, since a fork finds them before or after a change and never
within: `Recall.recent` and what a `Recalled` remembers (immutable, replaced
whole; the count of bytes may be off until it is emptied next), what a
`Sweeper` knows of the time when it is due (likewise), the pools of
`disk.native` (what another thread had taken is lost), what is made when it is
first needed (`DiskEngine._sweeps`, `Layout.keyring`, `serializers._made`,
`events._made`, `session_id_re`), whether `plainhttp` has warned, counters. IDs
and versions are drawn from the system. The locks of `logging` are its own
business. Threads of `web.aio` belong to requests that are the parent's.

What cannot be undone: a file that another thread had open in C at the fork
stays open in the child. It is unlocked explicitly, so nobody waits for it
unless the parent is killed in just these microseconds.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["after_in_child"]

# Whose half-made modules are made anew. Those of the application are its own.
_OURS = sys.stdlib_module_names | {"filelock", "typing_extensions"}
_OURS |= {__name__.partition(".")[0]}


def after_in_child() -> None:
    """Leaves nothing of other threads in a forked child."""
    me = get_ident()
    _forget_imports(me)
    if files := _loaded("disk.plain.files"):
        for file in list(files._held.values()):
            file.forsake()
        files._held.clear()
    if locks := _loaded("disk.lock"):
        locks._held.clear()
    if mapping := _loaded("stores.mapping"):
        for store in list(mapping.stores):
            store.forked(me)
    if updating := _loaded("updating"):
        updating.doing.forget_others(me)


def _loaded(name: str) -> ModuleType | None:
    return sys.modules.get(f"{__package__}.{name}")


def _forget_imports(me: int) -> None:
    """
    Python keeps a lock for each module that is being imported. One that
    another thread has at a fork is never released in the child, where the
    next import of that module would wait for it.

    To wait for such imports before the fork would not do: other libraries
    hold locks by then that these imports may want. Nor would it to import all
    that may be needed: what is registered for forks meanwhile would be called
    after this one without having been called before it.
    """
    import _frozen_importlib as importlib

    locks = getattr(importlib, "_module_locks", {})
    for name, reference in list(locks.items()):
        lock = reference()
        if getattr(lock, "owner", None) == me:
            continue  # a module forks while it is imported
        if name.partition(".")[0] not in _OURS:
            continue
        del locks[name]
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            # With what is in it, as a package is told of it when it is loaded.
            for each in list(sys.modules):
                if each == name or each.startswith(name + "."):
                    del sys.modules[each]
