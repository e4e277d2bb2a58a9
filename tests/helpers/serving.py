"""Starts real web servers with `probe_app` on them."""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import filelock

import websession
from machine import missing
from support import started, until
from websession.demo import on_uwsgi

WORKERS = 3
SYSTEM_PATH = os.defpath + ":/usr/sbin:/sbin"

LIGHTTPD = """
server.bind = "{root}/socket"
server.document-root = "{root}/www"
server.errorlog = "{root}/errors"
server.stream-response-body = 1
server.modules = ("mod_setenv", "mod_cgi")
cgi.assign = (".py" => "{python}")
setenv.add-environment = (
    {environment}
)
"""

APACHE = """
ServerRoot "{root}"
ServerName localhost
PidFile "{root}/run/pid"
DefaultRuntimeDir "{root}/run"
ErrorLog "{root}/errors"
LogLevel warn
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
{user}
WSGISocketPrefix "{root}/run/wsgi"
WSGIDaemonProcess probe processes={workers} threads=4 \
    python-path={root}/code response-buffer-size=0
WSGIProcessGroup probe
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / "{root}/code/start.py"
<Directory "{root}/code">
Require all granted
</Directory>
"""


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Site:
    """
    A running server.

    Attributes:
        base: what stands before each path.
        sessions: the directory of the sessions.
    """

    def __init__(self, address, sessions, base=""):
        self.address = address
        self.sessions = sessions
        self.base = base

    def connect(self):
        if isinstance(self.address, int):
            return http.client.HTTPConnection(
                "127.0.0.1", self.address, timeout=30
            )
        return UnixConnection(self.address, timeout=30)

    def is_ready(self):
        with (
            contextlib.suppress(OSError),
            contextlib.closing(self.connect()) as connection,
        ):
            connection.connect()
            return True


def program(name, package):
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        missing(package)
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def python_paths():
    """Where another Python finds the probe, the package and filelock."""
    modules = websession.__file__, filelock.__file__
    return [
        str(Path(__file__).parent),
        *dict.fromkeys(str(Path(file).parents[1]) for file in modules),
    ]


@contextlib.contextmanager
def running(command, root, site, environment=None):
    """The site, once somebody listens."""

    def ready():
        assert process.poll() is None, "".join(
            log.read_text()
            for log in (Path(root, "errors"), Path(root, "output"))
            if log.exists()
        )
        return site.is_ready()

    with (
        Path(root, "output").open("w") as output,
        started(
            command,
            env={**os.environ, **(environment or {})},
            stderr=output,
            cwd=root,
        ) as process,
    ):
        until(ready)
        yield site


def environment_of(sessions):
    """Where a probe finds the sessions, and what it imports."""
    helpers = Path(__file__).resolve().parent
    frameworks = helpers.parent / "frameworks"
    # The same code as in the tests, which need not be what is installed.
    ours = Path(websession.__file__).parents[1]
    places = [helpers, frameworks, frameworks / "probes", ours]
    return {
        "PROBE_SESSIONS": str(sessions),
        "PYTHONPATH": os.pathsep.join(map(str, places)),
    }


@contextlib.contextmanager
def gunicorn(root, *options, app="probe_app"):
    if find_spec("gunicorn") is None:
        missing("gunicorn")
    sessions = Path(root, "sessions")
    command = [sys.executable, "-m", "gunicorn", "-w", str(WORKERS)]
    command += ["-b", f"unix:{root}/socket", *options, app]
    site = Site(f"{root}/socket", sessions)
    with running(command, root, site, environment_of(sessions)):
        yield site


@contextlib.contextmanager
def python(root, *arguments):
    """A server that is a Python program; ``{socket}`` is where it listens."""
    sessions = Path(root, "sessions")
    socket = f"{root}/socket"
    command = [sys.executable, *arguments]
    command = [each.replace("{socket}", socket) for each in command]
    with running(
        command, root, Site(socket, sessions), environment_of(sessions)
    ) as site:
        yield site


def uvicorn(root, app):
    return python(
        root, "-m", "uvicorn", "--uds", "{socket}",
        "--workers", str(WORKERS), "--log-level", "warning", app,
    )  # fmt: skip


@contextlib.contextmanager
def uwsgi(root):
    if not on_uwsgi.available():
        missing("uWSGI")
    sessions = Path(root, "sessions")
    found = on_uwsgi._program()
    command = [found, "--http-socket", f"{root}/socket", "--master"]
    command += ["--processes", str(WORKERS), "--threads", "2"]
    command += ["--enable-threads", "--single-interpreter", "--need-app"]
    command += ["--die-on-term", "--module", "probe_app"]
    command += ["--buffer-size", "32768"]  # of headers
    for path in python_paths():
        command += ["--pythonpath", path]
    listed = subprocess.run([found, "--plugins-list"], capture_output=True)
    if b": python" not in listed.stdout + listed.stderr:
        command[1:1] = ["--plugin", "python3"]
    site = Site(f"{root}/socket", sessions)
    with running(command, root, site, environment_of(sessions)):
        yield site


@contextlib.contextmanager
def cgi(root):
    lighttpd = program("lighttpd", "lighttpd")
    sessions = Path(root, "sessions")
    www = Path(root, "www")
    www.mkdir()
    (www / "probe.py").symlink_to(Path(__file__).parent / "probe_app.py")
    environment = environment_of(sessions)
    environment["PYTHONPATH"] = str(Path(websession.__file__).parents[1])
    config = Path(root, "conf")
    config.write_text(
        LIGHTTPD.format(
            root=root,
            python=sys.executable,
            environment=",\n".join(
                f'"{name}" => "{value}"' for name, value in environment.items()
            ),
        )
    )
    site = Site(f"{root}/socket", sessions, "/probe.py")
    with running([lighttpd, "-D", "-f", str(config)], root, site):
        yield site


@contextlib.contextmanager
def apache(root):
    """Its processes are those of another user where we are root."""
    httpd = program("apache2", "Apache")
    modules = Path("/usr/lib/apache2/modules")
    if not (modules / "mod_wsgi.so").exists():
        missing("mod_wsgi")
    root = Path(root)
    root.chmod(0o755)
    code = root / "code"
    for package in (
        Path(websession.__file__).parent,
        Path(filelock.__file__).parent,
    ):
        shutil.copytree(package, code / package.name)
    for name in "probe_app.py", "probe_actions.py":
        shutil.copy(Path(__file__).parent / name, code)
    (root / "run").mkdir()
    sessions = root / "private" / "sessions"
    sessions.parent.mkdir(mode=0o700)
    (code / "start.py").write_text(
        "import os\n"
        f"os.environ['PROBE_SESSIONS'] = {str(sessions)!r}\n"
        "from probe_app import application\n"
    )
    user = ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data"
        entry = pwd.getpwnam("www-data")
        os.chown(sessions.parent, entry.pw_uid, entry.pw_gid)
    port = free_port()
    config = root / "conf"
    config.write_text(
        APACHE.format(
            root=root, port=port, modules=modules, user=user, workers=WORKERS
        )
    )
    command = [httpd, "-D", "FOREGROUND", "-f", str(config)]
    with running(command, root, Site(port, sessions)) as site:
        yield site


SERVERS = {
    "gunicorn": lambda root: gunicorn(root),
    "gunicorn-preload": lambda root: gunicorn(root, "--preload"),
    "gunicorn-threads": lambda root: gunicorn(root, "--threads", "4"),
    "uwsgi": uwsgi,
    "cgi": cgi,
    "mod_wsgi": apache,
}


@contextlib.contextmanager
def serving(start):
    """The site that `start` brings up in a directory of its own."""
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="ws-") as root:
        with start(root) as site:
            yield site
