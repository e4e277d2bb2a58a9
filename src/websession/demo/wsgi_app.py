"""
The demo for servers that import an application: uWSGI, mod_wsgi, gunicorn on
its own (``gunicorn websession.demo.wsgi_app``).
"""

from __future__ import annotations

from .app import default_directory, make_app

__all__ = ["application"]

application = make_app(default_directory())
