"""Test a client of your own against the simulated exchange: what was sent, what did it keep?

Run it: ``python examples/test_your_own_client.py``. The client below is ten lines; put yours in
its place. The journal holds every frame that the exchange handed to the connection, so a client
that reads to the end must have exactly these.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fluxforge.sim import JournalFrame, SimulatedExchange, read_journal


async def your_client(url: str, seconds: float) -> list[str]:
    """Record BTC-USD for a while and close without losing what is still on its way."""
    frames: list[str] = []
    async with connect(url, max_size=64 * 1024 * 1024, close_timeout=None) as socket:
        for channel in ("heartbeats", "level2", "market_trades"):
            request = {"type": "subscribe", "channel": channel, "product_ids": ["BTC-USD"]}
            await socket.send(json.dumps(request))

        async def receive() -> None:
            try:
                while True:
                    frames.append(await socket.recv(decode=True))
            except ConnectionClosed:
                return

        receiving = asyncio.create_task(receive())
        await asyncio.sleep(seconds)
        # Close while receiving goes on: the frames before the exchange's own Close still count.
        await socket.close()
        await receiving
    return frames


async def main() -> None:
    """Serve, record, compare."""
    with tempfile.TemporaryDirectory() as directory:
        journal = Path(directory) / "sent.ndjson"
        async with SimulatedExchange(seed=7, rate=500, journal=journal) as exchange:
            received = await your_client(exchange.url, seconds=1.0)
        sent = [line.frame for line in read_journal(journal) if isinstance(line, JournalFrame)]
    print(f"sent {len(sent)} frames, received {len(received)}: ", end="")
    print("nothing lost" if received == sent else "NOT the same")
    if received != sent:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
