"""Django's settings for tests, one set per process."""

from __future__ import annotations

import sys

import django
from django.conf import settings


def configure(path, *apps, **others):
    """
    Settings with our engine; `others` replace them.

    Args:
        path: where the sessions are to be.
        apps: installed besides the one for sessions.
    """
    settings.configure(
        **{
            "SECRET_KEY": "x" * 50,
            "ALLOWED_HOSTS": ["*"],
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": ":memory:",
                }
            },
            "INSTALLED_APPS": [
                "django.contrib.sessions",
                "websession.django",
                *apps,
            ],
            "MIDDLEWARE": [
                "django.contrib.sessions.middleware.SessionMiddleware"
            ],
            "SESSION_ENGINE": "websession.django",
            "WEBSESSION_PATH": path,
            "USE_TZ": True,
            **others,
        }
    )
    django.setup()


def main():
    """``manage.py`` for a store: python django_site.py PATH COMMAND ..."""
    from django.core.management import execute_from_command_line

    configure(sys.argv.pop(1))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
