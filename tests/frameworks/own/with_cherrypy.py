"""CherryPy's tests of sessions, which are in its package."""

from __future__ import annotations

import tempfile

import cherrypy.test.test_session as theirs
from cherrypy.lib import sessions

from websession.cherrypy import WebSessionStorage

TESTS = ["--pyargs", "cherrypy.test.test_session", "-k", "not Memcached"]


def swap(make_store):
    """Both kinds of sessions that the tests choose from are ours."""
    stores = {}

    class Storage(WebSessionStorage):
        @property
        def storage_path(self):
            name = type(self).__name__
            if name not in stores:
                stores[name] = make_store(serializer="pickle")
            return stores[name]

        @storage_path.setter
        def storage_path(self, value):
            pass

    for name in "RamSession", "FileSession":
        own = getattr(sessions, name)
        ours = type(name, (Storage,), {"cache": {}, "locks": {}})
        ours.SESSION_PREFIX = getattr(own, "SESSION_PREFIX", None)
        setattr(sessions, name, ours)
    # Where they look for the files of theirs.
    theirs.localDir = type(theirs.localDir)(tempfile.mkdtemp())
