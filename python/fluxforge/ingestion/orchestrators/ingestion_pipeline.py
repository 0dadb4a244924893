"""Everything that records one feed: storage, writer, collectors, and uploads where needed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluxforge._native import WriterStats
from fluxforge.config import FluxForgeConfig
from fluxforge.errors import FluxForgeError
from fluxforge.feeds import load_feed
from fluxforge.ingestion.collectors import (
    Collector,
    CollectorStats,
    ConnectionPlan,
    ConnectionSettings,
    Pace,
    Timeouts,
)
from fluxforge.ingestion.orchestrators.planning import plan_ingestion
from fluxforge.ingestion.shipping import Shipper, ShippingStats
from fluxforge.ingestion.writers import LogWriter
from fluxforge.storage.base import StorageBackend
from fluxforge.storage.factory import create_storage_backend, get_ingestion_path

log = logging.getLogger(__name__)

_JITTER = 0.25  # of the time between two connects, and between two messages
_DISK_SECONDS = 1.0  # between two looks at whether the writer waits for room


@dataclass(frozen=True, slots=True)
class IngestionStats:
    """A snapshot of a running pipeline.

    Attributes:
        writer: The segment writer's counters and lags.
        collectors: Counters by connection.
        shipping: How far uploads are behind; None where raw stays on this machine's disk.
    """

    writer: WriterStats
    collectors: tuple[CollectorStats, ...]
    shipping: ShippingStats | None = None

    @property
    def frames_received(self) -> int:
        """Frames that arrived over all connections."""
        return sum(collector.frames for collector in self.collectors)

    @property
    def missing(self) -> int:
        """Frames that the venue numbered and that never came."""
        return sum(collector.missing for collector in self.collectors)

    @property
    def connected(self) -> int:
        """Connections that stand at this moment."""
        return sum(collector.connected for collector in self.collectors)


class IngestionPipeline:
    """Records a feed until told to stop.

    Args:
        config: What to record, and where to.
        storage: Where segments go, if not as the config says.
    """

    def __init__(self, config: FluxForgeConfig, *, storage: StorageBackend | None = None) -> None:
        self._config = config
        self._connection = load_feed(config.ingestion.source).connection
        self._storage_config = config.ingestion_storage()
        self._storage = storage or create_storage_backend(self._storage_config)
        self._collectors: list[Collector] = []
        self._writer: LogWriter | None = None
        self._shipper: Shipper | None = None

    def plan(self) -> list[ConnectionPlan]:
        """Return the sockets that a run will open.

        Raises:
            ConfigError: A channel that the feed does not have, or a shard without any product.
        """
        return plan_ingestion(self._config)

    async def run(self, stop: asyncio.Event) -> None:
        """Recover what an earlier run left, record until ``stop`` is set, then seal.

        Raises:
            FluxForgeError: The disk failed for good, or another process writes here. What was
                reported durable is kept.
        """
        plan = self.plan()
        writer = await asyncio.to_thread(self._open_writer)
        self._writer = writer
        self._collectors = self._build_collectors(plan, writer)
        self._shipper = shipper = self._build_shipper(writer)
        try:
            async with asyncio.TaskGroup() as tasks:
                for collector in self._collectors:
                    tasks.create_task(collector.run(stop))
                if shipper is not None:
                    tasks.create_task(shipper.run(stop))
                tasks.create_task(_watch_disk(writer, stop))
        except* FluxForgeError as group:
            raise _first(group) from None
        finally:
            try:
                await writer.close()
                if shipper is not None:
                    await asyncio.to_thread(shipper.ship_all)
            finally:
                writer.end_shipping()

    def stats(self) -> IngestionStats | None:
        """Return the counters, or None before the writer is open."""
        if self._writer is None:
            return None
        return IngestionStats(
            self._writer.stats(),
            tuple(collector.stats for collector in self._collectors),
            None if self._shipper is None else self._shipper.stats(),
        )

    def _open_writer(self) -> LogWriter:
        settings = self._config.ingestion
        return LogWriter(
            self._storage,
            active_path=get_ingestion_path(self._storage_config, settings.source, "active"),
            ready_path=get_ingestion_path(self._storage_config, settings.source, "ready"),
            quarantine_path=get_ingestion_path(self._storage_config, settings.source, "quarantine"),
            source=settings.source,
            writer_id=self._config.ingestion_writer_id(),
            segment_max_mb=settings.segment_max_mb,
            segment_max_seconds=settings.segment_max_seconds,
            queue_max_mb=settings.queue_max_mb,
            durability=settings.durability,
            on_full=settings.on_full,
            min_free_mb=settings.min_free_mb,
            spool_dir=self._spool(),
            awaits_shipping=settings.spool == "memory" and self._is_shipped(),
        )

    def _spool(self) -> Path:
        """Where segments wait that go to this storage: another's never go up with them."""
        _, _, place = self._storage.get_full_path("").rpartition("://")
        return self._config.ingestion.spool_path() / place.strip("/")

    def _build_collectors(self, plan: list[ConnectionPlan], writer: LogWriter) -> list[Collector]:
        connection = self._connection
        settings = ConnectionSettings(
            url=self._config.coinbase.ws_url,
            max_message_bytes=connection.max_message_bytes,
            timeouts=Timeouts(
                silence=self._config.coinbase.silence_timeout,
                heartbeats=self._config.coinbase.heartbeat_timeout,
                channel=self._config.coinbase.channel_timeout,
                answer=self._config.coinbase.resync_timeout,
            ),
            heartbeat_channel=connection.heartbeat_channel,
            book_channel=connection.level2_channel,
            book_wire_channel=connection.wire_channel(connection.level2_channel),
            resync_timeout=self._config.coinbase.resync_timeout,
            resync_interval=self._config.coinbase.resync_interval,
        )
        # Shared by all sockets: a venue counts connects and messages by address.
        connects = Pace(1 / connection.connects_per_second, jitter=_JITTER)
        messages = Pace(1 / connection.messages_per_second, jitter=_JITTER)
        run_id = secrets.token_hex(4)
        return [
            Collector(
                socket,
                settings=settings,
                writer=writer,
                run_id=run_id,
                connect_pace=connects,
                message_pace=messages,
            )
            for socket in plan
        ]

    def _is_shipped(self) -> bool:
        """Whether the writer's directories are a spool, and the storage is elsewhere."""
        return self._storage.local_path("") is None

    def _build_shipper(self, writer: LogWriter) -> Shipper | None:
        if not self._is_shipped():
            return None
        settings = self._config.ingestion
        return Shipper(
            self._storage,
            writer=writer,
            active_path=get_ingestion_path(self._storage_config, settings.source, "active"),
            ready_path=get_ingestion_path(self._storage_config, settings.source, "ready"),
            max_bytes=settings.spool_max_mb << 20,
            ship_interval=settings.ship_interval,
            ship_bytes=settings.ship_bytes,
            adopt_after=settings.adopt_after,
        )


async def _watch_disk(writer: LogWriter, stop: asyncio.Event) -> None:
    """Say when capture begins to wait for room on the disk and goes on, and what the disk lost."""
    waiting, damage = False, None
    while not stop.is_set():
        stats = writer.stats()
        if stats.damage != damage:
            damage = stats.damage
            log.error("a failing disk lost what it had reported durable: %s", damage)
        if stats.waiting_for_space != waiting:
            waiting = not waiting
            if waiting:
                log.warning(
                    "the disk of %s is full, or fuller than ingestion.min_free_mb allows: capture "
                    "waits and holds the venue back. Free some space; it goes on by itself",
                    writer.ready_dir,
                )
            else:
                log.info("there is room on the disk again; capture goes on")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _DISK_SECONDS)


def _first(group: BaseExceptionGroup[FluxForgeError]) -> FluxForgeError:
    """The first leaf: the others are consequences of the same disk."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
