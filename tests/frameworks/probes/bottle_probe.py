"""`probe_actions` on Bottle."""

import os

import bottle

from probe_actions import act
from websession.bottle import SessionPlugin
from websession.web import SessionCookie

application = bottle.Bottle()
application.install(
    SessionPlugin(
        os.environ["PROBE_SESSIONS"], cookie=SessionCookie("sid", secure=None)
    )
)


@application.get("/<action>")
def answer(action, session):
    bottle.response.content_type = "application/json"
    return act(session, f"/{action}", bottle.request.query_string)
