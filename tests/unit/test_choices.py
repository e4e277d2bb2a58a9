"""What type checkers know of keywords is what is taken."""

import inspect
from typing import get_args

import pytest

from websession import FileStore, WebSession, options, serializers
from websession.asgi import SessionMiddleware as AsgiMiddleware
from websession.disk import backend, engine, root
from websession.options import (
    FileStoreOptions,
    MiddlewareOptions,
    SiteOptions,
    WebOptions,
)
from websession.web import cookie, events
from websession.wsgi import SessionMiddleware


def taken(func):
    """The named keywords of a function, and what they may be."""
    return {
        name: each.annotation
        for name, each in inspect.signature(func).parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }


def known(typed):
    """The keywords of a TypedDict, and what they may be."""
    return {
        name: each.__forward_arg__
        for name, each in typed.__annotations__.items()
    }


def test_those_of_a_store_are_known():
    assert known(FileStoreOptions) == taken(FileStore)


def test_those_of_a_site_are_known():
    of_site = taken(WebSession.for_web)
    assert known(WebOptions) == {**known(FileStoreOptions), **of_site}
    del of_site["idle"], of_site["lifetime"]
    assert known(SiteOptions) == {**known(FileStoreOptions), **of_site}


@pytest.mark.parametrize("middleware", [SessionMiddleware, AsgiMiddleware])
def test_a_middleware_has_one_of_them_itself(middleware):
    all_of_them = known(WebOptions)
    assert taken(middleware).keys() & all_of_them.keys() == {"lock_timeout"}
    del all_of_them["lock_timeout"]
    assert known(MiddlewareOptions) == all_of_them


@pytest.mark.parametrize(
    ("names", "there"),
    [
        (options.SerializerName, serializers._makers),
        (options.Durability, engine.DURABILITIES),
        (options.Shards, root.SHARD_DIGITS),
        (options.BackendChoice, backend.CHOICES),
        (options.SameSite, cookie._SAME_SITE),
        (options.EventName, events._LEVELS),
    ],
)
def test_names_are_those_that_are_there(names, there):
    assert get_args(names) == tuple(there)
