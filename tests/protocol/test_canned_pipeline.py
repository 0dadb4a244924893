"""What the exhaustive model takes for granted: its pipeline and its disk are like the real ones."""

from __future__ import annotations

import pytest

from fluxforge.errors import ObjectNotFoundError
from fluxforge.etl import ETLJob
from fluxforge.storage import LocalStorage
from protocol.canned import WITH_REJECTS, CannedPipeline, can
from protocol.disk_model import MISSING, Disk, Verb
from segments import local


class Asked(LocalStorage):
    """A storage that writes down what it is asked."""

    def __init__(self, root):
        super().__init__(root)
        self.verbs = []

    def create_new(self, data, path):
        self.verbs.append(("create", path, bytes(data)))
        return super().create_new(data, path)

    def create_all(self, objects):
        return [self.create_new(data, key) for data, key in objects]

    def read_bytes(self, path):
        self.verbs.append(("read", path))
        return super().read_bytes(path)

    def ensure_durable(self, path):
        self.verbs.append(("ensure_durable", path))
        super().ensure_durable(path)

    def size(self, path):
        self.verbs.append(("size", path))
        return super().size(path)


@pytest.fixture(scope="module")
def canned(tmp_path_factory):
    return can(tmp_path_factory.mktemp("canned"), WITH_REJECTS)


@pytest.mark.parametrize("recipe", ["float64", "decimal"])
def test_the_canned_pipeline_asks_what_the_real_one_asks(canned, recipe, tmp_path):
    settings = {} if recipe == "float64" else {"numbers": recipe}
    asked = {}
    for name in ("real", "canned"):
        storage = Asked(tmp_path / name)
        storage.write_bytes(canned.raw, canned.key)
        job = ETLJob(local(tmp_path / name, **settings), storage=storage, storage_output=storage)
        if name == "canned":
            job._pipeline = CannedPipeline(storage, canned, recipe=recipe, worker="any")
        commits = [
            job._pipeline.run(canned.key, segment=canned.segment, uid=canned.uid)
            for _ in range(2)  # the second time all of it is there
        ]
        assert commits[0].parts == commits[1].parts == canned.commits[recipe].parts
        asked[name] = storage.verbs
    assert asked["real"] == asked["canned"]
    assert {verb for verb, *_ in asked["real"]} >= {"create", "ensure_durable"}


def test_the_disk_of_the_model_answers_as_a_real_one(tmp_path):
    """Verb by verb, on a path through every answer that a verb can give."""
    real, disk = LocalStorage(tmp_path), Disk({}, {})
    steps = [
        Verb("exists", "a/x"),
        Verb("read", "a/x"),
        Verb("size", "a/x"),
        Verb("ensure_durable", "a/x"),
        Verb("delete", "a/x"),
        Verb("create", "a/x", b"one"),
        Verb("create", "a/x", b"two"),
        Verb("ensure_durable", "a/x"),
        Verb("read", "a/x"),
        Verb("size", "a/x"),
        Verb("exists", "a/x"),
        Verb("write", "a/x", b"three"),
        Verb("read", "a/x"),
        Verb("create", "a/b/y.json", b"deep"),
        Verb("list", "a"),
        Verb("list", "a", pattern="*.json"),
        Verb("list", "a", pattern="*.json", recursive=True),
        Verb("list", "a", recursive=True),
        Verb("delete", "a/x"),
        Verb("list", "a", recursive=True),
        Verb("list", "nowhere"),
    ]
    for verb in steps:
        (step,) = disk.steps(verb)
        disk = step.disk if step.then is None else step.disk.synced(step.then)
        assert step.result == answer(real, verb), verb
        assert disk.visible == disk.durable


def answer(real, verb):
    try:
        match verb.name:
            case "create":
                return real.create_new(verb.data, verb.key)
            case "write":
                return real.write_bytes(verb.data, verb.key)
            case "read":
                return real.read_bytes(verb.key)
            case "list":
                return tuple(real.list_files(verb.key, verb.pattern, recursive=verb.recursive))
            case name:
                return getattr(real, name)(verb.key)
    except ObjectNotFoundError:
        return MISSING


def test_a_power_cut_keeps_each_change_or_not():
    disk = Disk({"a": b"1"}, {"a": b"1"})
    (created,) = disk.steps(Verb("create", "b", b"2"))
    (deleted,) = created.disk.steps(Verb("delete", "a"))
    outcomes = {frozenset(cut.visible.items()) for cut in deleted.disk.power_cuts()}
    assert outcomes == {
        frozenset({("a", b"1")}),
        frozenset({("a", b"1"), ("b", b"2")}),
        frozenset({("b", b"2")}),
        frozenset(),
    }
    synced = deleted.disk.synced("a").synced("b")
    assert [cut.visible for cut in synced.power_cuts()] == [{"b": b"2"}]
