"""Many objects created at once, while more of them are still being made.

Whoever makes the objects and whoever stores them work at the same time: the next one is asked for
as soon as there is room. What is made and not stored yet is bounded, in objects and in bytes, so
the slower of the two sets the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

AT_ONCE = 8
"""How many objects are on their way at once."""
_BYTES_UNDER_WAY = 64 << 20


def create_side_by_side(
    create: Callable[[bytes | memoryview, str], bool],
    objects: Iterable[tuple[bytes | memoryview, str]],
) -> list[bool]:
    """Create objects as they come.

    Args:
        create: Creates one, given its content and its key; called from some threads.
        objects: Contents and keys; made in the caller's thread.

    Returns:
        What ``create`` returned, in the objects' order.

    Raises:
        Exception: What making or creating one raised; no more are begun then.
    """
    created: list[Future[bool]] = []
    under_way: dict[Future[bool], int] = {}
    pool = ThreadPoolExecutor(AT_ONCE, "create")
    try:
        for data, key in objects:
            while under_way and not _has_room(under_way, len(data)):
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    del under_way[future]
                    future.result()
            future = pool.submit(create, data, key)
            under_way[future] = len(data)
            created.append(future)
        return [future.result() for future in created]
    finally:
        pool.shutdown(cancel_futures=True)


def _has_room(under_way: dict[Future[bool], int], size: int) -> bool:
    # One waits for each that is on its way, so that no thread does.
    few = len(under_way) < 2 * AT_ONCE
    return few and sum(under_way.values()) + size <= _BYTES_UNDER_WAY
