"""Flags before variables before the file before defaults; what is wrong is told at once."""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import BrokerUnavailable, SettingsError
from contract.kafka.connection import Kafka
from contract.settings import rules
from contract.settings.page import page
from contract.settings.programs import (
    Archiving,
    Producing,
    Querying,
    Rescoring,
    Scoring,
    Settings,
    Training,
)
from contract.settings.setting import settings_of
from contract.settings.sources import SETTINGS, environment, load

ROOT = Path(__file__).parents[3]
NO_FILE = Path("no-such.toml")


def test_defaults_are_for_a_laptop() -> None:
    settings = load(Producing, {}, {}, NO_FILE)
    assert vars(settings) == vars(Producing())
    assert settings.topics.dead_letters == "digits.dead-letters"


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "digitstream.toml"
    file.write_text('rate = 10\ncount = 10\nlabel-delay = 0.5\nepochs = 9\nmaster = "local[1]"')
    environ = {"DIGITSTREAM_RATE": "20", "DIGITSTREAM_COUNT": "20", "PATH": "/bin"}
    settings = load(Producing, {"rate": "max", "count": None}, environ, file)
    assert (settings.rate, settings.count, settings.label_delay) == (inf, 20, 0.5)
    assert settings.master == "local[1]"
    assert load(Training, {}, environ, file).epochs == 9


def test_a_file_that_is_a_pipe_or_a_bomb_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "digitstream.toml"
    os.mkfifo(file)
    with pytest.raises(SettingsError, match="cannot be read: it is a named pipe, not a regular"):
        load(Settings, {}, {}, file)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(SettingsError, match="it is a device, not a regular file"):
        load(Settings, {}, {}, file)
    file.unlink()
    file.write_text(f"a = {'[' * 100_000}")
    with pytest.raises(SettingsError, match=r"cannot be read: .*It must be TOML"):
        load(Settings, {}, {}, file)
    file.unlink()
    (tmp_path / "elsewhere.toml").write_text("seed = 7")
    file.symlink_to("elsewhere.toml")
    assert load(Settings, {}, {}, file).seed == 7


def test_everything_wrong_is_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "digitstream.toml"
    file.write_text("[rate]\nfast = 1\n")
    with pytest.raises(SettingsError) as caught:
        load(
            Settings, {"engin": "onnx"}, {"DIGITSTREAM_COUNTS": "1", "DIGITSTREAM_SEED": "x"}, file
        )
    message = str(caught.value)
    assert (
        f"rate in {file} is {{'fast': 1}}, but must be a number of readings per second" in message
    )
    assert "DIGITSTREAM_COUNTS is no setting; the nearest is DIGITSTREAM_COUNT" in message
    assert "DIGITSTREAM_SEED is 'x', but must be a whole number from 0 to 4,294,967,295" in message
    assert "--engin is no setting; the nearest is --engine" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "0"),
        ("rate", "nan"),
        ("rate", "-inf"),
        ("rate", True),
        ("count", "0"),
        ("count", "1.5"),
        ("count", "\u0661"),
        ("count", True),
        ("label_delay", "-1"),
        ("payload", "gif"),
        ("engine", ["onnx"]),
        ("bootstrap_servers", "localhost"),
        ("bootstrap_servers", "localhost:9092,"),
        ("prefix", "my topics"),
        ("model", "a'b"),
        ("available_now", "perhaps"),
        ("home", ""),
        ("home", "a" * 256),
        ("tables", "/srv/" + "\u00e9" * 128),
        ("spark_secret_file", "a" * 300),
        ("name", "."),
        ("name", ".."),
        ("name", "scoring.lock"),
        ("name", "scoring.topics.json"),
        ("tracking_uri", "http://["),
        ("tracking_uri", "http://"),
        ("tracking_uri", "postgresql://x/y"),
        ("tracking_uri", "sqlite:///"),
        ("tables", "~nosuchuser/tables"),
        ("tables", "a\0b"),
        ("spark_secret_file", "~nosuchuser/secret"),
        ("from_timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("from_timestamp", datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1)))),
        ("guard_slowness", "0"),
        ("guard_slowness", "nan"),
        ("batch_size", "1" * 19),
        ("query_timeout", "370000d"),
        ("trigger", "1e305d"),
        ("clock_skew", "1000000d"),
        ("label_delay", "1e10"),
        ("rate", "1e-300"),
        ("seed", "5000000000"),
        ("partitions", "3000000000"),
        ("devices", "1000000000000"),
    ],
)
def test_a_value_that_cannot_be_obeyed_is_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is .* but must be "):
        load(Settings, {name: value}, {}, NO_FILE)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "2000", 2000.0),
        ("available_now", "true", True),
        ("home", "/srv/digits", Path("/srv/digits")),
        ("name", "digits.v2", "digits.v2"),
        ("tracking_uri", "https://mlflow.local:5000/x", "https://mlflow.local:5000/x"),
        ("tracking_uri", "sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("bootstrap_servers", "a:1, [::1]:9092", "a:1, [::1]:9092"),
    ],
)
def test_a_variable_is_read_as_what_it_sets(name: str, text: str, value: object) -> None:
    kind = next(kind for kind in (Settings, Producing, Scoring) if hasattr(kind, name))
    settings = load(kind, {}, {f"DIGITSTREAM_{name.upper()}": text}, NO_FILE)
    assert getattr(settings, name) == value


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "digitstream.toml"
    file.write_text("rate 10")
    with pytest.raises(SettingsError, match=r"digitstream\.toml cannot be read: .* Fix or remove"):
        load(Settings, {}, {}, file)


def test_every_setting_obeys_its_rule_and_is_written_as_it_is_read() -> None:
    kinds = (Producing, Rescoring, Archiving, Querying, Training)
    settings = {(each.name, each.default): each for kind in kinds for each in settings_of(kind)}
    assert {field.name for kind in kinds for field in fields(kind)} - {"security"} == {*SETTINGS}
    for setting in settings.values():
        if setting.default is not None:
            assert setting.rule.read(setting.default) == setting.default
            assert setting.rule.read(setting.rule.write(setting.default)) == setting.default


@given(st.floats(0, rules.MOST_SECONDS), st.floats(0, 1), st.floats(1e-6, allow_nan=False))
def test_any_number_is_written_as_it_is_read(duration: float, share: float, rate: float) -> None:
    assert rules.seconds.read(rules.seconds.write(duration)) == duration
    assert rules.share.read(rules.share.write(share)) == share
    assert rules.rate.read(rules.rate.write(rate)) == rate


def test_the_page_lists_every_setting_as_it_is() -> None:
    lines = (ROOT / "docs" / "settings.md").read_text().splitlines()
    assert lines == [*page()]
    assert {name for name in SETTINGS if f"| `{name.replace('_', '-')}` |" in "\n".join(lines)} == {
        *SETTINGS
    }


def test_a_command_of_ours_has_the_settings_of_the_one_that_starts_it(tmp_path: Path) -> None:
    settings = Scoring(
        home=tmp_path, bootstrap_servers="a:1,b:2", master="local[2]", prefix="x", seed=7
    )
    child = load(Training, {}, environment(settings), NO_FILE)
    shared = [each.name for each in settings_of(Settings)]
    assert len(shared) > 8
    assert [getattr(child, name) for name in shared] == [getattr(settings, name) for name in shared]


@pytest.mark.parametrize(
    ("tables", "address"),
    [
        (None, "file:/srv/home/tables"),
        ("/data/a b", "file:/data/a b"),
        ("hdfs://name:8020/history/", "hdfs://name:8020/history"),
        ("s3a://history/digits", "s3a://history/digits"),
    ],
)
def test_tables_have_the_address_that_hadoop_knows(tables: str | None, address: str) -> None:
    assert Archiving(home=Path("/srv/home"), tables=tables).address == address


def test_the_address_of_the_embedded_broker_is_not_ours_to_know() -> None:
    assert Settings(bootstrap_servers="a:1").kafka == Kafka("a:1")
    with pytest.raises(BrokerUnavailable, match="digitstream broker start"):
        _ = Settings().kafka
