"""What a disk may hold at any moment, rebuilt from the log of what was written to it.

At a cut, all that was written before the last flush is there. Of what came after, each sector of
512 bytes is old or new by itself: a disk may reorder, and tear any write between two sectors.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.disk_that_logs import ENTRY

SECTOR = 512


@dataclass(frozen=True)
class Entry:
    """One write, or a flush where there are no bytes; `end` is where its entry ends in the log."""

    offset: int
    data: bytes
    end: int


def read(log: Path) -> list[Entry]:
    """All entries, in the order in which the device completed them."""
    text = log.read_bytes()
    entries, at = [], 0
    while at < len(text):
        offset, length = ENTRY.unpack_from(text, at)
        at += ENTRY.size + length
        entries.append(Entry(offset, text[at - length : at], at))
    return entries


def cut_images(
    before: Path, entries: list[Entry], cuts: list[int], chance: random.Random
) -> Iterator[tuple[int, Path]]:
    """For each cut (a number of entries, ascending), an image of the disk as it may be then.

    Args:
        before: The image before the first entry; it is brought forward to the last cut's flush.
        entries: What was written to it.
        cuts: How many of the entries had been completed.
        chance: Chooses which sectors reached the disk.
    """
    applied = 0
    image = before.with_name("cut")
    for cut in cuts:
        flushes = (n for n in range(cut, applied, -1) if not entries[n - 1].data)
        flushed = next(flushes, applied)
        _write(before, ((one.offset, one.data) for one in entries[applied:flushed]))
        applied = flushed
        shutil.copyfile(before, image)
        _write(image, _some_sectors(entries[flushed:cut], chance))
        yield cut, image
    image.unlink(missing_ok=True)


def _write(image: Path, pieces: Iterator[tuple[int, bytes]]) -> None:
    with image.open("r+b") as disk:
        for offset, data in pieces:
            os.pwrite(disk.fileno(), data, offset)


def _some_sectors(entries: list[Entry], chance: random.Random) -> Iterator[tuple[int, bytes]]:
    # From "nearly nothing reached the disk" to "nearly all": the extremes hide different mistakes.
    share = chance.choice([0.05, 0.5, 0.95])
    for entry in entries:
        for at in range(0, len(entry.data), SECTOR):
            if chance.random() < share:
                yield entry.offset + at, entry.data[at : at + SECTOR]
