"""The socket on 127.0.0.1, and a server that can let it go for a while.

Not here: what is answered, and how (server, sending).
"""

import asyncio
import socket
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.sending import BreakableProtocol

HOST = "127.0.0.1"
_BACKLOG = 128
_AGAIN = 0.1


def listen(port: int) -> socket.socket:
    """A socket that listens at that port of 127.0.0.1; 0: at a free one.

    Raises:
        BadInput: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise BadInput(
            f"port {port} of {HOST} is taken; set MARKETDATA_SIMULATOR_PORT to a free one"
        ) from error
    return listener


class Server(uvicorn.Server):
    """Serves an application at one port of 127.0.0.1."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=BreakableProtocol,
                ws="none",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._port = port
        self._absence: asyncio.Task[None] | None = None

    def refuse(self, seconds: float) -> None:
        """Do not listen for so long: the system refuses whoever connects. Connections stay."""
        if self._absence is None or self._absence.done():
            for one in self.servers:
                one.close()
            self._absence = asyncio.get_running_loop().create_task(self._listen_after(seconds))

    async def _listen_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.should_exit:
            return
        loop, listener = asyncio.get_running_loop(), self._listener()
        if listener is None:
            self._absence = loop.create_task(self._listen_after(_AGAIN))
            return
        protocol = partial(
            BreakableProtocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [await loop.create_server(protocol, sock=listener, backlog=_BACKLOG)]

    def _listener(self) -> socket.socket | None:
        """Our port again; None as long as somebody who was quicker has it."""
        try:
            return listen(self._port)
        except BadInput:
            return None
