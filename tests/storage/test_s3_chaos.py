"""S3 behind a bad network: no false winner, no win lost, no damaged byte given out."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.config import Config

from chaos_proxy import Fault, proxied
from fluxforge.errors import StorageAccessError, StorageError

# Less patience than ships, and as many tries.
IMPATIENT = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 5})
BROKEN_PUTS = [
    Fault.REFUSE,
    Fault.SLOW_DOWN,
    Fault.RESET_UP,
    Fault.LOSE_ANSWER,
    Fault.STALL,
]
BROKEN_GETS = [
    Fault.REFUSE,
    Fault.SLOW_DOWN,
    Fault.LOSE_ANSWER,
    Fault.STALL,
    Fault.STALL_DOWN,
    Fault.RESET_DOWN,
    Fault.FLIP_DOWN,
]
CONTENT = random.Random(7).randbytes(3_300_000)


@pytest.fixture(params=["moto", "radosgw"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    with proxied(server.endpoint) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    """The waits between boto3's tries are its own business; here they are short."""
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01
    )


@pytest.fixture
def storage(server, proxy):
    """Goes through the proxy; the server's own address is asked for what really lies there."""
    bucket = server.bucket()
    through = server.storage(
        bucket=bucket, endpoint_url=proxy.endpoint, config=IMPATIENT, sleep=lambda _: None
    )
    through.truth = server.storage(bucket=bucket)
    return through


def create(storage, verb, content, tmp_path):
    if verb == "create_new":
        return storage.create_new(content, "x")
    source = tmp_path / "source"
    source.write_bytes(content)
    return storage.create_new_file(source, "x")


@pytest.mark.parametrize("verb", ["create_new", "create_new_file"])
@pytest.mark.parametrize("fault", BROKEN_PUTS)
def test_a_creation_that_breaks_is_won_all_the_same(storage, proxy, tmp_path, verb, fault):
    proxy.plan("PUT", fault)
    assert create(storage, verb, CONTENT, tmp_path) is True
    assert proxy.planned == 0
    assert storage.truth.read_bytes("x") == CONTENT
    assert create(storage, verb, b"late", tmp_path) is False


@pytest.mark.parametrize("fault", BROKEN_PUTS)
def test_a_creation_that_breaks_is_never_won_where_something_lies(storage, proxy, tmp_path, fault):
    storage.truth.write_bytes(b"first", "x")
    proxy.plan("PUT", fault)
    assert create(storage, "create_new", CONTENT, tmp_path) is False
    assert storage.truth.read_bytes("x") == b"first"


def test_a_creation_whose_every_answer_is_lost_is_still_won(storage, proxy):
    proxy.plan("PUT", *[Fault.LOSE_ANSWER] * 5)
    assert storage.create_new(b"mine", "x") is True
    assert proxy.planned == 0
    assert storage.truth.read_bytes("x") == b"mine"


def test_a_creation_that_never_arrives_is_an_error_not_an_answer(storage, proxy):
    proxy.plan("PUT", *[Fault.REFUSE] * 5)
    with pytest.raises(StorageAccessError, match="did not answer"):
        storage.create_new(b"mine", "x")
    proxy.plan("PUT", *[Fault.SLOW_DOWN] * 5)
    with pytest.raises(StorageError, match="503 SlowDown"):
        storage.create_new(b"mine", "x")
    assert not storage.truth.exists("x")
    assert storage.create_new(b"mine", "x") is True


@pytest.mark.parametrize("seed", range(3))
def test_of_many_behind_a_bad_network_one_wins_and_knows_it(storage, proxy, seed):
    chance = random.Random(seed)
    for number in range(5):
        proxy.plan("PUT", *(chance.choice([None, *BROKEN_PUTS[:4]]) for _ in range(12)))
        contents = [f"{who}".encode() * 1000 for who in range(6)]

        def attempt(content, key=f"race/{number}"):
            try:
                return storage.create_new(content, key)
            except StorageError:  # none of its five tries came through
                return None

        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(attempt, contents))
        assert won.count(True) == 1, (seed, number, won)
        assert storage.truth.read_bytes(f"race/{number}") == contents[won.index(True)]


@pytest.mark.parametrize("fault", BROKEN_PUTS)
def test_an_ordinary_write_that_breaks_is_written(storage, proxy, tmp_path, fault):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    proxy.plan("PUT", fault)
    storage.write_bytes(CONTENT[:1000], "a")
    proxy.plan("PUT", fault)
    storage.write_file(source, "b")
    assert storage.truth.read_bytes("a") == CONTENT[:1000]
    assert storage.truth.read_bytes("b") == CONTENT


@pytest.mark.parametrize("fault", BROKEN_GETS)
def test_a_read_that_breaks_goes_on_and_gives_the_right_bytes(storage, proxy, fault):
    storage.truth.write_bytes(CONTENT, "x")
    proxy.plan("GET", fault)
    assert storage.read_bytes("x") == CONTENT
    for start, stop in ((1_000_000, 1_100_000), (3_000_000, None)):
        proxy.plan("GET", fault)
        assert b"".join(storage.read_chunks("x", start=start, stop=stop)) == CONTENT[start:stop]


def test_a_read_goes_on_from_the_last_good_block(storage, proxy):
    storage.truth.write_bytes(CONTENT, "x")
    proxy.plan("GET", Fault.FLIP_DOWN, Fault.RESET_DOWN)
    received = []
    for piece in storage.read_chunks("x"):
        received.append(piece)
        assert CONTENT.startswith(b"".join(received)), "nothing unverified is given out"
    assert b"".join(received) == CONTENT
    assert len([path for method, path in proxy.seen if method == "GET"]) == 3


def test_bytes_that_always_arrive_damaged_are_an_error(storage, proxy):
    storage.truth.write_bytes(CONTENT, "x")
    proxy.plan("GET", *[Fault.FLIP_DOWN] * 99)
    received = []
    with pytest.raises(StorageError, match="not those that were written"):
        received.extend(storage.read_chunks("x"))
    assert CONTENT.startswith(b"".join(received))


def test_an_object_replaced_while_it_is_read_is_no_mixture(storage, proxy):
    storage.truth.write_bytes(CONTENT, "x")
    proxy.plan("GET", Fault.STALL_DOWN)  # half of it arrives, whenever the client looks
    stream = storage.read_chunks("x")
    next(stream)
    storage.truth.write_bytes(CONTENT[::-1], "x")
    with pytest.raises(StorageError, match="replaced while it was read"):
        list(stream)


def test_bytes_damaged_on_the_way_up_are_sent_again(radosgw):
    # A store that verifies what it was sent; moto does not.
    with proxied(radosgw.endpoint) as proxy:
        bucket = radosgw.bucket()
        storage = radosgw.storage(bucket=bucket, endpoint_url=proxy.endpoint, sleep=lambda _: None)
        proxy.plan("PUT", Fault.FLIP_UP, Fault.FLIP_UP)
        assert storage.create_new(CONTENT, "x") is True
        assert proxy.planned == 0
        assert radosgw.storage(bucket=bucket).read_bytes("x") == CONTENT


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "GET"])
@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.SLOW_DOWN, Fault.LOSE_ANSWER, Fault.STALL])
def test_every_other_verb_survives_as_well(storage, proxy, method, fault):
    storage.truth.write_bytes(b"[1]", "d/x")
    proxy.plan(method, fault)
    assert storage.list_files("d") == ["d/x"]
    assert storage.size("d/x") == 3
    assert storage.exists("d/x")
    storage.delete("d/x")
    assert proxy.planned == 0
    assert not storage.exists("d/x")


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.SLOW_DOWN])
def test_an_upload_in_parts_that_fails_leaves_no_parts(storage, proxy, server, tmp_path, fault):
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(65 << 20)
    proxy.plan("PUT", None, *[fault] * 99)
    with pytest.raises(StorageError):
        storage.write_file(source, "large")
    left = server.admin.list_multipart_uploads(Bucket=storage._bucket).get("Uploads", [])
    assert left == []
    assert not storage.truth.exists("large")
    assert ("DELETE", "/") not in proxy.seen
    assert any(method == "DELETE" for method, _ in proxy.seen), "the parts were removed"


def test_an_upload_in_parts_that_breaks_is_completed(storage, proxy, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(CONTENT * 21)
    assert source.stat().st_size > 64 << 20
    proxy.plan("PUT", Fault.RESET_UP, Fault.LOSE_ANSWER, None, Fault.SLOW_DOWN)
    storage.write_file(source, "large")
    assert storage.truth.holds_file(source, "large")


def test_a_slow_and_distant_store_is_only_slow(storage, proxy):
    proxy.latency, proxy.rate = 0.02, 20e6
    assert storage.create_new(CONTENT, "x") is True
    assert storage.read_bytes("x") == CONTENT
