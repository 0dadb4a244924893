"""Commands over the control port, as any program may give them."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from fluxforge.sim import SimulatedExchange
from sim.misbehaving import frames, numbers, sent, withheld
from sim.recorder import recording


async def tell(port: int | None, *lines: str) -> list[str]:
    """Give commands one after the other; return the answers."""
    assert port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for line in lines:
        writer.write(line.encode() + b"\n")
        answers.append((await reader.readline()).decode())
    writer.close()
    await writer.wait_closed()
    return answers


def test_it_misbehaves_and_stops_when_it_is_told_to(tmp_path: Path) -> None:
    journal = tmp_path / "sent.ndjson"

    async def scenario() -> list[str]:
        async with (
            SimulatedExchange(rate=500, journal=journal, control_port=0) as exchange,
            recording(exchange.url) as client,
        ):
            await client.subscribe("level2", "BTC-USD", "ETH-USD")
            await client.until(frames(50))
            port = exchange.control_port
            answers = await tell(
                port,
                '{"fault":"lose","frames":3}',
                '{"show":"faults"}',
                '{"show":"connections"}',
            )
            count = len(client.frames)
            await client.until(frames(count + 100))
            answers += await tell(
                port, '{"stop":1}', '{"stop":1}', '{"stop":"all"}', '{"show":"faults"}'
            )
            return answers

    answers = [json.loads(line) for line in asyncio.run(scenario())]
    assert answers == [
        {"ok": True, "number": 1},
        {"ok": True, "faults": {"1": {"fault": "lose", "frames": 3}}},
        {"ok": True, "connections": [1]},
        {"ok": True},
        {"ok": False, "error": "there is no fault 1, or it was stopped before"},
        {"ok": True},
        {"ok": True, "faults": {}},
    ]
    lost = numbers(line.withheld for line in withheld(journal))
    assert len(lost) == 3
    assert lost[0] >= 50
    assert max(lost + numbers(sent(journal))) == len(lost) + len(sent(journal)) - 1


def test_what_is_wrong_is_answered_and_the_port_goes_on() -> None:
    async def scenario() -> list[str]:
        async with SimulatedExchange(control_port=0) as exchange:
            return await tell(
                exchange.control_port, '{"fault":"lost"}', "[]", '{"stop":true}', '{"stop":"all"}'
            )

    wrong, odd, which, right = [json.loads(line) for line in asyncio.run(scenario())]
    assert "there is no fault 'lost'" in wrong["error"]
    assert "say a fault" in odd["error"]
    assert not which["ok"]
    assert right == {"ok": True}


def test_what_is_no_json_is_not_listened_to() -> None:
    """A web page can make a browser post to any local port; its body must not count."""

    async def scenario() -> None:
        async with SimulatedExchange(control_port=0) as exchange:
            for said in (b'POST / HTTP/1.1\r\n\r\n{"fault":"lose"}\n', b"[" * 1_000_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", exchange.control_port)
                writer.write(said)
                # Hung up on with something unread, which may arrive as a reset.
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.transport.abort()
            assert not exchange.faults

    asyncio.run(scenario())


def test_who_stays_connected_does_not_hold_up_the_stop() -> None:
    async def scenario() -> bytes:
        async with SimulatedExchange(control_port=0) as exchange:
            reader, writer = await asyncio.open_connection("127.0.0.1", exchange.control_port)
            writer.write(b'{"show":"faults"}\n')
            await reader.readline()
        rest = await reader.read()
        writer.close()
        return rest

    assert asyncio.run(asyncio.wait_for(scenario(), 8)) == b""
