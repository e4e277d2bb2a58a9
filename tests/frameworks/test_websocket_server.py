"""A websocket under uvicorn, with a client of another library."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import unix_connect

from client import Client
from serving import serving, uvicorn

pytestmark = pytest.mark.server


def test_a_websocket_reads_the_session():
    with serving(lambda root: uvicorn(root, "fastapi_probe:app")) as site:
        client = Client(site)
        client.value("/count")
        with unix_connect(
            site.address,
            "ws://localhost/socket",
            additional_headers={"Cookie": client.cookie},
        ) as socket:
            assert json.loads(socket.recv()) == {"count": 1}
