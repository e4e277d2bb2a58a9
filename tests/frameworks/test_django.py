"""The session engine for Django: what goes beyond its own tests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

import django_site
import websession
from support import in_processes, session_files, stopped_writer
from websession import SessionTooLarge

if not django_settings.configured:
    django_site.configure(None)

HERE = Path(__file__).parent
AGE = 1000


@pytest.fixture
def engine(root, backend):
    """`SessionStore`, with its sessions in `root`."""
    from websession.django import SessionStore

    with override_settings(
        WEBSESSION_PATH=root,
        WEBSESSION_OPTIONS={"backend": backend, "sweep_interval": 0},
        SESSION_COOKIE_AGE=AGE,
    ):
        yield SessionStore


@pytest.fixture
def at(engine, clock):
    """Moves the time of the engine: at(seconds)."""
    from websession.django import _manager

    _manager().sessions._clock = clock
    return clock.move


def stored(engine, **data):
    session = engine()
    session.update(data)
    session.save()
    return session.session_key


def visit(key, view):
    """What the middleware answers to a request."""
    request = RequestFactory().get("/")
    if key is not None:
        request.COOKIES[django_settings.SESSION_COOKIE_NAME] = key

    def answer(request):
        view(request.session)
        return HttpResponse()

    return SessionMiddleware(answer)(request)


class Urls:
    """A site that answers in its own words."""

    urlpatterns = ()

    @staticmethod
    def handler400(request, exception):
        status = 413 if isinstance(exception, SessionTooLarge) else 400
        return HttpResponse(type(exception).__name__, status=status)


def test_a_session_that_is_too_large_is_for_handler400(engine, caplog):
    key = stored(engine, a=1)
    options = {**django_settings.WEBSESSION_OPTIONS, "max_size": 200}
    request = RequestFactory().get("/")
    request.COOKIES[django_settings.SESSION_COOKIE_NAME] = key

    def view(request):
        request.session["cart"] = "x" * 200
        return HttpResponse()

    with override_settings(WEBSESSION_OPTIONS=options, ROOT_URLCONF=Urls):
        answer = convert_exception_to_response(SessionMiddleware(view))(
            request
        )
        with pytest.raises(SessionTooLarge):
            stored(engine, cart="x" * 200)
    assert (answer.status_code, answer.content) == (413, b"TooLarge")
    assert dict(engine(key).items()) == {"a": 1}
    told = [each for each in caplog.records if each.name == "websession"]
    assert len(told) == 2
    assert all("('cart' 202" in each.getMessage() for each in told)


def test_two_requests_keep_both_changes(engine):
    key = stored(engine, a=1)
    slow, quick = engine(key), engine(key)
    slow["slow"] = slow["a"]
    quick["quick"] = quick["a"]
    quick.save()
    slow.save()
    assert dict(engine(key).items()) == {"a": 1, "slow": 1, "quick": 1}
    assert slow["quick"] == 1


def test_a_deleted_key_stays_deleted_in_a_merge(engine):
    key = stored(engine, a=1, b=2)
    slow, quick = engine(key), engine(key)
    slow["a"] = 3
    del quick["b"]
    quick.save()
    slow.save()
    assert dict(engine(key).items()) == {"a": 3}


def test_a_change_inside_a_value_is_saved(engine):
    key = stored(engine, list=[1])
    visit(key, lambda session: session["list"].append(2))
    assert engine(key)["list"] == [1, 2]


def test_a_request_that_reads_writes_nothing(engine, root):
    key = stored(engine, a=1)
    (file,) = session_files(root)
    before = file.stat().st_mtime_ns, file.read_bytes()
    answer = visit(key, lambda session: session["a"])
    assert not answer.cookies
    assert answer.headers["Vary"] == "Cookie"
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def test_a_request_without_use_stores_nothing(engine, root):
    answer = visit(None, lambda session: None)
    assert not answer.cookies
    visit("x" * 32, lambda session: session.get("a"))
    assert not root.exists() or session_files(root) == []


def test_an_unknown_key_is_not_adopted(engine):
    answer = visit("x" * 32, lambda session: session.update({"a": 1}))
    made = answer.cookies[django_settings.SESSION_COOKIE_NAME].value
    adopted = made == "x" * 32
    assert not adopted
    assert engine(made)["a"] == 1
    assert len(made) == 32


def test_log_out_wins_over_a_slow_request(engine, root):
    key = stored(engine, a=1)

    def view(session):
        session["slow"] = 1
        engine(key).flush()

    with pytest.raises(SessionInterrupted):
        visit(key, view)
    assert session_files(root) == []


def test_saving_what_is_not_there_makes_nothing(engine, root):
    session = engine("y" * 32)
    session["a"] = 1
    stranger = session.session_key
    assert stranger is None  # not adopted: what is saved is another session
    with pytest.raises(UpdateError):
        engine("z" * 32).save()


def test_a_new_key_keeps_data_and_age_and_kills_the_old_one(engine, at):
    from websession.django import _manager

    key = stored(engine, a=1)
    made = _manager().sessions.readSession(key).created
    at(60)
    session = engine(key)
    session["user"] = "ann"
    session.cycle_key()
    session.save()
    renewed = session.session_key != key
    assert renewed
    assert not engine().exists(key)
    assert dict(engine(session.session_key).items()) == {"a": 1, "user": "ann"}
    record = _manager().sessions.readSession(session.session_key)
    assert record.created == made


def test_a_new_key_does_not_bring_back_what_was_deleted(engine, root):
    key = stored(engine, a=1)

    def view(session):
        assert session["a"] == 1
        engine(key).flush()
        session.cycle_key()
        session["user"] = "ann"

    with pytest.raises(SessionInterrupted):
        visit(key, view)
    assert session_files(root) == []
    session = engine(key)
    session.cycle_key()  # of no session: a new one, with nothing in it
    session.save()
    assert session.session_key not in (None, key)
    assert dict(engine(session.session_key).items()) == {}


def test_a_new_key_that_comes_second_does_not_double_the_session(engine, root):
    key = stored(engine, a=1)
    one, other = engine(key), engine(key)
    for session in one, other:
        session["user"] = "ann"
    one.cycle_key()
    one.save()
    other.cycle_key()
    with pytest.raises(UpdateError):
        other.save()
    with pytest.raises(UpdateError):
        other.atomically(lambda data: data.update(b=1))
    assert len(session_files(root)) == 1


def test_an_atomic_change_after_clear_is_one_of_nothing(engine):
    key = stored(engine, a=1)
    session = engine(key)
    session.clear()
    session.atomically(lambda data: data.update(b=2))
    assert dict(engine(key).items()) == {"b": 2}
    engine(key).flush()
    session = engine(key)
    session.clear()
    with pytest.raises(UpdateError):
        session.atomically(lambda data: None)


def test_remember_me_outlives_the_cookie_age(engine, at):
    session = engine()
    session["a"] = 1
    session.set_expiry(50 * AGE)
    session.save()
    engine.clear_expired()
    at(50 * AGE)
    engine.clear_expired()
    assert engine(session.session_key)["a"] == 1
    at(1)
    assert dict(engine(session.session_key).items()) == {}
    engine.clear_expired()


def test_a_shorter_expiry_holds(engine, at):
    session = engine()
    session["a"] = 1
    session.set_expiry(10)
    session.save()
    at(11)
    assert not engine().exists(session.session_key)
    assert dict(engine(session.session_key).items()) == {}


PAST = [
    -1,
    -3600,
    timedelta(seconds=-10),
    datetime(2020, 1, 1, tzinfo=timezone.utc),
]


@pytest.mark.parametrize("expiry", PAST)
def test_what_an_expiry_has_ended_is_gone_at_once(engine, root, expiry):
    session = engine()
    session["a"] = 1
    session.set_expiry(expiry)
    session.save()
    assert not root.exists() or session_files(root) == []
    assert not engine().exists(session.session_key)
    session["b"] = 1
    session.save()  # by the middleware, after one by the view
    assert not engine().exists(session.session_key)


@pytest.mark.parametrize("how", ["save", "atomically"])
@pytest.mark.parametrize("expiry", PAST)
def test_a_session_that_was_there_is_ended_by_its_expiry(
    engine, root, expiry, how
):
    key = stored(engine, a=1)
    session = engine(key)
    session.set_expiry(expiry)
    if how == "save":
        session.save()
    else:
        session.atomically(lambda data: data.update(b=1))
    assert session_files(root) == []
    assert not engine().exists(key)
    assert dict(engine(key).items()) == {}


def test_a_date_that_has_passed_ends_a_session_for_everybody(engine, root, at):
    """Whatever the limit in seconds that it was stored with."""
    from websession.django import _manager

    for look in (
        lambda key: engine().exists(key),
        lambda key: asyncio.run(engine().aexists(key)),
        lambda key: bool(dict(engine(key).items())),
    ):
        key = _manager().sessions.newSession(
            data={"_session_expiry": "2020-01-01T00:00:00+00:00", "a": 1}
        )
        assert not look(key)
        assert session_files(root) == []


def test_files_of_short_sessions_do_not_linger(engine, root, at):
    for expiry in 10, datetime.now(timezone.utc) + timedelta(seconds=10.5):
        session = engine()
        session["a"] = 1
        session.set_expiry(expiry)
        session.save()
        assert engine().exists(session.session_key)
    stored(engine, a=1)
    at(11)
    engine.clear_expired()
    assert len(session_files(root)) == 1


def test_an_expiry_can_be_taken_back(engine, at):
    session = engine()
    session.set_expiry(10)
    session.save()
    session = engine(session.session_key)
    session.set_expiry(None)
    session.save()
    at(AGE)
    assert engine().exists(session.session_key)
    at(1)
    assert not engine().exists(session.session_key)


def test_a_date_of_expiry_does_not_move(engine, root):
    session = engine()
    session["a"] = 1
    session.set_expiry(datetime.now(timezone.utc) + timedelta(seconds=0.2))
    session.save()
    key = session.session_key
    while session.get_expiry_age() > 0:
        engine(key).get("a")
    assert dict(engine(key).items()) == {}
    assert session_files(root) == []


def test_without_an_expiry_the_cookie_age_holds(engine, at, root):
    key = stored(engine, a=1)
    at(AGE)
    assert engine().exists(key)
    at(1)
    assert not engine().exists(key)
    stored(engine, b=1)
    at(AGE + 1)
    engine.clear_expired()
    assert session_files(root) == []


def test_an_empty_session_can_be_saved(engine):
    key = stored(engine, a=1)
    session = engine(key)
    session.clear()
    session.save()
    assert engine().exists(key)
    assert dict(engine(key).items()) == {}


def test_what_cannot_be_kept_names_its_key(engine, root):
    session = engine()
    session["odd"] = object()
    with pytest.raises(TypeError, match=r"session\['odd'\]"):
        session.save()
    assert session_files(root) == []


def test_another_serializer(root, engine):
    with override_settings(SESSION_SERIALIZER="test_django.Shouting"):
        key = stored(engine, a="quiet")
        assert engine(key)["a"] == "QUIET"
    # What it wrote is nothing to Django's own, and stays where it is.
    assert dict(engine(key).items()) == {}
    with override_settings(SESSION_SERIALIZER="test_django.Shouting"):
        assert engine(key)["a"] == "QUIET"


class Shouting:
    """A serialiser as Django wants them."""

    def dumps(self, data):
        return repr(data).upper().encode()

    def loads(self, raw):
        return {
            key.lower(): value for key, value in eval(raw.decode()).items()
        }


def test_atomically_loses_no_increment(engine):
    key = stored(engine, n=0)

    def add(data):
        data["n"] += 1

    def many(number):
        for _ in range(100):
            engine(key).atomically(add)

    in_processes(4, many)
    session = engine(key)
    assert session["n"] == 400
    session["other"] = 1
    session.atomically(add)
    assert dict(engine(key).items()) == {"n": 401, "other": 1}


def test_atomically_makes_a_session(engine):
    session = engine()
    session.atomically(lambda data: data.update(a=1))
    assert engine(session.session_key)["a"] == 1


def test_atomically_does_not_bring_a_session_back(engine):
    key = stored(engine, a=1)
    session = engine(key)
    assert session["a"] == 1
    engine(key).delete()
    with pytest.raises(UpdateError):
        session.atomically(lambda data: data.update(a=2))


def test_asynchronous_views(engine):
    async def view():
        session = engine()
        session["a"] = 1
        await session.asave()
        key = session.session_key
        assert await session.aexists(key)
        other = engine(key)
        assert await other.aload() == {"a": 1}
        other["b"] = 2
        await other.acycle_key()
        await other.asave()
        assert not await session.aexists(key)
        with pytest.raises(UpdateError):
            session["late"] = 1
            await session.asave()
        await engine.aclear_expired()
        key = other.session_key
        assert await engine(key).aload() == {"a": 1, "b": 2}
        await other.aflush()
        assert not await engine().aexists(key)

    asyncio.run(view())


def test_an_asynchronous_read_waits_beside_the_loop(engine, root):
    key = stored(engine, a=1)

    async def beside(look, writer):
        task = asyncio.create_task(look)
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert not task.done()
        writer.kill()
        return await task

    for look, found in (
        (engine(key).aload, {"a": 1}),
        (lambda: engine().aexists(key), True),
    ):
        with stopped_writer(root, key) as writer:
            # Blocked, the loop would never come to the end of its turns.
            assert asyncio.run(beside(look(), writer)) == found


def test_a_damaged_session_is_an_empty_one(engine, root, caplog):
    key = stored(engine, a=1)
    (file,) = session_files(root)
    file.write_bytes(b"x" * 1024)
    assert dict(engine(key).items()) == {}
    assert key not in caplog.text
    assert "corrupt" in caplog.text or "unreadable" in caplog.text


def test_what_another_program_keeps_there_is_not_overwritten(engine, root):
    from websession.django import _manager

    key = _manager().sessions.newSession(data=["a list"])
    session = engine(key)
    with pytest.raises(TypeError, match="list instead of a dict"):
        session["a"] = 1
    assert _manager().sessions.retrieveSession(key) == ["a list"]
    key = _manager().sessions.newSession()
    assert dict(engine(key).items()) == {}


def test_the_path_may_be_a_session_store_or_a_websession(root):
    from websession.django import SessionStore

    store = websession.FileStore(root, serializer="json")
    for path in store, websession.WebSession(store, crossCheckVars=()):
        with override_settings(WEBSESSION_PATH=path):
            assert SessionStore(stored(SessionStore, a=1))["a"] == 1


@pytest.mark.parametrize(
    ("path", "options", "sentence"),
    [
        (None, None, "Set WEBSESSION_PATH"),
        ("open", None, "chmod 700"),
        ("new", {"durability": "some"}, "durability is one of"),
        ("new", {"colour": "red"}, "colour"),
        (websession.WebSession({}), None, r"crossCheckVars=\(\)"),
    ],
)
def test_wrong_settings_are_improperly_configured(
    tmp_path, path, options, sentence
):
    from websession.django import SessionStore

    (tmp_path / "open").mkdir(mode=0o755)
    if isinstance(path, str):
        path = tmp_path / path
    with override_settings(WEBSESSION_PATH=path, WEBSESSION_OPTIONS=options):
        with pytest.raises(ImproperlyConfigured, match=sentence):
            SessionStore().save()


@pytest.mark.parametrize("command", ["check", "clearsessions"])
def test_manage_py(root, command):
    sessions = websession.FileStore(root, sweep_interval=0)
    sessions.create("x" * 32, {}, {}, (1.0, 0, 0, 0))
    done = subprocess.run(
        [sys.executable, str(HERE / "django_site.py"), str(root), command],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    left = len(session_files(root))
    assert left == (0 if command == "clearsessions" else 1)


@pytest.mark.parametrize("path", ["", " "])
def test_manage_py_check_fails_without_a_path(path):
    done = subprocess.run(
        [sys.executable, str(HERE / "django_site.py"), path, "check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "(websession.E001) where are the sessions to be?" in done.stderr
    assert "SystemCheckError" in done.stderr


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"WEBSESSION_PATH": None}, ["websession.E001"]),
        ({"WEBSESSION_LIFETIME": "a day"}, ["websession.E002"]),
        ({"WEBSESSION_LIFETIME": timedelta(days=1)}, []),
        ({"SESSION_COOKIE_PARTITIONED": True}, ["websession.W001"]),
        (
            {
                "SESSION_COOKIE_PARTITIONED": True,
                "MIDDLEWARE": ["websession.django.SessionMiddleware"],
            },
            [],
        ),
        ({"SESSION_ENGINE": "other", "WEBSESSION_PATH": ""}, []),
    ],
)
def test_checks_of_the_settings(root, changed, expected):
    from django.core.checks import run_checks

    with override_settings(**{"WEBSESSION_PATH": root, **changed}):
        assert [each.id for each in run_checks()] == expected
    assert not root.exists()


def test_without_django_there_is_one_sentence():
    code = (
        "import sys; sys.modules['django'] = None\n"
        "try:\n    import websession.django\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == (
        "websession.django needs Django 4.2 or newer: pip install django\n"
    ), done
