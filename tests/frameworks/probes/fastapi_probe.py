"""`probe_actions` on FastAPI."""

import os

from fastapi import FastAPI, Request, Response, WebSocket

from probe_actions import act
from websession.asgi import SessionMiddleware
from websession.web import SessionCookie

app = FastAPI()
app.add_middleware(
    SessionMiddleware,
    sessions=os.environ["PROBE_SESSIONS"],
    cookie=SessionCookie("sid", secure=None),
)


@app.get("/{action}")
def answer(action: str, request: Request) -> Response:
    # Not `async`: an action may wait, and does so in a thread.
    body = act(request.session, f"/{action}", request.url.query)
    return Response(body, media_type="application/json")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(dict(websocket.session))
    await websocket.close()
