"""What the simulated exchange trades: products as data.

Activity falls like Zipf's law, prices span nine decades, increments differ per product: whoever
handles all of these has seen every shape of number that the wire carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

REAL_USDC_BOOKS = frozenset({"USDT-USDC", "EURC-USDC"})
"""The only books truly quoted in USDC; every other ``X-USDC`` is another name of ``X-USD``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One tradable product.

    Attributes:
        id: The name on the wire, ``BTC-USD``.
        price: Where the simulated price starts, and the anchor it never strays far from.
        quote_increment: The tick: every price is a multiple of it.
        base_increment: The lot: every quantity is a multiple of it.
        activity: This product's share of the market's events, relative to the others.
        volume_24_h: What had been traded in the day before the simulation began, in base units.
        product_type: ``SPOT`` or ``FUTURE``.
    """

    id: str
    price: str
    quote_increment: str
    base_increment: str = "0.00000001"
    activity: float = 1.0
    volume_24_h: str = "15328.12345678"
    product_type: str = "SPOT"
    price_scale: int = field(init=False)
    quantity_scale: int = field(init=False)
    tick: int = field(init=False)
    lot: int = field(init=False)

    def __post_init__(self) -> None:
        price_scale, tick = _scale_and_units(self.quote_increment)
        quantity_scale, lot = _scale_and_units(self.base_increment)
        if Decimal(self.price) < 10 * Decimal(self.quote_increment):
            raise ValueError(f"product {self.id}: the price {self.price} leaves no room for a book")
        if not self.activity > 0:
            raise ValueError(f"product {self.id}: activity must be positive, not {self.activity}")
        # Derived once here: a frozen class can only be completed this way.
        object.__setattr__(self, "price_scale", price_scale)
        object.__setattr__(self, "quantity_scale", quantity_scale)
        object.__setattr__(self, "tick", tick)
        object.__setattr__(self, "lot", lot)

    @property
    def base_currency(self) -> str:
        """The left side of the id."""
        return self.id.split("-", 1)[0]

    @property
    def quote_currency(self) -> str:
        """The right side of the id; a future is quoted in USD."""
        return self.id.split("-", 1)[1] if self.product_type == "SPOT" else "USD"


def _scale_and_units(increment: str) -> tuple[int, int]:
    """Split an increment into decimals and units of the last one: ``0.05`` is (2, 5)."""
    value = Decimal(increment)
    if not value > 0:
        raise ValueError(f"an increment must be positive, not {increment}")
    exponent = value.normalize().as_tuple().exponent
    scale = max(0, -int(exponent))
    return scale, int(value.scaleb(scale))


def _zipf(*products: tuple[str, str, str, str, str]) -> tuple[Product, ...]:
    return tuple(
        Product(
            id=name,
            price=price,
            quote_increment=tick,
            base_increment=lot,
            volume_24_h=volume,
            activity=1 / rank,
            product_type="FUTURE" if name.endswith("-CDE") else "SPOT",
        )
        for rank, (name, price, tick, lot, volume) in enumerate(products, start=1)
    )


DEFAULT_PRODUCTS: tuple[Product, ...] = _zipf(
    ("BTC-USD", "68900.00", "0.01", "0.00000001", "15328.12345678"),
    ("ETH-USD", "3521.47", "0.01", "0.00000001", "128411.00937211"),
    ("SOL-USD", "171.23", "0.01", "0.00000001", "1933871.5540021"),
    ("XRP-USD", "2.1534", "0.0001", "0.000001", "88211904.113204"),
    ("DOGE-USD", "0.14231", "0.00001", "0.1", "412888131.7"),
    ("ADA-USD", "0.4512", "0.0001", "0.00000001", "71220145.13370042"),
    ("LINK-USD", "13.875", "0.001", "0.01", "1450223.87"),
    ("LTC-USD", "84.39", "0.01", "0.00000001", "201733.9184"),
    ("AVAX-USD", "14.21", "0.01", "0.00000001", "911402.6"),
    ("BCH-USD", "512.34", "0.01", "0.00000001", "22841.01"),
    ("USDT-USDC", "0.99982", "0.00001", "0.01", "31004112.4"),
    ("BONK-USD", "0.00001234", "0.00000001", "0.0001", "1845671234567.8901"),
    ("DOT-USD", "2.873", "0.001", "0.00000001", "1733021.44"),
    ("UNI-USD", "6.215", "0.001", "0.000001", "388190.229"),
    ("AAVE-USD", "178.92", "0.01", "0.001", "60211.482"),
    ("XLM-USD", "0.254871", "0.000001", "1", "91822004"),
    ("ATOM-USD", "2.951", "0.001", "0.01", "620114.9"),
    ("ALGO-USD", "0.1384", "0.0001", "1", "40911820"),
    ("FIL-USD", "1.412", "0.001", "0.001", "918220.71"),
    ("BIP-20DEC30-CDE", "72575", "5", "1", "20411"),
)
"""Twenty products, most active first."""


def choose_products(choice: int | Sequence[str]) -> tuple[Product, ...]:
    """Choose the first N products, or products by name.

    A number above twenty is filled up with ``SIM21-USD`` and so on, so that the limits of a
    connection can be tried; a name that is not among the defaults becomes a product at 100.00.

    Raises:
        ValueError: The choice is empty or names a product twice.
    """
    if isinstance(choice, int):
        names = [product.id for product in DEFAULT_PRODUCTS[:choice]]
        names += [f"SIM{rank}-USD" for rank in range(len(DEFAULT_PRODUCTS) + 1, choice + 1)]
    else:
        names = list(choice)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"choose at least one product and none twice, not {choice!r}")
    known = {product.id: product for product in DEFAULT_PRODUCTS}
    return tuple(
        known.get(name)
        or Product(id=name, price="100.00", quote_increment="0.01", activity=1 / rank)
        for rank, name in enumerate(names, start=1)
    )
