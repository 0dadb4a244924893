"""Where values come from, and how a mistake is told."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback

import pytest

from fluxforge.config import FluxForgeConfig, load_config, load_config_with_sources
from fluxforge.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_around(tmp_path, monkeypatch):
    """No configuration but what the test writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    for name in [name for name in os.environ if name.startswith("FLUXFORGE_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def problems(tmp_path):
    """Load a file's text and return the lines of the error."""

    def load(text: str, **arguments):
        (tmp_path / "config.yaml").write_text(text, "utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config_with_sources(**arguments)
        return str(caught.value).splitlines()

    return load


# -- precedence -------------------------------------------------------------------------------


def test_without_any_source_there_are_the_defaults():
    loaded = load_config_with_sources()
    assert loaded.config == FluxForgeConfig()
    assert loaded.path is None
    assert {row.source for row in loaded.rows()} == {"default"}


def test_each_source_wins_over_the_one_before(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "etl:\n  lease: 11\n  poll_interval: 12\n  compression_level: 13\n"
    )
    loaded = load_config_with_sources(
        overrides={"etl": {"compression_level": 3}},
        flags={"etl.compression_level": "--level"},
        environ={"FLUXFORGE__ETL__POLL_INTERVAL": "22", "FLUXFORGE__ETL__COMPRESSION_LEVEL": "9"},
    )
    etl = loaded.config.etl
    assert (etl.numbers, etl.lease, etl.poll_interval) == ("float64", 11, 22)
    assert etl.compression_level == 3
    sources = {row.key: row.source for row in loaded.rows()}
    assert sources["etl.numbers"] == "default"
    assert sources["etl.lease"] == "config.yaml:2"
    assert sources["etl.poll_interval"] == "environment FLUXFORGE__ETL__POLL_INTERVAL"
    assert sources["etl.compression_level"] == "--level"


def test_the_first_file_of_the_search_wins(tmp_path, monkeypatch):
    places = ["user/fluxforge/config.yaml", "config/config.yaml", "config.yaml", "env.yaml"]
    for lease, place in enumerate(places, start=1):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"etl: {{lease: {lease}}}")
        if place == "env.yaml":
            monkeypatch.setenv("FLUXFORGE_CONFIG", "env.yaml")
        if place.startswith("user") and sys.platform != "linux":
            continue  # elsewhere the user's directory is not XDG's
        assert load_config().etl.lease == lease
    (tmp_path / "named.yaml").write_text("etl: {lease: 99}")
    assert load_config(tmp_path / "named.yaml").etl.lease == 99


def test_overrides_that_are_none_were_not_given():
    assert load_config(overrides={"storage": {"base_dir": None}}) == FluxForgeConfig()


def test_empty_files_and_empty_sections_set_nothing(tmp_path):
    for text in ("", "# nothing\n", "---\n", "storage:\n", "storage:\n  s3:\n  paths: null\n"):
        (tmp_path / "config.yaml").write_text(text)
        assert load_config() == FluxForgeConfig()


def test_the_environment_speaks_lists_nulls_and_overrides():
    config = load_config_with_sources(
        environ={
            "FLUXFORGE__COINBASE__PRODUCTS": "BTC-USD, SOL-USD",
            "FLUXFORGE__COINBASE__CHANNELS": '["ticker", "heartbeats"]',
            "FLUXFORGE__ETL__COMPRESSION_LEVEL": "null",
            "FLUXFORGE__ETL__STORAGE_OUTPUT__BACKEND": "s3",
            "FLUXFORGE__ETL__STORAGE_OUTPUT__BASE_DIR": "lake/prefix",
        }
    ).config
    assert config.coinbase.products == ("BTC-USD", "SOL-USD")
    assert config.coinbase.channels == ("ticker", "heartbeats")
    assert config.etl.compression_level is None
    assert config.etl_output_storage().bucket_and_prefix() == ("lake", "prefix")


def test_anchors_and_a_byte_order_mark_are_yaml(tmp_path):
    text = "\ufeffstorage: {base_dir: &where ./x}\ningestion: {spool_dir: *where}\n"
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    assert load_config().ingestion.spool_dir == "./x"


# -- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "storage:\n  backnd: s3",
            "config.yaml:2: unknown key storage.backnd; did you mean storage.backend?",
        ),
        ("storag:\n  backend: s3", "config.yaml:1: unknown key storag; did you mean storage?"),
        (
            "segment_max_mb: 1",
            "config.yaml:1: unknown key segment_max_mb; did you mean ingestion.segment_max_mb?",
        ),
        ("frobnicate: 1", "valid here: storage, ingestion, etl, coinbase"),
        (
            "etl: {numbers: float32}",
            "config.yaml:1: etl.numbers must be 'float64' or 'decimal', not 'float32'",
        ),
        (
            "\ningestion:\n  segment_max_mb: a lot",
            "config.yaml:3: ingestion.segment_max_mb must be a valid integer",
        ),
        ("ingestion: {segment_max_mb: 0}", "must be greater than or equal to 1, not 0"),
        ("ingestion: {segment_max_mb: yes}", "must be a number, not True"),
        ("etl: {compression_level: on}", "must be a number, not True"),
        ("etl: {lease: .inf}", "etl.lease must be a finite number"),
        ("etl: 7", "config.yaml:1: etl must hold keys: storage_input"),
        ("[a, b]", "config.yaml:1: the configuration must hold keys: storage,"),
        ("etl:\n  lease: 1\n  lease: 2", "config.yaml:3: etl.lease is set twice, first in line 2"),
        ("etl: {}\netl: {}", "config.yaml:2: etl is set twice, first in line 1"),
        ("a: b: c", "config.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("a:\n\t- b", "config.yaml:2: not valid YAML"),
        ("a: 1\n---\nb: 2", "config.yaml:2: not valid YAML: expected one document"),
        ("coinbase: {products: []}", "config.yaml:1: coinbase.products must name at least one"),
        ("coinbase: {products: [A, A]}", "config.yaml:1: coinbase.products names 'A' twice"),
        (
            "coinbase: {products: BTC-USD}",
            "products must be a list, like [one, two], not 'BTC-USD'",
        ),
        ("coinbase:\n  channels:\n  - level3", "config.yaml:2: coinbase.channels[0] must be"),
        ("coinbase: {level2_batch_size: 31}", "must be less than or equal to 30, not 31"),
        ("coinbase: {ws_url: 'https://x'}", "must be an address that begins with ws:// or wss://"),
        ("storage: {s3: {aws_access_key_id: x}}", "are set together or not"),
        ("storage: {backend: s3}", "must be bucket[/prefix] or s3://bucket[/prefix]"),
        ("storage: {base_dir: 's3://b/p'}", "storage backend must be s3 (it is local)"),
        ("storage: {base_dir: ''}", "config.yaml:1: storage.base_dir must not be empty"),
        ("storage: {paths: {raw_dir: a/b}}", "config.yaml:1: storage.paths.raw_dir must be one"),
        ("storage: {paths: {raw_dir: ..}}", "storage.paths.raw_dir must be one directory name"),
        ("storage: {paths: {raw_dir: Processed}}", "names one directory twice"),
        ("storage:\n  paths: {active_subdir: ready}", "names one directory twice"),
        ("ingestion: {writer_id: 7}", "ingestion.writer_id must be a valid string (quote it)"),
        ("ingestion: {writer_id: a/b}", "ingestion.writer_id must be up to 63 letters"),
        ("etl: {compression: snappy, compression_level: 3}", "snappy has no levels"),
        ("etl: {compression: gzip, compression_level: 10}", "must be at most 9 for gzip"),
        (
            "etl:\n  storage_output:\n    backend: s3",
            "etl.storage_output.base_dir must be bucket[/prefix] or s3://bucket[/prefix]",
        ),
        (
            "etl:\n  storage_output:\n    backend: s3\n    base_dir: F:/",
            "config.yaml:4: etl.storage_output.base_dir must be bucket",
        ),
        (
            "storage: {backend: s3, base_dir: one/x, s3: {bucket: two}}",
            "bucket is 'two' but base_dir names the bucket 'one'",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(problems, text, line):
    assert len(lines := problems(text)) == 1
    assert line in lines[0]


def test_every_mistake_is_told_at_once(problems):
    lines = problems(
        "storage: {backnd: s3}\netl: {numbers: int}\n",
        environ={"FLUXFORGE__ETL__LEESE": "3", "FLUXFORGE__ETL__LEASE": "soon"},
        overrides={"coinbase": {"products": []}},
    )
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("FLUXFORGE__STORAGE__BACKND", "did you mean FLUXFORGE__STORAGE__BACKEND?"),
        ("FLUXFORGE__STORAGE", "is a section; set its keys, e.g. FLUXFORGE__STORAGE__BACKEND"),
        ("FLUXFORGE__storage__backend", "did you mean FLUXFORGE__STORAGE__BACKEND?"),
        ("FLUXFORGE_STORAGE__BACKEND", "did you mean FLUXFORGE__STORAGE__BACKEND?"),
        ("FLUXFORGE__STORAGE__BACKEND", "storage.backend must be 'local' or 's3', not 'x'"),
        ("FLUXFORGE__", "unknown key"),
    ],
)
def test_a_wrong_variable_is_named(name, line):
    with pytest.raises(ConfigError) as caught:
        load_config_with_sources(environ={name: "x"})
    assert line in str(caught.value)
    assert name in str(caught.value)


def test_other_variables_are_left_alone():
    environ = {"FLUXFORGE_REQUIRE_FAULTS": "1", "FLUXFORGE_CONFIG": "", "OTHER__THING": "x"}
    assert load_config_with_sources(environ=environ).config == FluxForgeConfig()


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml: no such file \(--config names it\)"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="FLUXFORGE_CONFIG names it"):
        load_config_with_sources(environ={"FLUXFORGE_CONFIG": "missing.yaml"})


def test_a_file_that_is_no_text_is_said_to_be_none(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"etl:\n  \xff\xfe")
    with pytest.raises(ConfigError, match=r"config\.yaml: not UTF-8 at byte 7"):
        load_config()
    (tmp_path / "config.yaml").write_bytes(b"etl: \x00")
    with pytest.raises(ConfigError, match=r"not valid YAML: a control character at position 5"):
        load_config()


# -- secrets ----------------------------------------------------------------------------------

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"storage: {{s3: {{aws_secret_access_key: {SECRET}}}}}",
        f"storage: {{s3: {{aws_secret_access_key: [{SECRET}]}}}}",
        f"storage: {{s3: {{aws_secret_access_key: *{SECRET}}}}}",
        f"storage: {{s3: {{aws_secret_access_key: !{SECRET} x}}}}",
        f"storage: {{s3: {{aws_secret_access_key: '{SECRET}}}}}",
        f"storage: {{s3: {{aws_secret_access_key: {{{SECRET}: 1}}}}}}",
        f"storage: {{s3: {{endpoint_url: 'https://user:{SECRET}@host'}}}}",
        f"coinbase: {{ws_url: 'wss://user:{SECRET}@host'}}",
        f"coinbase: {{ws_url: '{SECRET}'}}",
    ],
)
def test_no_error_shows_a_secret(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_secret_of_digits_that_yaml_takes_for_a_number_is_not_shown(problems):
    lines = problems("storage: {s3: {aws_access_key_id: me, aws_secret_access_key: 31415926}}")
    assert lines == [
        "config.yaml:1: storage.s3.aws_secret_access_key must be a valid string (quote it)"
    ]


def test_a_valid_secret_prints_as_stars(tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"storage: {{s3: {{aws_access_key_id: id-{SECRET}, aws_secret_access_key: {SECRET}}}}}\n"
    )
    loaded = load_config_with_sources()
    secret = loaded.config.storage.s3.aws_secret_access_key
    assert secret is not None
    assert secret.get_secret_value() == SECRET
    assert SECRET not in repr(loaded) + str(loaded.config) + loaded.config.model_dump_json()
    hidden = [row.key for row in loaded.rows() if row.value == "********"]
    assert len(hidden) == 2
    assert SECRET not in str(list(loaded.rows()))


# -- cost -------------------------------------------------------------------------------------


def test_importing_config_and_storage_is_cheap():
    heavy = {"boto3", "botocore", "pyarrow", "polars", "websockets"}
    code = "import sys, fluxforge.config, fluxforge.storage, fluxforge.storage.factory\n"
    code += f"print(*sorted(set(sys.modules) & {heavy!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
    code = "import sys, fluxforge; print(*(set(sys.modules) & {'pydantic', 'yaml'}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
