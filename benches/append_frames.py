"""The frames that the writer's benchmarks append: about 600 bytes, a small level2 update each."""

from __future__ import annotations

import json
import random


def make_frames(count: int) -> list[bytes]:
    """Frames that differ, always the same ones."""
    chance = random.Random(3)

    def frame(number: int) -> bytes:
        updates = [
            {
                "side": chance.choice(["bid", "offer"]),
                "event_time": "2025-12-03T14:00:00.123456Z",
                "price_level": f"{chance.uniform(60_000, 70_000):.2f}",
                "new_quantity": f"{chance.random():.8f}",
            }
            for _ in range(4)
        ]
        events = [{"type": "update", "product_id": "BTC-USD", "updates": updates}]
        message = {"channel": "l2_data", "sequence_num": number, "events": events}
        return json.dumps(message, separators=(",", ":")).encode()

    return [frame(number) for number in range(count)]
