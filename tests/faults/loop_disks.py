"""A file system in a file, whose power can be cut: what it had not written is gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probing import need, need_root, need_tools

MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
# Without ext4's kindness to whoever replaces a file by renaming and forgets to sync it first.
OPTIONS = {"ext4": "noauto_da_alloc", "xfs": "defaults"}
# xfs takes no less than 300 MiB; the image is sparse.
IMAGE_BYTES = 320 << 20
# _IOR('X', 125, __u32), and its argument: go down without flushing the journal.
FS_IOC_SHUTDOWN, WITHOUT_LOG_FLUSH = 0x8004587D, 2


class LoopDisk:
    """A block device with a file system, mounted or not."""

    def __init__(self, device: str, mount_point: Path, options: str) -> None:
        self.device = device
        self.options = options
        self.mount_point = mount_point
        self.raw = mount_point / "raw"

    def mount(self) -> None:
        command = ["mount", "-o", self.options, self.device, str(self.mount_point)]
        subprocess.run(command, check=True)
        assert self.is_mounted(), "nothing may be written beside the image"

    def is_mounted(self) -> bool:
        """Asked of the kernel: os.path.ismount says no where a dead file system answers EIO."""
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return any(line.split()[1] == str(self.mount_point) for line in mounts)

    def unmount(self) -> None:
        """Whoever had files open may need a moment to be quite dead."""
        command = ["umount", str(self.mount_point)]
        deadline = time.monotonic() + 10
        while self.is_mounted():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                assert time.monotonic() < deadline, done.stderr
                time.sleep(0.02)

    def shut_down(self) -> None:
        """From now on nothing reaches the disk; all that goes on gets EIO."""
        root = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(root, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(root)

    def come_back(self) -> None:
        """After a shutdown: what a machine finds when the power is there again."""
        self.unmount()
        self.mount()

    def forget(self) -> None:
        """Remove all segments as an ETL does, durably; the counter must not care."""
        for segment in (self.raw / "ready").iterdir():
            segment.unlink()
        ready = os.open(self.raw / "ready", os.O_RDONLY)
        os.fsync(ready)
        os.close(ready)


@contextmanager
def loop_device(image: Path) -> Iterator[str]:
    """A block device over a file."""
    device = need("losetup", "--find", "--show", image, what="a loop device")
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def mounted(image: Path, mount_point: Path, kind: str) -> Iterator[LoopDisk]:
    """A file with ext4 or xfs, mounted for the length of a block."""
    mount_point.mkdir(exist_ok=True)
    with loop_device(image) as device:
        disk = LoopDisk(device, mount_point, OPTIONS[kind])
        try:
            need("mount", "-o", OPTIONS[kind], device, mount_point, what="mounting an image")
            yield disk
        finally:
            disk.unmount()


@contextmanager
def fresh_disk(where: Path, kind: str) -> Iterator[LoopDisk]:
    """An empty ext4 or xfs in a new image, mounted; of the image nothing stays."""
    need_root()
    need_tools(**{"mkfs.xfs": "xfsprogs", "mkfs.ext4": "e2fsprogs", "losetup": "mount"})
    where.mkdir()
    image = where / "image"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    need(*MAKE[kind], image, what=f"making {kind}")
    with mounted(image, where / "mounted", kind) as disk:
        yield disk
    shutil.rmtree(where)
