"""`probe_actions` on Flask."""

import os

import flask

from probe_actions import act
from websession.flask import WebSessionInterface

app = flask.Flask(__name__)
app.config["SESSION_COOKIE_NAME"] = "sid"
WebSessionInterface(os.environ["PROBE_SESSIONS"]).init_app(app)


@app.get("/<action>")
def answer(action):
    query = flask.request.query_string.decode("utf-8")
    return act(flask.session, f"/{action}", query)
