"""One client's conversation: what it asked for, what it is owed, what it is told when.

No clock and no socket of its own: times come in, frames go to the outbound way. The rules are
those of Coinbase's market-data websocket as docs/simulator.md lists them.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from fluxforge.sim import render
from fluxforge.sim.conduct import Conduct
from fluxforge.sim.faults.fault import WIRE_NAMES
from fluxforge.sim.faults.silence import IdleChannel
from fluxforge.sim.market import Market, ProductMarket
from fluxforge.sim.outbound import Outbound
from fluxforge.sim.products import REAL_USDC_BOOKS

PRODUCT_CHANNELS = ("level2", "market_trades", "ticker", "ticker_batch", "candles", "status")
CHANNELS = (*PRODUCT_CHANNELS, "heartbeats")

TOO_MANY_LEVEL2 = "too many L2 streams requested in a single session"
UNKNOWN_CHANNEL = "authentication failure"
SLOW_CLIENT = "client too slow"
LATEST_ACK = 0.25  # seconds; a quiet connection is not kept waiting for frames that never come


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the venue allows a connection; times in seconds.

    Attributes:
        max_level2_products: More level2 products than this are refused.
        latest_ack_frames: An acknowledgement comes after 0 to this many other frames.
        subscribe_timeout: Who has not subscribed to anything by then is disconnected.
        idle_timeout: A connection on which nothing was sent for a while is closed; how long is
            drawn from this range for each connection.
        slow_client_timeout: Who has not read for this long is cut off.
        messages_per_second: More client messages than this in a second are answered with an
            error frame and not heeded. The venue's limit without a key is 8; None by default,
            since how it answers is not known.
        connections_per_second: More connections than this in a second are answered with HTTP 429.
            The venue's limit is 8; None by default.
    """

    max_level2_products: int = 30
    latest_ack_frames: int = 16
    subscribe_timeout: float = 5.0
    idle_timeout: tuple[float, float] = (60.0, 90.0)
    slow_client_timeout: float = 30.0
    messages_per_second: int | None = None
    connections_per_second: int | None = None


class Session:
    """The state of one connection.

    Args:
        outbound: Where frames go.
        market: The market that all sessions share.
        rules: The venue's limits.
        conduct: What the venue does to this connection that it should not.
        rng: Decides how late acknowledgements come, and when idle is too long.
        clock: Wall clock in nanoseconds.
        now: Seconds of the monotonic clock that ``receive`` and the others are given too.
    """

    def __init__(
        self,
        outbound: Outbound,
        market: Market,
        *,
        rules: Rules,
        conduct: Conduct,
        rng: Random,
        clock: Callable[[], int],
        now: float,
    ) -> None:
        self.outbound = outbound
        self._market = market
        self._rules = rules
        self._conduct = conduct
        self._rng = rng
        self._clock = clock
        self._opened = self._last_sent = now
        self._seen_frames = 0
        self._blocked_since: float | None = None
        self._idle_timeout = rng.uniform(*rules.idle_timeout)
        self._asked = False
        self.subscriptions: dict[str, dict[str, None]] = {}
        self.live: dict[str, dict[str, None]] = {}
        self._owed: deque[tuple[str, str]] = deque()
        self._acks: list[tuple[float, float]] = []
        self._idle: tuple[IdleChannel, ...] = ()

    # -- what the client says

    def receive(self, message: str | bytes, now: float) -> None:
        """Act on one message; ``now`` is in seconds of a monotonic clock."""
        try:
            request = json.loads(message)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or request.get("type") not in {"subscribe", "unsubscribe"}:
            self.outbound.put_error("failed to parse the message: no subscribe or unsubscribe")
            return
        channel, names = request.get("channel"), request.get("product_ids") or []
        if not isinstance(channel, str):
            self.outbound.put_error("one channel per message: channel must be a string")
            return
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.outbound.put_error("product_ids must be a list of strings")
            return
        if channel not in CHANNELS:
            self.outbound.put_error(UNKNOWN_CHANNEL)
            return
        if request["type"] == "subscribe":
            self._asked = True
            accepted = self._subscribe(channel, names)
        else:
            accepted = self._unsubscribe(channel, names)
        if accepted:
            self._owe_ack(channel, now)

    def _owe_ack(self, channel: str, now: float) -> None:
        after = self._rng.randint(0, self._rules.latest_ack_frames)
        late = self._conduct.late_ack()
        if late is None:
            self._acks.append((after, now + LATEST_ACK))
            return
        self.outbound.note("ack_delayed", channel=channel, delay=late.delay)
        if late.delay != "never":
            self._acks.append((math.inf, now + late.delay))

    def _subscribe(self, channel: str, names: Iterable[str]) -> bool:
        current = self.subscriptions.get(channel, {})
        new = {name: None for name in self._known(channel, names) if name not in current}
        if not self._refuse(channel, new):
            return False
        limit = self._conduct.level2_limit()
        limit = self._rules.max_level2_products if limit is None else limit
        if channel == "level2" and len(current) + len(new) > limit:
            self.outbound.put_error(TOO_MANY_LEVEL2)
            return False
        if new:
            self.subscriptions.setdefault(channel, {}).update(new)
            self._owed.extend((channel, name) for name in new)
        return True

    def _refuse(self, channel: str, names: dict[str, None]) -> bool:
        """Take out what is refused by silence; return False where an error frame refuses all."""
        for name in list(names):
            refusal = self._conduct.refusal(channel, name)
            if refusal is None:
                continue
            # The map of subscriptions names heartbeats as if it were a product; it is none.
            products = [] if channel == "heartbeats" else [name]
            self.outbound.note("refused", channel=channel, product_ids=products)
            if refusal.message is not None:
                self.outbound.put_error(refusal.message)
                return False
            del names[name]
        return True

    def _unsubscribe(self, channel: str, names: Iterable[str]) -> bool:
        gone = set(self._known(channel, names))
        for held in (self.subscriptions, self.live):
            for name in gone:
                held.get(channel, {}).pop(name, None)
            if not held.get(channel, True):
                del held[channel]
        self._owed = deque(o for o in self._owed if o[0] != channel or o[1] not in gone)
        return True

    def _known(self, channel: str, names: Iterable[str]) -> list[str]:
        """Translate the names asked for to those on the wire; unknown ones vanish silently."""
        if channel == "heartbeats":
            return ["heartbeats"]
        products = self._market.products
        if channel == "status" and not names:
            return list(products)
        wire = [
            name.removesuffix("C")
            if name.endswith("-USDC") and name not in products and name not in REAL_USDC_BOOKS
            else name
            for name in names
        ]
        return [name for name in wire if name in products]

    # -- what the client is told

    def pump(self) -> bool:
        """Send owed snapshots, one at a time, while the client keeps up.

        Returns:
            Whether a subscription went live, so that routes must be looked up anew.
        """
        changed = False
        while self._owed and not self.outbound.blocked:
            channel, name = self._owed.popleft()
            self.live.setdefault(channel, {})[name] = None
            changed = True
            if channel != "heartbeats" and self._hears(channel, name):
                self._snapshot(channel, self._market.products[name])
                # A book can have megabytes: give it to the socket before making the next.
                self.outbound.flush()
        return changed

    def listening(self, channel: str) -> list[str]:
        """Return the products of a channel of which this session is told just now."""
        return [name for name in self.live.get(channel, ()) if self._hears(channel, name)]

    def _hears(self, channel: str, name: str) -> bool:
        return not any(idle.concerns(channel, name) for idle in self._conduct.idle())

    def _snapshot(self, channel: str, market: ProductMarket) -> None:
        match channel:
            case "level2":
                self.put("level2", render.level2_snapshot(market))
            case "market_trades":
                self.put(channel, render.trades_snapshot(market))
            case "ticker" | "ticker_batch":
                best = channel == "ticker"
                self.put(channel, render.tickers("snapshot", [market], best=best))
            case "candles":
                self.put(channel, render.candles("snapshot", [market], self._clock()))
            case "status":
                self.put(channel, render.status("snapshot", [market]))

    def put(self, channel: str, events: str) -> None:
        """Hold a frame for the next flush; an acknowledgement may fall due behind it."""
        self.outbound.put(WIRE_NAMES.get(channel, channel), events)
        if self._acks:
            self._acks = [(after - 1, latest) for after, latest in self._acks]
            self._acknowledge(float("-inf"))

    def tick(self, now: float) -> bool:
        """Do what falls due by the clock; frames are held for the next flush.

        Returns:
            Whether a channel fell silent or came back, so that routes must be looked up anew.
        """
        self.outbound.tick()
        if self._acks:
            self._acknowledge(now)
        before, self._idle = self._idle, self._conduct.idle()
        for idle in self._idle:
            if idle not in before:
                products = None if idle.product is None else [idle.product]
                self.outbound.note("idle_channel", channel=idle.channel, product_ids=products)
        return before != self._idle

    def overdue(self, now: float) -> str | None:
        """Return why the venue ends this connection now, or None; ask after a flush."""
        if self.outbound.frames_sent != self._seen_frames:
            self._seen_frames, self._last_sent = self.outbound.frames_sent, now
        if self.outbound.silent:
            return None  # a host that died ends nothing
        if not self.outbound.blocked:
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > self._rules.slow_client_timeout:
            return SLOW_CLIENT
        if not self._asked and now - self._opened > self._rules.subscribe_timeout:
            return "no subscribe message in time"
        if now - self._last_sent > self._idle_timeout:
            return "idle"
        return None

    def _acknowledge(self, now: float) -> None:
        due = [ack for ack in self._acks if ack[0] <= 0 or ack[1] <= now]
        self._acks = [ack for ack in self._acks if ack not in due]
        for _ in due:
            self.outbound.put("subscriptions", render.subscriptions(self.subscriptions))
