"""`probe_actions` on Pyramid."""

import os

from pyramid.config import Configurator
from pyramid.response import Response

from probe_actions import act
from websession.pyramid import WebSessionFactory
from websession.web import SessionCookie


def answer(request):
    path = f"/{request.matchdict['action']}"
    body = act(request.session, path, request.query_string)
    return Response(body, content_type="application/json")


with Configurator() as config:
    config.set_session_factory(
        WebSessionFactory(
            os.environ["PROBE_SESSIONS"],
            cookie=SessionCookie("sid", secure=None),
        )
    )
    config.add_route("any", "/{action}")
    config.add_view(answer, route_name="any")
    application = config.make_wsgi_app()
