"""
Django's own tests of sessions, with our engine.

    python django_own.py DIRECTORY PATH BACKEND

Args:
    DIRECTORY: ``tests`` of Django's source.
    PATH: of a store.

Prints, as JSON, how many tests ran and which ones failed.
"""

from __future__ import annotations

import io
import json
import sys
import unittest

from django_site import configure

# Reads the row in the database's table; test_django.py has its like.
APART = ("test_empty_session_saved",)


def suite(module):
    """Their tests of any engine, and of the middleware."""
    from django.test import SimpleTestCase

    import websession.django as engine

    class AnyEngine(module.SessionTestsMixin, SimpleTestCase):
        backend = engine.SessionStore

    # The tests of the middleware make the database's sessions by name.
    module.DatabaseSession = engine.SessionStore
    for name in APART:
        delattr(module.SessionMiddlewareTests, name)
    loader = unittest.defaultTestLoader
    return unittest.TestSuite(
        loader.loadTestsFromTestCase(case)
        for case in (AnyEngine, module.SessionMiddlewareTests)
    )


def main(directory, path, backend):
    sys.path.insert(0, directory)
    configure(path, "sessions_tests", WEBSESSION_OPTIONS={"backend": backend})
    from django.test.runner import DiscoverRunner
    from django.test.utils import setup_test_environment
    from sessions_tests import tests

    setup_test_environment()
    runner = DiscoverRunner(verbosity=0)
    databases = runner.setup_databases()
    output = io.StringIO()
    result = unittest.TextTestRunner(output).run(suite(tests))
    runner.teardown_databases(databases)
    bad = [*result.failures, *result.errors]
    print(
        json.dumps(
            {
                "run": result.testsRun,
                "skipped": [str(test) for test, _ in result.skipped],
                "failed": {str(test): text for test, text in bad},
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
