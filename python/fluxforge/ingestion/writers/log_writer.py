"""LogWriter: frames in, durable segments out, for asyncio and for plain scripts.

The work is done by ``fluxforge._native.SegmentWriter`` on a thread of its own; this class finds
the directories, and turns the writer's wake-ups into what coroutines can await. One wake-up per
group of frames, whatever their number.

    writer = LogWriter(storage, active_path="raw/active/coinbase", ...)
    position = writer.append(frame, capture_ns=time.time_ns(), conn="c1")
    await writer.durable(position)      # survives a power cut from here on
    await writer.close()
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from fluxforge._native import Intake, Recovered, SegmentWriter, WriterStats
from fluxforge.errors import ConfigError, QueueFullError, SegmentError, SegmentWriteError
from fluxforge.storage.base import StorageBackend

__all__ = ["DurableMark", "LogWriter"]

_log = logging.getLogger(__name__)

_MIB = 1 << 20
_LONGEST_CONN = 64  # bytes of a connection's name, queued with each of its frames


@dataclass(frozen=True, slots=True)
class DurableMark:
    """How far a writer has come, for whoever carries its bytes elsewhere.

    Attributes:
        position: Every record up to this position is durable, and lies before the place below.
        segment: File name of the segment that took the last of them; "" before there is one. It
            may have been sealed since.
        bytes: How many of its bytes are durable; they end with a checkpoint.
    """

    position: int
    segment: str
    bytes: int


class LogWriter:
    """Writes one source's frames to segments on local disk.

    With a storage that is not a local disk, segments are written below ``spool_dir`` under the
    same keys; shipping them is another's work. Constructing blocks: directories are made, and
    what dead writers left in ``active_path`` is closed and published (see ``recovered``).

    ``append`` may be called from any thread; what is awaited belongs to one event loop.

    Attributes:
        recovered: What became of each segment found in ``active_path``.
        active_dir: Where segments grow on this machine's disk.
        ready_dir: Where sealed segments appear on this machine's disk.
        writer_id: Which of several writers of a storage this is.
        queue_max_bytes: How many bytes may wait to become durable.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        # where
        active_path: str,
        ready_path: str,
        quarantine_path: str,
        spool_dir: Path | None = None,
        # who
        source: str,
        writer_id: str | None = None,
        # when a segment is closed
        segment_max_mb: float = 256,
        segment_max_seconds: float = 3600,
        # what is promised, and what happens when the disk is slower than the feed
        durability: Literal["fsync", "os"] = "fsync",
        queue_max_mb: float = 64,
        on_full: Literal["block", "drop"] = "block",
        min_free_mb: float = 0,
        awaits_shipping: bool = False,
    ) -> None:
        """Make the directories, recover, and start the writer's thread.

        Args:
            storage: Where ``active_path`` and the others are keys.
            active_path: Key of the directory in which segments grow.
            ready_path: Key of the directory of sealed segments; the same disk.
            quarantine_path: Key of the directory for damaged bytes; the same disk.
            spool_dir: Local root for these keys where the storage is not a local disk.
            source: What is captured, as in ``coinbase``.
            writer_id: Stands in the segments' names; demanded where several writers share a
                storage.
            segment_max_mb: MiB after which a segment is sealed.
            segment_max_seconds: Age at which a segment is sealed, also when the feed is silent.
            durability: ``fsync``: durable survives a power cut. ``os``: it survives the process.
            queue_max_mb: MiB of frames that may wait to become durable.
            on_full: ``block``: ``append`` raises QueueFullError, the caller drains. ``drop``: it
                returns 0, and the loss is counted and recorded in the segment.
            min_free_mb: Capture waits while the disk has less than this many MiB free.
            awaits_shipping: The disk is memory: a record is durable once ``confirm`` says that it
                has arrived elsewhere.

        Raises:
            ConfigError: No ``spool_dir`` for a remote storage; a bad id or number.
            StorageAccessError: A directory cannot be made or written.
            WriterLockedError: Another live process writes here under this id.
            SegmentFormatError: A newer FluxForge left segments here; nothing was touched.
        """
        directory = functools.partial(_local_directory, storage, spool_dir)
        self.active_dir = directory(active_path)
        self.ready_dir = directory(ready_path)
        self.writer_id = writer_id
        self.queue_max_bytes = _bytes(queue_max_mb, "ingestion.queue_max_mb")
        try:
            self._native = SegmentWriter(
                str(self.active_dir),
                str(self.ready_dir),
                str(directory(quarantine_path)),
                source=source,
                writer_id=writer_id,
                segment_max_bytes=_bytes(segment_max_mb, "ingestion.segment_max_mb"),
                segment_max_seconds=segment_max_seconds,
                queue_max_bytes=self.queue_max_bytes,
                durability=durability,
                on_full=on_full,
                min_free_bytes=_bytes(min_free_mb, "ingestion.min_free_mb"),
            )
        except ValueError as error:
            raise ConfigError(f"the segment writer cannot be set up: {error}") from error
        self.recovered = self._native.recovered
        for one in self.recovered:
            _log_recovered(one)
        # Up to where records have arrived elsewhere, if that is what durable means.
        self._confirmed: int | None = 0 if awaits_shipping else None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Outlives the watch: what is confirmed after closing still finds its waiters.
        self._waiting_loop: asyncio.AbstractEventLoop | None = None
        # A heap of (position, tie-breaker, future): the next to become durable is first.
        self._durable_waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._room_waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._waiters = 0
        self._refused_bytes = 0
        self._executor: ThreadPoolExecutor | None = None

    # -- taking frames ------------------------------------------------------------------------

    def append(self, frame: bytes, *, capture_ns: int, conn: str) -> int:
        """Copy a frame into the queue; about a microsecond, never blocks.

        Args:
            frame: What the venue sent; any bytes.
            capture_ns: When it was received, in nanoseconds since 1970 UTC.
            conn: The connection: 1 to 64 printable ASCII characters, no quote or backslash.

        Returns:
            The frame's position, to be awaited with ``durable``; 0 if it was dropped.

        Raises:
            QueueFullError: Not taken: ``await drain()`` and append it again.
            SegmentWriteError: The writer stopped for good.
            SegmentError: The writer is closed.
            ValueError: ``conn`` is not such a name.
        """
        try:
            return self._native.append(frame, capture_ns, conn)
        except QueueFullError:
            self._refused_bytes = len(frame) + len(conn)
            raise

    def intake(self, conn: str, *, attend: Sequence[str] = ()) -> Intake:
        """Return what appends one connection's frames, and looks at each while it passes.

        Its ``append(frame, capture_ns)`` raises as this class's ``append`` does. Where the numbers
        of a connection do not go up by one, that is an event right behind the frame.

        Args:
            conn: The connection, as for ``append``.
            attend: Channels, as on the wire, whose frames the caller wants to be told of.
        """
        return Intake(self._native, conn, attend=attend)

    def append_event(
        self, kind: str, *, capture_ns: int, conn: str | None = None, **fields: Any
    ) -> int:
        """Record something that happened to the capture itself; never refused for space.

        Args:
            kind: As in ``connected``, ``gap``, ``disconnected``.
            capture_ns: When it happened, in nanoseconds since 1970 UTC.
            conn: The connection it happened to, if to one.
            **fields: What else there is to say; anything that JSON holds.

        Returns:
            The event's position, to be awaited with ``durable``.

        Raises:
            SegmentWriteError: The writer stopped for good.
            SegmentError: The writer is closed.
        """
        return self._native.append_event(orjson.dumps({"kind": kind, **fields}), capture_ns, conn)

    # -- waiting ------------------------------------------------------------------------------

    async def durable(self, position: int) -> None:
        """Return once the record at a position, and all before it, survive a power cut.

        Raises:
            SegmentWriteError: The writer stopped for good before that, or shipping did.
            SegmentError: The position was never given out.
        """
        if position <= self.durable_position:
            return
        if position > self._native.accepted_position:
            raise SegmentError(f"position {position} was never given out by this writer")
        future = self._watch()
        self._waiters += 1
        heapq.heappush(self._durable_waiters, (position, self._waiters, future))
        self._settle()
        await future

    async def drain(self, frame_bytes: int = 0) -> None:
        """Return once the frame that ``append`` refused last would be taken.

        Args:
            frame_bytes: The size of a frame that an intake refused.

        Raises:
            SegmentWriteError: The writer stopped for good.
        """
        self._native.raise_error()
        frame_bytes += _LONGEST_CONN if frame_bytes else 0
        needed, self._refused_bytes = max(self._refused_bytes, frame_bytes, 1), 0
        if self._has_room(needed):
            return
        future = self._watch()
        self._room_waiters.append((needed, future))
        self._settle()
        await future

    def hold(self, *, held: bool) -> None:
        """Write nothing more for now, or go on: whoever takes sealed segments does not keep up.

        The queue fills meanwhile, and a full one does what ``on_full`` says. Closing ends it.
        """
        self._native.hold(held)

    def confirm(self, position: int) -> None:
        """Say that all records up to a position have arrived elsewhere. From any thread."""
        if self._confirmed is not None and position > self._confirmed:
            self._confirmed = position
            self._call_loop(self._settle)

    def end_shipping(self) -> None:
        """Say that nothing more will be confirmed: whoever still waits is told. From any thread."""
        if self._confirmed is not None:
            self._call_loop(self._abandon_waiters)

    # -- looking ------------------------------------------------------------------------------

    @property
    def durable_position(self) -> int:
        """Every record up to this position is durable."""
        durable = self._native.durable_position
        return durable if self._confirmed is None else min(durable, self._confirmed)

    def durable_mark(self) -> DurableMark:
        """Return how far the disk has come, and where that lies."""
        return DurableMark(*self._native.durable_mark())

    @property
    def accepted_position(self) -> int:
        """The position of the last record taken."""
        return self._native.accepted_position

    @property
    def queue_bytes(self) -> int:
        """Bytes taken and not durable yet."""
        return self._native.queue_bytes

    @property
    def error(self) -> str | None:
        """Why the writer stopped for good, if it did."""
        return self._native.error

    def stats(self) -> WriterStats:
        """Take a snapshot of counters and lags (nanoseconds)."""
        return self._native.stats()

    # -- closing ------------------------------------------------------------------------------

    async def rotate(self) -> None:
        """Seal the open segment and publish it; without records there is none, nothing happens.

        Raises:
            SegmentWriteError: The writer stopped for good.
        """
        await self._in_thread(self._native.rotate)

    async def close(self) -> None:
        """Write what is queued, seal, publish, end the thread. May be called again.

        Cancelling it does not undo it: the writer closes, and whoever awaits ``durable`` is told.

        Raises:
            SegmentWriteError: The disk refused. What was durable is recovered at the next start.
        """
        # A thread of its own: a rotation may wait for room in the other, until the writer closes.
        closer = ThreadPoolExecutor(1, thread_name_prefix="fluxforge-log-writer-close")
        closed = asyncio.get_running_loop().run_in_executor(closer, self._native.close)
        closer.shutdown(wait=False)
        closed.add_done_callback(self._on_closed)
        await asyncio.shield(closed)

    def rotate_sync(self) -> None:
        """``rotate`` for code without an event loop; blocks."""
        self._native.rotate()

    def close_sync(self) -> None:
        """``close`` for code without an event loop; blocks."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_sync()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- the event loop -----------------------------------------------------------------------

    def _watch(self) -> asyncio.Future[None]:
        """Have the running loop watch the writer, and return a future of that loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                if self._durable_waiters or self._room_waiters:
                    raise RuntimeError("this LogWriter is awaited in another event loop")
                self._unwatch()
            self._durable_waiters.clear()
            self._room_waiters.clear()
            loop.add_reader(self._native.wake_fd, self._on_wake)
            self._loop = self._waiting_loop = loop
        return loop.create_future()

    def _unwatch(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._native.wake_fd)
        self._loop = None

    def _on_wake(self) -> None:
        # First acknowledge, then look: what becomes durable in between wakes again.
        self._native.acknowledge_wake()
        self._settle()

    def _on_closed(self, _: asyncio.Future[None]) -> None:
        self._settle()
        self._unwatch()
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    def _settle(self) -> None:
        """Resolve every future whose time has come; a cancelled one is only forgotten."""
        durable = self.durable_position
        waiters = self._durable_waiters
        while waiters and waiters[0][0] <= durable:
            _resolve(heapq.heappop(waiters)[2])
        if self._native.error is not None:
            self._fail_waiters()
        elif self._room_waiters:
            still = []
            for needed, future in self._room_waiters:
                if self._has_room(needed):
                    _resolve(future)
                else:
                    still.append((needed, future))
            self._room_waiters = still

    def _call_loop(self, call: Callable[[], None]) -> None:
        loop = self._waiting_loop
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # closed in this very moment: nobody waits any more
                loop.call_soon_threadsafe(call)

    def _abandon_waiters(self) -> None:
        self._settle()
        while self._durable_waiters:
            future = heapq.heappop(self._durable_waiters)[2]
            if not future.done():
                future.set_exception(
                    SegmentWriteError(
                        "capture ended before this record was shipped: it lies in the spool "
                        f"{self.ready_dir} and goes up with the next start on this machine"
                    )
                )

    def _fail_waiters(self) -> None:
        futures = [future for *_, future in self._durable_waiters]
        futures += [future for _, future in self._room_waiters]
        self._durable_waiters.clear()
        self._room_waiters.clear()
        for future in futures:
            if not future.done():
                try:
                    self._native.raise_error()
                except SegmentError as error:
                    # One exception each: a traceback belongs to one task.
                    future.set_exception(error)

    def _has_room(self, needed: int) -> bool:
        queued = self._native.queue_bytes
        return queued == 0 or queued + needed <= self.queue_max_bytes

    async def _in_thread(self, call: Callable[[], None]) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="fluxforge-log-writer")
        # Cancelling the waiter does not undo a seal: the call goes on to its end.
        future = asyncio.get_running_loop().run_in_executor(self._executor, call)
        await asyncio.shield(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _local_directory(storage: StorageBackend, spool_dir: Path | None, key: str) -> Path:
    local = storage.local_path(key)
    if local is not None:
        return local
    if spool_dir is None:
        raise ConfigError(
            f"segments for {storage.get_full_path(key)} are written to a local spool first: "
            "set ingestion.spool_dir to a directory on a local disk"
        )
    return spool_dir / key


def _bytes(mebibytes: float, key: str) -> int:
    if not 0 <= mebibytes < float("inf"):
        raise ConfigError(f"{key} is {mebibytes}: it must be 0 or more MiB")
    return int(mebibytes * _MIB)


def _log_recovered(one: Recovered) -> None:
    level = logging.ERROR if one.damaged or one.outcome == "failed" else logging.INFO
    _log.log(
        level,
        "recovered segment %s: %s, %d frames%s",
        one.name,
        one.outcome,
        one.frames,
        f" ({one.detail})" if one.detail else "",
    )
