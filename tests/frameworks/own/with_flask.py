"""Flask's tests of sessions, and of what uses them."""

from __future__ import annotations

import _pytest.monkeypatch
import flask

from websession.flask import WebSessionInterface, tagged_json

TESTS = [
    f"tests/test_{name}.py"
    for name in (
        "basic", "helpers", "reqctx", "session_interface", "signals",
        "templating", "testing",
    )
]  # fmt: skip


def swap(make_store):
    """Each application that Flask gives its own sessions to gets ours."""
    make_flask, own = flask.Flask.__init__, flask.Flask.session_interface

    def make(app, *args, **options):
        make_flask(app, *args, **options)
        if app.session_interface is own:
            store = make_store(serializer=tagged_json)
            app.session_interface = WebSessionInterface(store)

    flask.Flask.__init__ = make
    # Their conftest.py has the name that it had before pytest 9.
    module = _pytest.monkeypatch
    if not hasattr(module, "notset"):
        module.notset = module.NOTSET
