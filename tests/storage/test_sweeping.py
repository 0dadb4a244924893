"""What writers that died leave on each storage, and that it goes away."""

from __future__ import annotations

import os
import time

from fluxforge.storage import LocalStorage, disk
from fluxforge.storage.keys import TEMP_PREFIX

HOUR = 3600


def leave_behind(directory, *, seconds_ago):
    """A write that was cut short; return where it lies."""
    directory.mkdir(parents=True, exist_ok=True)
    temp = disk.write_temporary(directory, [b"half"])
    moment = time.time() - seconds_ago
    os.utime(temp, (moment, moment))
    return temp


def test_old_temporary_files_go_and_young_ones_stay(tmp_path):
    old = leave_behind(tmp_path / "lake/level2/product_id=X", seconds_ago=2 * HOUR)
    young = leave_behind(tmp_path / "raw", seconds_ago=0)
    assert old.name.startswith(TEMP_PREFIX)
    assert LocalStorage(tmp_path).sweep_unfinished(older_than=HOUR) == 1
    assert not old.exists()
    assert young.exists()


def test_sweeping_follows_no_link_out_of_the_root(tmp_path):
    outside = leave_behind(tmp_path / "outside", seconds_ago=2 * HOUR)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside.parent)
    assert LocalStorage(root).sweep_unfinished(older_than=HOUR) == 0
    assert outside.exists()


def test_sweeping_where_nothing_is_finds_nothing(tmp_path):
    assert LocalStorage(tmp_path / "none").sweep_unfinished(older_than=0) == 0


def test_uploads_that_nobody_ends_are_aborted_below_the_prefix_alone(moto):
    bucket = moto.bucket()
    for key in ("lake/a", "elsewhere/b"):
        moto.admin.create_multipart_upload(Bucket=bucket, Key=key)
    storage = moto.storage("lake", bucket=bucket)
    century = 100 * 365 * 24 * HOUR  # to moto, every upload began in 2010
    assert storage.sweep_unfinished(older_than=century) == 0
    assert storage.sweep_unfinished(older_than=HOUR) == 1
    left = moto.admin.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["elsewhere/b"]
