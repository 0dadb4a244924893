"""A simulated Coinbase Advanced Trade exchange, for testing clients against a real websocket.

async with SimulatedExchange(seed=7, journal="sent.ndjson") as exchange:
    ...  # point a client at exchange.url
for record in read_journal("sent.ndjson"):
    ...  # what the client must have received, and what was withheld from it

It misbehaves on command: ``fluxforge.sim.faults``.
"""

from __future__ import annotations

from fluxforge.sim.digest import DIGEST_COLUMNS, digest_rows
from fluxforge.sim.exchange import SimulatedExchange
from fluxforge.sim.journal import (
    JournalEvent,
    JournalFrame,
    JournalSummary,
    JournalWithheld,
    read_journal,
    summarise,
)
from fluxforge.sim.products import DEFAULT_PRODUCTS, Product, choose_products
from fluxforge.sim.scenario import load_scenario
from fluxforge.sim.session import Rules

__all__ = [
    "DEFAULT_PRODUCTS",
    "DIGEST_COLUMNS",
    "JournalEvent",
    "JournalFrame",
    "JournalSummary",
    "JournalWithheld",
    "Product",
    "Rules",
    "SimulatedExchange",
    "choose_products",
    "digest_rows",
    "load_scenario",
    "read_journal",
    "summarise",
]
