"""From the spool to the storage: so that a lost machine costs seconds, and nobody else's work."""

from __future__ import annotations

from fluxforge.ingestion.shipping.adoption import Adopter, Finished
from fluxforge.ingestion.shipping.pieces import Identity, Pieces, PieceStore
from fluxforge.ingestion.shipping.publishing import Publisher
from fluxforge.ingestion.shipping.shipper import Shipper
from fluxforge.ingestion.shipping.stats import ShippingStats

__all__ = [
    "Adopter",
    "Finished",
    "Identity",
    "PieceStore",
    "Pieces",
    "Publisher",
    "Shipper",
    "ShippingStats",
]
