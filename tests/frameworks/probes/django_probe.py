"""`probe_actions` on Django."""

import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import django_site
from probe_actions import ACTIONS, act


def log_in(session, query):
    session.cycle_key()
    session["user"] = query["name"]


actions = {
    **ACTIONS,
    "/log-in": log_in,
    "/log-out": lambda session, query: session.flush(),
}


def answer(request, action):
    query = request.META["QUERY_STRING"]
    body = act(request.session, f"/{action}", query, actions)
    return HttpResponse(body, content_type="application/json")


urlpatterns = [path("<action>", answer)]
django_site.configure(
    os.environ["PROBE_SESSIONS"],
    ROOT_URLCONF=__name__,
    SESSION_COOKIE_NAME="sid",
)
application = get_wsgi_application()
