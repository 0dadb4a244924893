"""The control port: misbehave on command, from any language, line by line.

A client writes one JSON object per line and reads one line for each:

    {"fault":"lose","frames":3}   begin to misbehave      {"ok":true,"number":1}
    {"stop":1}  {"stop":"all"}    stop it, or all of it   {"ok":true}
    {"show":"faults"}             what was begun          {"ok":true,"faults":{"1":{…}}}
    {"show":"connections"}        who is there            {"ok":true,"connections":[1,4]}

What is wrong is answered ``{"ok":false,"error":"…"}``, what is no JSON by hanging up. It listens on
the loopback address alone: whoever reaches it decides what the exchange does to everyone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from fluxforge.sim.faults import Fault

LOOPBACK = "127.0.0.1"


class Controlled(Protocol):
    """What can be told to misbehave."""

    @property
    def faults(self) -> dict[int, Fault]:
        """What was begun and not stopped, by number."""

    @property
    def connections(self) -> list[int]:
        """The numbers of the connections that are open."""

    def misbehave(self, fault: Mapping[str, Any]) -> int:
        """Begin a fault."""

    def behave(self, which: int | None = None) -> None:
        """Stop a fault, or all."""


class ControlPort:
    """Serves commands for an exchange.

    Args:
        exchange: Who is told.
        port: Port to listen on; 0 lets the system choose.

    Attributes:
        port: The port it listens on, once opened.
    """

    def __init__(self, exchange: Controlled, port: int) -> None:
        self._exchange = exchange
        self.port = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and hang up on whoever is there."""
        if self._server is not None:
            self._server.close()
            for client in self._clients:
                client.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                try:
                    answer = self._answer(json.loads(line))
                except (ValueError, RecursionError):
                    # A browser that a web page sent here speaks HTTP first: hear no more of it.
                    return
                writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            return  # gone, or a line beyond all measure
        finally:
            self._clients.discard(writer)
            writer.close()

    def _answer(self, command: Any) -> dict[str, Any]:
        try:
            return {"ok": True, **self._obey(command)}
        except KeyError as error:
            return {"ok": False, "error": f"there is no fault {error}, or it was stopped before"}
        except ValueError as error:
            return {"ok": False, "error": str(error)}

    def _obey(self, command: Any) -> dict[str, Any]:
        match command:
            case {"fault": _}:
                return {"number": self._exchange.misbehave(command)}
            case {"stop": "all"}:
                self._exchange.behave()
            case {"stop": int(which)}:
                self._exchange.behave(which)
            case {"show": "faults"}:
                faults = self._exchange.faults
                return {"faults": {which: fault.fields() for which, fault in faults.items()}}
            case {"show": "connections"}:
                return {"connections": self._exchange.connections}
            case _:
                raise ValueError("say a fault, stop, or show: faults or connections")
        return {}
