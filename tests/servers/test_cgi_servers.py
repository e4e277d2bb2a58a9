"""
Scripts that print their headers themselves, as on shared hosting: two packages
copied to the account, no module in C, a Python that knows of no other
packages, and servers that run scripts as a user without privileges.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
from pathlib import Path

import filelock
import pytest

import websession
from client import Client
from contract.site import (  # noqa: F401
    test_a_cookie_made_up_is_not_adopted,
    test_a_log_out_with_the_id_from_before_a_log_in_ends_both,
    test_changes_inside_values,
    test_crawlers_leave_nothing,
    test_every_increment_counts,
    test_keys_of_a_slow_and_a_quick_request,
    test_log_out_wins_over_a_slow_request,
    test_reading_writes_nothing,
    test_the_id_from_before_a_log_in_is_good_for_nothing,
)
from machine import missing
from serving import Site, free_port, program, running, serving

# A process for each request; which Python the tests have does not matter.
pytestmark = [pytest.mark.server, pytest.mark.stress]

HELPERS = Path(__file__).parents[1] / "helpers"
# It sees neither packages of the system nor variables of the environment.
PYTHON = "/usr/bin/python3"

LIGHTTPD = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{root}/scripts"
server.errorlog = "{root}/run/errors"
server.modules = ("mod_cgi")
cgi.assign = (".cgi" => "")
{user}
"""

APACHE = """
ServerRoot "{root}"
ServerName localhost
PidFile "{root}/run/pid"
DefaultRuntimeDir "{root}/run"
ErrorLog "{root}/run/errors"
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule cgid_module {modules}/mod_cgid.so
ScriptSock {root}/run/cgi
{user}
ScriptAlias / "{root}/scripts/"
<Directory "{root}/scripts">
Require all granted
</Directory>
"""


def account(root):
    """The files of an account, and where its sessions are."""
    root.chmod(0o755)
    library, scripts = root / "library", root / "scripts"
    for package in (websession, filelock):
        source = Path(package.__file__).parent
        shutil.copytree(
            source,
            library / source.name,
            ignore=shutil.ignore_patterns("*.so", "__pycache__"),
        )
    scripts.mkdir()
    shutil.copy(HELPERS / "probe_actions.py", library)
    script = scripts / "probe.cgi"
    script.write_text(
        f"#!{PYTHON} -IS\n"
        "import sys\n"
        f"sys.path.insert(0, {str(library)!r})\n"
        + (HELPERS / "probe_cgi.py").read_text()
    )
    script.chmod(0o755)
    sessions = root / "home" / "sessions"
    sessions.parent.mkdir(mode=0o700)
    (library / "settings.py").write_text(f"SESSIONS = {str(sessions)!r}\n")
    (root / "run").mkdir()
    if os.geteuid() == 0:
        entry = pwd.getpwnam("www-data")
        # The library too, for Python keeps there what it has compiled.
        packages = [path for path in library.rglob("*") if path.is_dir()]
        for place in sessions.parent, root / "run", library, *packages:
            os.chown(place, entry.pw_uid, entry.pw_gid)
    return sessions


def as_user(directives):
    """Lines for a server that is started by root."""
    return directives if os.geteuid() == 0 else ""


@contextlib.contextmanager
def served(root, command, template, user, **settings):
    root = Path(root)
    sessions, port = account(root), free_port()
    config = root / "conf"
    config.write_text(
        template.format(root=root, port=port, user=as_user(user), **settings)
    )
    site = Site(port, sessions, "/probe.cgi")
    with running([*command, "-f", str(config)], root, site):
        yield site


def lighttpd(root):
    return served(
        root,
        [program("lighttpd", "lighttpd"), "-D"],
        LIGHTTPD,
        'server.username = "www-data"\nserver.groupname = "www-data"',
    )


def apache(root):
    modules = Path("/usr/lib/apache2/modules")
    if not (modules / "mod_cgid.so").exists():
        missing("mod_cgid")
    return served(
        root,
        [program("apache2", "Apache"), "-D", "FOREGROUND"],
        APACHE,
        "User www-data\nGroup www-data",
        modules=modules,
    )


@pytest.fixture(scope="module", params=[lighttpd, apache])
def site(request):
    if not Path(PYTHON).exists():
        missing(PYTHON)
    with serving(request.param) as site:
        yield site


@pytest.fixture
def client(site):
    return Client(site)


def test_it_is_a_user_without_privileges_and_the_backend_in_python(client):
    client.value("/count")
    assert client.get("/get").body.endswith(b'"backend": "python"}')
    if os.geteuid() == 0:
        owner = client.file.stat().st_uid
        assert owner == pwd.getpwnam("www-data").pw_uid


def test_nobody_is_told_on_each_request_that_c_is_missing(site, client):
    client.value("/count")
    client.value("/get")
    root = site.sessions.parents[1]
    said = (root / "run" / "errors").read_text()
    assert "websession" not in said
    assert "Warning" not in said


def test_who_waits_in_vain_for_the_session_is_told_to_try_again(client):
    client.value("/count")
    with client.held("/locked/put?key=slow&value=1") as finish:
        answer = client.get("/impatient/get")
        assert answer.status == 503
        assert answer.getheader("Retry-After") == "1"
        assert b"Another request" in answer.body
        assert finish().status == 200


def test_a_session_that_is_too_large_is_a_413(client):
    client.value("/count")
    for _ in range(3):
        answer = client.get(f"/double?seed={'x' * 4000}")
    assert answer.status == 413
    assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert b"Nothing was stored" in answer.body
    assert client.value("/count") == 2


def test_an_error_of_the_script_stores_nothing(client):
    client.value("/count")
    assert client.get("/no-such-action").status == 500
    assert client.value("/get") == {"count": 1}
