"""The files and commands of the guide to deployment, in real servers."""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import pytest

import websession
from client import Client
from documents import GUIDES, blocks, named
from machine import missing
from serving import Site, free_port, program, python_paths, running
from websession.demo import on_uwsgi

pytestmark = pytest.mark.server

DEPLOYMENT = GUIDES["deployment"]

NGINX = """
daemon off;
{user}
pid {root}/nginx.pid;
error_log {root}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    include {root}/nginx.conf;
}}
"""

APACHE = """
ServerRoot "{root}"
ServerName localhost
PidFile "{root}/run.pid"
DefaultRuntimeDir "{root}"
ErrorLog "{root}/errors"
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
{user}
Include {root}/apache.conf
"""


class TLSSite(Site):
    def connect(self):
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(
            "127.0.0.1", self.address, timeout=30, context=context
        )


@pytest.fixture
def root():
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="ws-") as root:
        root = Path(root)
        (root / "shop").mkdir(0o700)
        (root / "code").mkdir()
        (root / "code" / "shop.py").write_text(text("shop.py", root))
        yield root


def text(file, root):
    return named(DEPLOYMENT, file, root / "shop")


def counts(site):
    client = Client(site)
    return [client.get("/").body for _ in range(3)] == [
        b"1 visits", b"2 visits", b"3 visits",
    ]  # fmt: skip


def test_gunicorn(root):
    (command,) = (
        block.code
        for block in blocks(DEPLOYMENT, root / "shop")
        if block.code.startswith("gunicorn ")
    )
    port = free_port()
    command = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join([str(root / "code"), *python_paths()]),
    }
    site = Site(port, root / "shop" / "sessions")
    with running(["sh", "-c", f"exec {command}"], root, site, environment):
        assert counts(site)
    assert site.sessions.is_dir()


@contextlib.contextmanager
def uwsgi(root):
    if not on_uwsgi.available():
        missing("uWSGI")
    (root / "uwsgi.ini").write_text(text("uwsgi.ini", root))
    # As the guide says: nginx enters this one, and not that of the sessions.
    (root / "run").mkdir(0o750)
    if os.geteuid() == 0:
        root.chmod(0o755)
        os.chown(root / "run", 0, pwd.getpwnam("www-data").pw_gid)
    found = on_uwsgi._program()
    command = [found, "--ini", "uwsgi.ini"]
    listed = subprocess.run([found, "--plugins-list"], capture_output=True)
    if b": python" not in listed.stdout + listed.stderr:
        command[1:1] = ["--plugin", "python3"]
    for path in (str(root / "code"), *python_paths()):
        command += ["--pythonpath", path]
    site = Site(str(root / "run" / "uwsgi.sock"), root / "shop" / "sessions")
    with running(command, root, site):
        yield


@contextlib.contextmanager
def nginx(root):
    found = program("nginx", "nginx")
    port = free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048",
         "-days", "1", "-subj", "/CN=shop.example",
         "-keyout", root / "shop.key", "-out", root / "shop.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    config = text("nginx.conf", root)
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl", str(root)),
        ("include uwsgi_params", "include /etc/nginx/uwsgi_params"),
    ):
        assert old in config
        config = config.replace(old, new)
    (root / "nginx.conf").write_text(config)
    user = "user www-data;" if os.geteuid() == 0 else ""
    (root / "main.conf").write_text(NGINX.format(root=root, user=user))
    site = TLSSite(port, root / "shop" / "sessions")
    command = [found, "-p", str(root), "-c", str(root / "main.conf")]
    with running([*command, "-e", str(root / "errors")], root, site):
        yield site


def test_uwsgi_behind_nginx(root):
    with uwsgi(root), nginx(root) as site:
        assert counts(site)


def test_apache(root):
    found = program("apache2", "Apache")
    modules = Path("/usr/lib/apache2/modules")
    if not (modules / "mod_wsgi.so").exists():
        missing("mod_wsgi")
    root.chmod(0o755)
    for module in websession, filelock:
        package = Path(module.__file__).parent
        shutil.copytree(package, root / "code" / package.name)
    user = ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data"
        entry = pwd.getpwnam("www-data")
        os.chown(root / "shop", entry.pw_uid, entry.pw_gid)
    port = free_port()
    (root / "apache.conf").write_text(text("apache.conf", root))
    (root / "main.conf").write_text(
        APACHE.format(root=root, port=port, modules=modules, user=user)
    )
    site = Site(port, root / "shop" / "sessions")
    command = [found, "-D", "FOREGROUND", "-f", str(root / "main.conf")]
    with running(command, root, site):
        assert counts(site)


def test_systemd_takes_the_unit(root):
    found = program("systemd-analyze", "systemd")
    gunicorn = root / "code" / ".venv" / "bin" / "gunicorn"
    gunicorn.parent.mkdir(parents=True)
    gunicorn.symlink_to("/bin/true")
    unit = root / "shop.service"
    unit.write_text(text("shop.service", root))
    done = subprocess.run(
        [found, "verify", "--man=no", str(unit)],
        capture_output=True, text=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "shop" in line]
    assert not said
