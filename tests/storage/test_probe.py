"""The probe: what it accepts, what it refuses, and what it leaves behind."""

from __future__ import annotations

import threading

import pytest

from fluxforge.errors import DishonestStorageError, ObjectNotFoundError, StorageError
from fluxforge.storage import LocalStorage
from fluxforge.storage.probe import require_honest


class Memory:
    """An honest storage, from which liars are made by one lie each."""

    def __init__(self):
        self.objects = {}
        self.lock = threading.Lock()

    def local_path(self, _):
        return None

    def get_full_path(self, key):
        return f"memory://{key}"

    def create_new(self, data, key):
        with self.lock:
            won = key not in self.objects
            return self.objects.setdefault(key, data) is data and won

    def read_bytes(self, key):
        try:
            return self.objects[key]
        except KeyError:
            raise ObjectNotFoundError(key) from None

    def exists(self, key):
        return key in self.objects

    def delete(self, key):
        self.objects.pop(key, None)


class RefusesAll(Memory):
    def create_new(self, data, key):
        super().create_new(data, key)
        return False


class TakesAll(Memory):
    def create_new(self, data, key):
        self.objects[key] = data
        return True


class RefusesAndReplaces(Memory):
    def create_new(self, data, key):
        won = key not in self.objects
        self.objects[key] = data
        return won


class LooksBeforeItWrites(Memory):
    """Honest one by one, not at once: the look and the write are two steps."""

    def __init__(self):
        super().__init__()
        self.meet = threading.Barrier(6)

    def create_new(self, data, key):
        won = key not in self.objects
        if "-" in key.rpartition("/")[2]:
            self.meet.wait()
        if won:
            self.objects[key] = data
        return won


class KeepsALoser(Memory):
    def read_bytes(self, key):
        data = super().read_bytes(key)
        return data if "-" not in key.rpartition("/")[2] else b"another's"


class Flips(Memory):
    def read_bytes(self, key):
        return super().read_bytes(key)[:-1]


class KeepsTheDead(Memory):
    def delete(self, key):
        pass


class RemembersTheDead(Memory):
    def __init__(self):
        super().__init__()
        self.ever = set()

    def create_new(self, data, key):
        won = key not in self.ever and super().create_new(data, key)
        self.ever.add(key)
        return won


def test_an_honest_storage_passes_and_nothing_is_left():
    storage = Memory()
    require_honest(storage)
    assert storage.objects == {}


@pytest.mark.parametrize(
    ("liar", "said"),
    [
        (RefusesAll, "refused to create an object where none lay"),
        (Flips, "other bytes than it had taken"),
        (TakesAll, "took a second object"),
        (RefusesAndReplaces, "replaced the first one"),
        (KeepsTheDead, "still showed an object after deleting"),
        (RemembersTheDead, "again that had been deleted"),
        (LooksBeforeItWrites, "of 6 writers at once 6 were told they won"),
        (KeepsALoser, "told it lost"),
    ],
)
def test_each_lie_is_named_with_what_to_do(liar, said):
    storage = liar()
    with pytest.raises(DishonestStorageError, match=said) as caught:
        require_honest(storage)
    assert "memory://" in str(caught.value)
    assert "etl.single_worker" in str(caught.value)
    assert caught.value.exit_code == 2
    if liar is not KeepsTheDead:
        assert storage.objects == {}


def test_a_storage_that_fails_is_not_called_a_liar():
    class Down(Memory):
        def create_new(self, *_):
            raise StorageError("down")

    with pytest.raises(StorageError, match="down") as caught:
        require_honest(Down())
    assert not isinstance(caught.value, DishonestStorageError)


def test_a_local_disk_is_not_asked(tmp_path):
    require_honest(LocalStorage(tmp_path / "root"))
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("server", ["moto", "moto_in_process", "radosgw"])
def test_the_probe_accepts_honest_servers_and_cleans_up(request, server):
    storage = request.getfixturevalue(server).storage("a/prefix")
    require_honest(storage)
    assert storage.list_files(recursive=True) == []


def test_the_probe_refuses_rclone_which_ignores_the_condition(rclone):
    storage = rclone.storage("prefix")
    with pytest.raises(DishonestStorageError, match="took a second object"):
        require_honest(storage)
    assert storage.list_files(recursive=True) == []
