"""Books asked for anew after a gap, on the same connection.

A venue gives no second snapshot to who subscribes again; who unsubscribes first gets one. So the
smallest step is these two messages. Only if the snapshots stay away, the connection is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fluxforge._native import Intake
from fluxforge.ingestion.collectors.connection_plan import Subscription


class Resync:
    """Watches over one connection's books.

    Args:
        books: The subscription of the channel that has books.
        intake: The connection's; it says when snapshots come.
        wire_channel: The channel's name on the wire.
        timeout: Seconds in which all snapshots come.
        interval: Seconds from one resync to the next at least.
        bookless: Products whose snapshots stayed away when those of others came, over all
            connections of a plan. A product that the venue does not have costs one reconnect.
    """

    def __init__(
        self,
        books: Subscription,
        *,
        intake: Intake,
        wire_channel: str,
        timeout: float,
        interval: float,
        bookless: set[str],
    ) -> None:
        self._books = books
        self._intake = intake
        self._wire_channel = wire_channel
        self._timeout = timeout
        self._interval = interval
        self._bookless = bookless
        self._suspect = asyncio.Event()
        self._whole = asyncio.Event()

    def suspect(self) -> None:
        """Say that frames never came: any of them may have changed a book."""
        self._suspect.set()

    def arrived(self) -> None:
        """Say that a snapshot came that was waited for."""
        lacking = self._lacking()
        self._bookless &= lacking
        if lacking <= self._bookless:
            self._whole.set()

    async def run(
        self,
        send: Callable[[str], Awaitable[None]],
        tell: Callable[[str], None],
        is_held: Callable[[], bool],
    ) -> None:
        """Resync after each gap; return once one has failed.

        Args:
            send: Sends a message when it is due.
            tell: Records that a resync begins, by which step.
            is_held: Whether the disk keeps us from reading what the venue may have sent.
        """
        while True:
            await self._suspect.wait()
            self._suspect.clear()
            self._whole.clear()
            tell("resubscribe")
            await send(self._books.message("unsubscribe"))
            # From here on: a snapshot before this would be older than what was just asked for.
            for product in self._books.product_ids:
                self._intake.expect(self._wire_channel, wire_ids(product), snapshot=True)
            await send(self._books.message())
            if not await self._becomes_whole(is_held):
                lacking = self._lacking()
                if len(lacking) < len(self._books.product_ids):
                    self._bookless |= lacking
                tell("reconnect")
                return
            self._intake.forget(self._wire_channel)
            await asyncio.sleep(self._interval)

    async def _becomes_whole(self, is_held: Callable[[], bool]) -> bool:
        while True:
            try:
                await asyncio.wait_for(self._whole.wait(), self._timeout)
            except TimeoutError:
                if not is_held():
                    return False
            else:
                return True

    def _lacking(self) -> set[str]:
        awaited = set(self._intake.awaited)
        return {
            product
            for product in self._books.product_ids
            if all((self._wire_channel, name) in awaited for name in wire_ids(product))
        }


def wire_ids(product: str) -> list[str]:
    """Return the ids under which a product may come: most USDC books come as the USD ones."""
    return [product, product.removesuffix("C")] if product.endswith("-USDC") else [product]
