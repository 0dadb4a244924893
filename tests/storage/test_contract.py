"""What every storage promises, asked of each. A new backend is right when this passes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from fluxforge.errors import InvalidKeyError, ObjectNotFoundError

HOSTILE = [
    "",
    "/etc/passwd",
    "//x",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "/",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "C:/x",
    "c:x",
    "a\\b",
    "..\\x",
    "a/" + "x" * 256,
    "a/" * 600 + "x",
    "a/.fluxforge-tmp-1",
    "\ud800",
]
VERBS = {
    "write_bytes": lambda s, k, _: s.write_bytes(b"", k),
    "create_new": lambda s, k, _: s.create_new(b"", k),
    "create_all": lambda s, k, _: s.create_all([(b"", k)]),
    "create_all of many": lambda s, k, _: s.create_all(
        [(b"", k)] + [(b"", f"{n}") for n in range(99)]
    ),
    "create_new_file": lambda s, k, f: s.create_new_file(f, k),
    "holds_file": lambda s, k, f: s.holds_file(f, k),
    "write_file": lambda s, k, f: s.write_file(f, k),
    "read_bytes": lambda s, k, _: s.read_bytes(k),
    "read_chunks": lambda s, k, _: next(s.read_chunks(k)),
    "exists": lambda s, k, _: s.exists(k),
    "size": lambda s, k, _: s.size(k),
    "delete": lambda s, k, _: s.delete(k),
    "ensure_durable": lambda s, k, _: s.ensure_durable(k),
}


def test_what_was_written_is_read_back(storage):
    storage.write_bytes(b"first", "a/b/c.bin")
    assert storage.read_bytes("a/b/c.bin") == b"first"
    storage.write_bytes(memoryview(b"__second__")[2:-2], "a/b/c.bin")
    assert storage.read_bytes("a/b/c.bin") == b"second"
    assert storage.size("a/b/c.bin") == 6
    assert storage.exists("a/b/c.bin")
    storage.ensure_durable("a/b/c.bin")


def test_an_empty_object_is_an_object(storage):
    storage.write_bytes(b"", "empty")
    assert storage.read_bytes("empty") == b""
    assert list(storage.read_chunks("empty")) == []
    assert storage.size("empty") == 0
    assert storage.exists("empty")


def test_create_new_wins_once_and_leaves_the_winner_alone(storage):
    assert storage.create_new(b"mine", "claims/x.json") is True
    assert storage.create_new(b"theirs", "claims/x.json") is False
    assert storage.read_bytes("claims/x.json") == b"mine"
    storage.delete("claims/x.json")
    assert storage.create_new(b"theirs", "claims/x.json") is True


@pytest.mark.parametrize("count", [0, 1, 40])
def test_create_all_is_create_new_for_each(storage, count):
    storage.write_bytes(b"there", "all/1/x")
    objects = [(f"{n}".encode(), f"all/{n}/x") for n in range(count)]
    assert storage.create_all(objects) == [n != 1 for n in range(count)]
    for content, key in objects[2:]:
        assert storage.read_bytes(key) == content
    assert storage.read_bytes("all/1/x") == b"there"
    assert len(storage.list_files("all", recursive=True)) == max(count, 1) + (count == 1)


def test_create_all_of_many_at_once_has_one_winner_each(storage):
    def work(who):
        return storage.create_all([(who.encode(), f"race/{n}") for n in range(40)])

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(work, "abcd"))
    for n, winners in enumerate(zip(*won, strict=True)):
        assert sum(winners) == 1
        assert storage.read_bytes(f"race/{n}").decode() == "abcd"[winners.index(True)]


def test_create_new_loses_against_an_ordinary_write(storage):
    storage.write_bytes(b"there", "x")
    assert storage.create_new(b"late", "x") is False
    assert storage.read_bytes("x") == b"there"


def test_files_go_up_whole(storage, tmp_path):
    content = bytes(range(256)) * 20_000
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    assert storage.create_new_file(source, "up/new.bin") is True
    assert storage.create_new_file(source, "up/new.bin") is False
    storage.write_file(source, "up/other.bin")
    source.write_bytes(b"short")
    storage.write_file(source, "up/other.bin")
    assert storage.read_bytes("up/new.bin") == content
    assert storage.read_bytes("up/other.bin") == b"short"
    assert b"".join(storage.read_chunks("up/new.bin", 1000)) == content
    assert max(map(len, storage.read_chunks("up/new.bin", 1000))) <= 1000


RANGES = [(0, None), (0, 0), (0, 1), (1, None), (5, 9), (9, 5), (2**20 - 1, 2**20 + 1)]
RANGES += [(2**20, None), (2_500_000, 2_500_001), (2_500_000, None), (2_999_999, None)]
RANGES += [(3_000_000, None), (4_000_000, 5_000_000), (1_000, 10_000_000)]


def test_a_part_of_an_object_is_read_alone(storage):
    content = random.Random(1).randbytes(3_000_000)
    storage.write_bytes(content, "x")
    for start, stop in RANGES:
        pieces = list(storage.read_chunks("x", 700_000, start=start, stop=stop))
        assert b"".join(pieces) == content[start:stop], (start, stop)
        assert all(0 < len(piece) <= 700_000 for piece in pieces)


def test_an_object_holds_a_file_or_does_not(storage, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"0123456789" * 1000)
    storage.create_new_file(source, "x")
    assert storage.holds_file(source, "x")
    source.write_bytes(b"0123456780" * 1000)
    assert not storage.holds_file(source, "x")
    source.write_bytes(b"0123456789" * 999)
    assert not storage.holds_file(source, "x")
    with pytest.raises(ObjectNotFoundError):
        storage.holds_file(source, "y")


@pytest.mark.parametrize("verb", ["create_new", "create_new_file"])
def test_of_many_threads_one_creates(storage, tmp_path, verb):
    callers = 8
    for round_ in range(5):
        barrier = Barrier(callers)
        key = f"race/{round_}"

        def create(me: int, key=key, barrier=barrier):
            content = str(me).encode() * 1000
            source = tmp_path / str(me)
            source.write_bytes(content)
            barrier.wait()
            if verb == "create_new":
                return storage.create_new(content, key)
            return storage.create_new_file(source, key)

        with ThreadPoolExecutor(callers) as pool:
            won = list(pool.map(create, range(callers)))
        assert won.count(True) == 1
        assert storage.read_bytes(key) == str(won.index(True)).encode() * 1000


@pytest.mark.parametrize("verb", ["read_bytes", "read_chunks", "size", "ensure_durable"])
@pytest.mark.parametrize("key", ["missing", "a/missing", "a", "a/b/below-a-file"])
def test_nothing_there_is_said_plainly(storage, tmp_path, verb, key):
    storage.write_bytes(b"", "a/b")
    with pytest.raises(ObjectNotFoundError, match=key) as caught:
        VERBS[verb](storage, key, tmp_path)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.__cause__ is not None
    assert not storage.exists(key)


def test_deleting_is_idempotent_and_leaves_neighbours(storage):
    storage.write_bytes(b"1", "d/one")
    storage.write_bytes(b"2", "d/two")
    storage.delete("d/one")
    storage.delete("d/one")
    storage.delete("never/was")
    storage.delete("d")  # what others see as a directory is no object
    assert storage.list_files("d") == ["d/two"]


def test_listing(storage):
    keys = ["a/1.json", "a/2.json", "a/2.txt", "a/deep/3.json", "a-b/4.json", "top.json", "aé/5"]
    for key in keys:
        storage.write_bytes(b"", key)
    assert storage.list_files() == ["top.json"]
    assert storage.list_files("", recursive=True) == sorted(keys)
    assert storage.list_files("a") == ["a/1.json", "a/2.json", "a/2.txt"]
    assert storage.list_files("a/") == storage.list_files("a")
    assert storage.list_files("a", "*.json") == ["a/1.json", "a/2.json"]
    assert storage.list_files("a", "*.json", recursive=True) == [
        "a/1.json",
        "a/2.json",
        "a/deep/3.json",
    ]
    assert storage.list_files("a", "[!1].json") == ["a/2.json"]
    assert storage.list_files("a", "2.JSON") == []
    assert storage.list_files("nowhere") == []
    assert storage.list_files("top.json") == []


def test_a_made_directory_is_empty(storage):
    storage.mkdir("made/for/you")
    storage.mkdir("made/for/you/")
    assert storage.list_files("made", recursive=True) == []
    storage.write_bytes(b"x", "made/for/you/x")
    assert storage.list_files("made", recursive=True) == ["made/for/you/x"]


@pytest.mark.parametrize("verb", VERBS)
def test_no_key_leaves_the_root(storage, tmp_path, verb):
    source = tmp_path / "file"
    source.write_bytes(b"")
    for key in HOSTILE:
        with pytest.raises(InvalidKeyError):
            VERBS[verb](storage, key, source)
    assert storage.list_files(recursive=True) == []


def test_no_directory_leaves_the_root(storage):
    for path in ("/", "..", "a/..", "/etc", "a\0", "a//"):
        for verb in (storage.list_files, storage.mkdir, storage.get_full_path):
            with pytest.raises(InvalidKeyError):
                verb(path)


def test_a_missing_local_file_is_named(storage, tmp_path):
    for verb in (storage.write_file, storage.create_new_file):
        with pytest.raises(Exception, match="no-such-source") as caught:
            verb(tmp_path / "no-such-source", "x")
        assert not isinstance(caught.value, ObjectNotFoundError)
    assert storage.list_files() == []


def test_keys_of_every_script_come_back(storage):
    keys = ["sp ace/%41", "é/ü", "日本/🚀", "a=b/c&d+e", "q?x#y", "~/..."]
    for key in keys:
        storage.write_bytes(key.encode(), key)
    assert storage.list_files(recursive=True) == sorted(keys)
    for key in keys:
        assert storage.read_bytes(key) == key.encode()


def test_joined_paths_are_keys(storage):
    assert storage.join_path("raw/", "/ready", "", "x.ndjson") == "raw/ready/x.ndjson"
    assert storage.get_full_path("a/b").endswith("a/b")
    assert storage.get_full_path("a") == storage.get_full_path("") + "/a"


def test_an_object_grows_old_by_the_storages_own_clock(storage):
    storage.write_bytes(b"x", "a/young")
    # S3 tells whole seconds, and may round them either way.
    assert -2 < storage.age("a/young") < 60
    with pytest.raises(ObjectNotFoundError):
        storage.age("a/missing")


def test_sweeping_leaves_whole_objects_and_what_is_young(storage):
    storage.write_bytes(b"x", "a/whole")
    assert storage.sweep_unfinished(older_than=0) == 0
    assert storage.read_bytes("a/whole") == b"x"
