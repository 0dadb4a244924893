"""``fluxforge config init | check | show``."""

from __future__ import annotations

import json
import os

import pytest
from typer.testing import CliRunner

from fluxforge.cli.config import config_app
from fluxforge.config import default_yaml


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    for name in [name for name in os.environ if name.startswith("FLUXFORGE_")]:
        monkeypatch.delenv(name)
    return lambda *arguments: CliRunner().invoke(config_app, arguments)


def test_init_writes_a_file_that_check_accepts(run, tmp_path):
    result = run("init")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "config.yaml").read_text("utf-8") == default_yaml()
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    checked = run("check")
    assert checked.exit_code == 0
    assert str(tmp_path / "config.yaml") in checked.output


def test_init_never_overwrites_unless_forced(run, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("etl: {lease: 1}")
    refused = run("init")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == [
        f"{path} exists; --force replaces it, --path writes elsewhere"
    ]
    assert path.read_text() == "etl: {lease: 1}"
    assert run("init", "--path", "sub/mine.yaml").exit_code == 0
    assert (tmp_path / "sub" / "mine.yaml").exists()
    assert run("init", "--force").exit_code == 0
    assert path.read_text("utf-8") == default_yaml()


def test_init_where_nothing_can_be_written_is_one_line(run, tmp_path):
    (tmp_path / "file").touch()
    result = run("init", "--path", "file/config.yaml")
    assert result.exit_code != 0
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.output


def test_check_tells_each_problem_in_a_line(run, tmp_path):
    (tmp_path / "config.yaml").write_text("storage: {backnd: x}\netl: {lease: 0}\n")
    result = run("check")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "config.yaml:1: unknown key storage.backnd; did you mean storage.backend?",
        "config.yaml:2: etl.lease must be greater than 0, not 0",
    ]


def test_check_without_a_file_is_fine_and_says_so(run):
    result = run("check")
    assert result.exit_code == 0
    assert "no file found" in result.stdout


def test_check_warns_of_capture_to_s3_without_a_name(run, tmp_path):
    (tmp_path / "config.yaml").write_text("storage: {backend: s3, base_dir: bucket}")
    result = run("check")
    assert result.exit_code == 0
    assert "ingestion.writer_id" in result.stderr


def test_show_says_where_each_value_came_from(run, tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("etl:\n  lease: 7\n")
    monkeypatch.setenv("FLUXFORGE__STORAGE__S3__AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("FLUXFORGE__STORAGE__S3__AWS_SECRET_ACCESS_KEY", "hunter2")
    shown = run("show", "--data-dir", "elsewhere")
    lines = shown.stdout.splitlines()
    assert 'storage.base_dir = "elsewhere"  # --data-dir' in lines
    assert "etl.lease = 7.0  # config.yaml:2" in lines
    assert 'coinbase.products = ["BTC-USD", "ETH-USD"]  # default' in lines
    assert "ingestion.storage = null  # default" in lines
    assert (
        'storage.s3.aws_secret_access_key = "********"'
        "  # environment FLUXFORGE__STORAGE__S3__AWS_SECRET_ACCESS_KEY"
    ) in lines
    assert "hunter2" not in shown.output
    values = json.loads(run("show", "--json").stdout)["values"]
    assert values["etl.lease"] == {"value": 7.0, "source": "config.yaml:2"}
    assert values["storage.s3.aws_secret_access_key"]["value"] == "********"


def test_show_lists_what_an_override_sets(run, tmp_path):
    (tmp_path / "config.yaml").write_text("etl:\n  storage_output:\n    base_dir: ./lake\n")
    lines = run("show").stdout.splitlines()
    override = [line for line in lines if line.startswith("etl.storage_output")]
    assert override == ['etl.storage_output.base_dir = "./lake"  # config.yaml:3']


def test_show_of_a_wrong_configuration_is_no_traceback(run):
    result = run("show", "--config", "missing.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["missing.yaml: no such file (--config names it)"]
