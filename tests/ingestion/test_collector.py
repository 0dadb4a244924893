"""The collector against real sockets, with the real writer behind it.

COINBASE.md's mistakes of others are regression tests; each that a collector can make is here by
its number.
"""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
import threading
from random import Random

import pytest

from fluxforge.ingestion.collectors import Backoff
from fluxforge.ingestion.collectors import collector as collector_module
from ingestion.collecting import (
    collect,
    collecting,
    events,
    frames,
    make_collector,
    make_writer,
    records,
    until,
)
from venue import venue


def test_mistake_1_the_frames_around_the_ack_are_kept(tmp_path):
    sent = [{"channel": "l2_data", "n": 0}, {"channel": "subscriptions"}, {"type": "error"}]
    with venue([json.dumps(frame) for frame in sent]) as here:
        collect(tmp_path, here.url, lambda c: c.stats.frames == 3)
    assert frames(tmp_path) == sent


def test_mistake_2_it_reconnects_more_often_than_ten_times(tmp_path):
    with venue(['{"n":1}'], close_after=True) as here:
        collector = collect(tmp_path, here.url, lambda c: c.stats.connects >= 14)
    assert len(events(tmp_path, "connected")) == collector.stats.connects
    assert len(events(tmp_path, "disconnected")) == collector.stats.connects
    assert len(frames(tmp_path)) == collector.stats.frames


def test_mistake_3_a_full_queue_holds_the_socket_back_and_drops_nothing(tmp_path):
    sent = [json.dumps({"n": n, "pad": "x" * 5000}) for n in range(3000)]

    async def scenario():
        # The queue holds a fifteenth of what comes.
        writer = make_writer(tmp_path, queue_max_mb=1)
        collector = make_collector(here.url, writer)
        most = 0
        async with collecting(collector):
            while collector.stats.frames < len(sent):
                most = max(most, writer.stats().queue_bytes)
                await asyncio.sleep(0)
        await writer.close()
        return most

    with venue(sent) as here:
        most = asyncio.run(scenario())
    assert frames(tmp_path) == [json.loads(frame) for frame in sent]
    assert most <= 1 << 20


def test_mistake_4_heartbeats_are_subscribed_first_and_kept(tmp_path):
    with venue(['{"channel":"heartbeats"}']) as here:
        collect(tmp_path, here.url, lambda c: c.stats.frames == 1 and len(here.received) == 2)
    assert [json.loads(message)["channel"] for message in here.received] == ["heartbeats", "level2"]
    assert frames(tmp_path) == [{"channel": "heartbeats"}]


def test_mistake_13_a_message_of_megabytes_is_taken(tmp_path):
    big = json.dumps({"channel": "l2_data", "pad": "x" * (5 << 20)})
    with venue([big]) as here:
        collect(tmp_path, here.url, lambda c: c.stats.frames == 1)
    assert frames(tmp_path) == [json.loads(big)]


def test_a_message_over_the_limit_ends_the_connection_and_says_so(tmp_path):
    with venue(["x" * 2000]) as here:
        collect(tmp_path, here.url, lambda c: c.stats.connects >= 2, max_message_bytes=1000)
    assert "1009" in events(tmp_path, "disconnected")[0]["reason"]


def test_what_was_on_its_way_when_it_stopped_is_kept(tmp_path):
    sent = [json.dumps({"n": n}) for n in range(20_000)]

    async def scenario():
        writer = make_writer(tmp_path)
        collector = make_collector(here.url, writer)
        async with collecting(collector):
            await until(lambda: collector.stats.frames > 0)
        await writer.close()

    with venue(sent) as here:
        asyncio.run(scenario())
    # The venue ends in the middle, at the client's Close; all that it sent before is here.
    assert 0 < here.sent < len(sent)
    assert frames(tmp_path) == [json.loads(frame) for frame in sent[: here.sent]]


def test_binary_and_broken_frames_are_kept(tmp_path):
    with venue([b"\xff\x00", "", "{", "two\nlines"]) as here:
        collector = collect(tmp_path, here.url, lambda c: c.stats.frames == 4)
    assert collector.stats.frames == 4
    kept = [record for record in records(tmp_path) if {"data", "raw", "raw_b64"} & set(record)]
    assert [record.get("raw") for record in kept] == [None, "", "{", "two\nlines"]
    assert kept[0]["raw_b64"] == "/wA="


def test_a_refusal_is_a_frame_an_event_and_a_number(tmp_path):
    refusal = '{"type":"error","message":"too many L2 streams requested in a single session"}'
    with venue([refusal]) as here:
        collector = collect(tmp_path, here.url, lambda c: c.stats.refusals == 1)
    assert collector.stats.frames == 1
    assert frames(tmp_path) == [json.loads(refusal)]
    assert "too many L2 streams" in events(tmp_path, "refused")[0]["message"]


def test_each_connection_has_a_name_of_its_own(tmp_path):
    with venue(['{"n":1}'], close_after=True) as here:
        collect(tmp_path, here.url, lambda c: c.stats.connects >= 3)
    names = [r["conn"] for r in records(tmp_path) if r.get("event", {}).get("kind") == "connected"]
    assert len(names) == len(set(names)) >= 3


@pytest.mark.parametrize(
    "location", ["https://status.example.com/", "ws://[::1/", "ws://a..b/", "nonsense"]
)
def test_a_redirect_anywhere_is_a_failure_to_be_tried_again(tmp_path, location, caplog):
    class Redirect(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(4096)
            answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            self.request.sendall(answer.encode())

    async def scenario(url):
        writer = make_writer(tmp_path)
        async with collecting(make_collector(url, writer)):
            await until(lambda: caplog.text.count("trying again") >= 2)
        await writer.close()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asyncio.run(scenario(f"ws://127.0.0.1:{server.server_address[1]}"))
        server.shutdown()
    assert "cannot reach" in caplog.text


def stalled(root, **settings):
    """A writer for which the disk never has room enough, with a queue of 1 MiB."""
    return make_writer(root, queue_max_mb=1, min_free_mb=1 << 40, **settings)


def test_a_stop_ends_although_the_disk_has_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(collector_module, "_LAST_ROOM_SECONDS", 0.2)
    frames_ = [json.dumps({"pad": "x" * 5000})] * 1000

    async def scenario(url):
        writer = stalled(tmp_path)
        collector = make_collector(url, writer)
        async with collecting(collector):
            await until(lambda: collector._waiting_for_disk)
        assert "disk took no more" in collector.stats.last_error
        await writer.close()  # with the room that was kept for others

    with venue(frames_) as here:
        asyncio.run(scenario(here.url))


@pytest.mark.slow
def test_a_stall_longer_than_any_ping_keeps_the_connection(tmp_path):
    frames_ = [json.dumps({"pad": "x" * 5000})] * 1000

    async def scenario(url):
        writer = stalled(tmp_path)
        collector = make_collector(url, writer)
        async with collecting(collector):
            await until(lambda: collector._waiting_for_disk)
            await asyncio.sleep(60)
            assert collector.stats.connected
            assert collector.stats.connects == 1
        await writer.close()  # with the room that was kept for others

    with venue(frames_) as here:
        asyncio.run(scenario(here.url))


def test_a_handshake_that_never_comes_is_no_health(tmp_path, monkeypatch):
    """Each attempt lasts longer than what counts as healthy, and the delays grow all the same."""
    delays = []
    backoff = Backoff(first=0.02, cap=10, rng=Random(1))
    next_delay = backoff.next_delay
    monkeypatch.setattr(backoff, "next_delay", lambda: delays.append(next_delay()) or delays[-1])

    async def scenario():
        writer = make_writer(tmp_path)
        collector = make_collector(url, writer, healthy_seconds=0.01, open_timeout=0.1)
        collector._backoff = backoff
        async with collecting(collector):
            await until(lambda: len(delays) >= 5)
        await writer.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:  # listens and never answers
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        asyncio.run(scenario())
    assert delays[4] > 4 * delays[0]


def test_mistake_2_a_connection_that_was_healthy_starts_the_delays_over(tmp_path, monkeypatch):
    delays = []
    backoff = Backoff(first=0.02, cap=10, rng=Random(1))
    next_delay = backoff.next_delay
    monkeypatch.setattr(backoff, "next_delay", lambda: delays.append(next_delay()) or delays[-1])

    async def scenario(url):
        writer = make_writer(tmp_path)
        collector = make_collector(url, writer, healthy_seconds=0.0)
        collector._backoff = backoff
        async with collecting(collector):
            await until(lambda: len(delays) >= 6)
        await writer.close()

    with venue(['{"n":1}'], close_after=True) as here:
        asyncio.run(scenario(here.url))
    assert max(delays) <= 0.02


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "ws://no.such.host.invalid"])
def test_a_host_that_cannot_be_reached_is_tried_again(tmp_path, url, caplog):
    async def scenario():
        writer = make_writer(tmp_path)
        async with collecting(make_collector(url, writer)):
            await until(lambda: caplog.text.count("trying again") >= 3)
        await writer.close()

    asyncio.run(scenario())
    assert url in caplog.text
