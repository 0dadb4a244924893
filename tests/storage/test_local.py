"""What only a disk has: syncs and their order, links, processes, a writer that dies."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fluxforge.errors import InvalidKeyError, StorageAccessError, StorageError
from fluxforge.storage import LocalStorage, disk, disk_batch
from fluxforge.storage.keys import TEMP_PREFIX

posix = pytest.mark.skipif(sys.platform == "win32", reason="directories are not synced on Windows")


@pytest.fixture
def steps(monkeypatch):
    """Record what reaches the disk, in order."""
    seen: list[tuple[str, str]] = []

    def record(module, name, label, describe):
        original = getattr(module, name)

        def recorded(*arguments, **options):
            seen.append((label, describe(*arguments)))
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, recorded)

    record(disk, "sync_descriptor", "sync", lambda fd: str(Path(f"/proc/self/fd/{fd}").readlink()))
    record(os, "link", "link", lambda _, target: str(target))
    record(Path, "replace", "replace", lambda _, target: str(target))
    record(os, "mkdir", "mkdir", lambda path, *_: str(path))
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named through /proc")
@pytest.mark.parametrize(("verb", "publish"), [("write_bytes", "replace"), ("create_new", "link")])
def test_file_before_name_before_directory(tmp_path, steps, verb, publish):
    root = tmp_path / "new" / "root"
    storage = LocalStorage(root)
    steps.clear()
    getattr(storage, verb)(b"x", "a/b/file")
    directory = root / "a" / "b"
    published = steps.index((publish, str(directory / "file")))
    before, after = steps[:published], steps[published + 1 :]
    assert before[-1][0] == "sync"
    assert Path(before[-1][1]).name.startswith(TEMP_PREFIX)
    assert after == [("sync", str(directory))]
    for made in (tmp_path / "new", root, root / "a", directory):
        position = before.index(("mkdir", str(made)))
        assert ("sync", str(made.parent)) == before[position + 1]
    # The second write into the directory finds the way down durable.
    steps.clear()
    getattr(storage, verb)(b"x", "a/b/other")
    assert [label for label, _ in steps] == ["sync", publish, "sync"]


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named through /proc")
def test_directories_that_another_process_made_are_synced_once(tmp_path, steps):
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    storage = LocalStorage(tmp_path / "root")
    steps.clear()
    storage.write_bytes(b"x", "a/b/file")
    synced = {path for label, path in steps if label == "sync"}
    assert {str(tmp_path / "root"), str(tmp_path / "root" / "a")} <= synced
    (tmp_path / "root" / "a" / "b" / "theirs").write_bytes(b"")
    steps.clear()
    LocalStorage(tmp_path / "root").ensure_durable("a/b/theirs")
    synced = {path for label, path in steps if label == "sync"}
    assert {str(tmp_path / "root" / "a" / "b" / "theirs"), str(tmp_path / "root/a/b")} <= synced


@posix
def test_a_failed_sync_publishes_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    storage = LocalStorage(tmp_path)
    storage.write_bytes(b"old", "d/x")
    monkeypatch.setattr(disk, "sync_descriptor", fail)
    for verb, key in ((storage.write_bytes, "d/x"), (storage.create_new, "d/new")):
        with pytest.raises(StorageError, match=f"could not write '{key}'") as caught:
            verb(b"new", key)
        assert caught.value.errno == errno.EIO
    assert storage.read_bytes("d/x") == b"old"
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["x"]


@pytest.mark.skipif(not disk_batch.supported(), reason="no sync of a whole file system here")
def test_many_files_before_their_names_before_the_second_sync(tmp_path, steps, monkeypatch):
    def sync(fd):
        steps.append(("sync all", str(Path(f"/proc/self/fd/{fd}").readlink())))

    storage = LocalStorage(tmp_path / "root")
    storage.mkdir("")
    monkeypatch.setattr(disk_batch, "sync_file_system", sync)
    steps.clear()
    assert all(storage.create_all([(b"x", f"d{n}/x") for n in range(40)]))
    labels = [label for label, _ in steps if label != "mkdir"]
    assert labels == ["sync all", *["link"] * 40, "sync all"]
    assert ("mkdir", str(tmp_path / "root" / "d39")) in steps[
        : steps.index(("sync all", str(tmp_path / "root")))
    ]


@pytest.mark.skipif(not disk_batch.supported(), reason="no sync of a whole file system here")
def test_a_failed_sync_of_many_publishes_nothing(tmp_path, monkeypatch):
    storage = LocalStorage(tmp_path)

    def fail(_fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk_batch, "sync_file_system", fail)
    with pytest.raises(StorageError, match="could not write '40 objects'"):
        storage.create_all([(b"x", f"d/{n}") for n in range(40)])
    assert list((tmp_path / "d").iterdir()) == []


@pytest.mark.skipif(not disk_batch.supported(), reason="no sync of a whole file system here")
def test_many_files_leave_alone_what_has_their_names(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write_bytes(b"old", "d3/x")
    (tmp_path / "d4").mkdir()
    created = storage.create_all([(b"new", f"d{n}/x") for n in range(40)])
    assert created == [n != 3 for n in range(40)]
    assert storage.read_bytes("d3/x") == b"old"
    assert storage.create_all([(b"new", f"d{n}/x") for n in range(40)]) == [False] * 40
    twice = storage.create_all(
        [(b"1", "e/x"), (b"2", "e/x"), *((b"", f"e/{n}") for n in range(40))]
    )
    assert twice == [True, False, *[True] * 40]
    assert len(list((tmp_path / "e").iterdir())) == 41


@pytest.mark.skipif(not disk_batch.supported(), reason="no sync of a whole file system here")
def test_many_files_follow_no_link_out_of_the_root(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root / "inside", outside):
        directory.mkdir(parents=True)
    storage = LocalStorage(root)
    (root / "astray").symlink_to(outside)
    (root / "within").symlink_to(root / "inside")
    with pytest.raises(InvalidKeyError, match="'astray' leads out of"):
        storage.create_all([(b"x", f"{d}/d{n}/x") for d in ("new", "astray") for n in range(40)])
    assert [path for path in root.rglob("*") if path.is_file()] == []
    assert list(outside.iterdir()) == []
    assert all(storage.create_all([(b"x", f"within/d{n}/x") for n in range(40)]))
    assert len(list((root / "inside").iterdir())) == 40


@pytest.mark.skipif(not disk_batch.supported(), reason="no sync of a whole file system here")
def test_many_files_below_a_file_are_refused_with_its_reason(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write_bytes(b"x", "d")
    with pytest.raises(StorageError, match="a file and a directory claim the same name"):
        storage.create_all([(b"x", f"d/{n}/x") for n in range(40)])


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    storage = LocalStorage(tmp_path)
    storage.write_bytes(b"0123456789" * 10, "x")
    assert storage.read_bytes("x") == b"0123456789" * 10


@pytest.mark.parametrize(
    ("number", "expected", "advice"),
    [
        (errno.ENOSPC, StorageError, "free space"),
        (errno.EDQUOT, StorageError, "free space"),
        (errno.EACCES, StorageAccessError, "give this user the right"),
        (errno.EROFS, StorageAccessError, "storage.base_dir"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_to_do(
    tmp_path, monkeypatch, number, expected, advice
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(expected, match=advice) as caught:
        LocalStorage(tmp_path).write_bytes(b"x", "raw/x")
    assert "'raw/x'" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.errno == number
    assert isinstance(caught.value.__cause__, OSError)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_file_where_a_directory_should_be_is_no_missing_object(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write_bytes(b"", "file")
    storage.mkdir("directory")
    for broken in (
        lambda: storage.write_bytes(b"", "file/below"),
        lambda: storage.mkdir("file"),
        lambda: storage.write_bytes(b"", "directory"),
    ):
        with pytest.raises(StorageError, match="claim the same name"):
            broken()
    assert storage.create_new(b"", "directory") is False


def test_files_have_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        LocalStorage(tmp_path).write_bytes(b"", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


# -- links ------------------------------------------------------------------------------------


@posix
def test_links_that_lead_out_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "dir").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "relative").symlink_to("../outside/secret")
    storage = LocalStorage(root)
    for key in ("dir/secret", "file", "relative"):
        for verb in (storage.read_bytes, storage.size, storage.exists, storage.ensure_durable):
            with pytest.raises(InvalidKeyError, match="through a symbolic link"):
                verb(key)
    for key in ("dir/new", "dir/secret"):
        with pytest.raises(InvalidKeyError):
            storage.write_bytes(b"gotcha", key)
        with pytest.raises(InvalidKeyError):
            storage.delete(key)
    with pytest.raises(InvalidKeyError):
        storage.mkdir("dir/sub")
    with pytest.raises(InvalidKeyError):
        storage.list_files("dir")
    assert storage.list_files(recursive=True) == []
    # A link is replaced or removed itself, never what it points to.
    storage.write_bytes(b"mine", "file")
    assert storage.read_bytes("file") == b"mine"
    assert storage.create_new(b"x", "relative") is False
    storage.delete("relative")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"


@posix
def test_links_that_stay_inside_are_followed_and_circles_end(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    storage = LocalStorage(link)
    storage.write_bytes(b"x", "a/x")
    (real / "b").symlink_to("a")
    (real / "a" / "y").symlink_to("x")
    (real / "a" / "up").symlink_to(real)
    (real / "loop").symlink_to("loop")
    assert storage.read_bytes("b/x") == b"x"
    assert storage.read_bytes("a/y") == b"x"
    assert storage.list_files(recursive=True) == ["a/x", "a/y"]
    with pytest.raises(StorageError):
        storage.read_bytes("loop")
    assert not storage.exists("loop")


@posix
def test_names_that_are_no_keys_are_not_listed(tmp_path):
    for name in (b"good", b"bad\nname", b"back\\slash", b"\xff\xfe", b"C:x"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    os.mkfifo(tmp_path / "pipe")
    assert LocalStorage(tmp_path).list_files() == ["good"]


# -- where it lies ----------------------------------------------------------------------------


def test_making_the_backend_touches_nothing(tmp_path):
    storage = LocalStorage(tmp_path / "not" / "yet")
    assert storage.list_files(recursive=True) == []
    assert not storage.exists("x")
    storage.delete("x")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_root_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = LocalStorage("data")
    monkeypatch.chdir("/")
    storage.write_bytes(b"x", "x")
    assert (tmp_path / "data" / "x").read_bytes() == b"x"
    assert storage.local_path("x") == tmp_path / "data" / "x"
    assert storage.get_full_path("") == str(tmp_path / "data")
    assert storage.get_storage_options("polars") == {}
    with pytest.raises(ValueError, match="polars, pandas, pyarrow, duckdb"):
        storage.get_storage_options("spark")


# -- processes and deaths ---------------------------------------------------------------------

RACE = """
import sys
from fluxforge.storage import LocalStorage

storage = LocalStorage(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = [key for key in range(200) if storage.create_new(sys.argv[2].encode(), f"race/{key}")]
print(*won)
"""


def test_of_many_processes_one_creates(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), str(me)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = {me: racer.communicate()[0].split() for me, racer in enumerate(racers)}
    assert sorted(key for keys in won.values() for key in keys) == sorted(map(str, range(200)))
    for me, keys in won.items():
        for key in keys:
            assert (tmp_path / "race" / key).read_text() == str(me)
    assert len(list((tmp_path / "race").iterdir())) == 200


@posix
def test_a_killed_writer_leaves_nothing_that_anyone_sees(tmp_path):
    root = tmp_path / "root"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        "import sys; from pathlib import Path; from fluxforge.storage import LocalStorage\n"
        "LocalStorage(sys.argv[1]).create_new_file(Path(sys.argv[2]), 'd/x')"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(root), str(pipe)])
    with pipe.open("wb", buffering=0) as feed:
        feed.write(b"half of it")
        while not list(root.glob(f"d/{TEMP_PREFIX}*")):
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    storage = LocalStorage(root)
    assert storage.list_files(recursive=True) == []
    assert not storage.exists("d/x")
    assert storage.create_new(b"whole", "d/x") is True
    assert storage.list_files(recursive=True) == ["d/x"]


def test_a_reader_sees_the_old_or_the_new_never_a_mixture(tmp_path):
    storage = LocalStorage(tmp_path)
    versions = [bytes([n]) * 100_000 for n in range(4)]
    storage.write_bytes(versions[0], "x")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for version in versions:
                storage.write_bytes(version, "x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert storage.read_bytes("x") in versions
    finally:
        stop.set()
        writer.join()
