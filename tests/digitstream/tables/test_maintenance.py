"""The tables from the command line: listed, compacted, asked, counted."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from deltalake import DeltaTable

from bench.tables import send
from digitstream.accounts.tables import _partition
from digitstream.kafka.server import Broker
from tests.digitstream.installation import PATIENCE, Installation

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]

MANY = 300


@pytest.fixture(scope="module")
def installation(
    kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("tables")
    made = Installation(home, kafka_broker, home.name)
    send(made.settings, MANY)
    made.report("archive", "--available-now")
    assert len(DeltaTable(str(made.home / "tables" / "readings")).file_uris()) > 1
    yield made
    with made.shell as shell:
        shell.communicate()


@pytest.mark.long
def test_tables_are_listed_and_compacted_beside_an_archive(installation: Installation) -> None:
    before = {each["table"]: each for each in installation.report("tables", "list")["tables"]}
    assert {name: each["rows"] for name, each in before.items()} == {
        "readings": MANY,
        "labels": MANY,
        "scores": MANY,
        "dead_letters": 0,
    }
    readings = DeltaTable(str(installation.home / "tables" / "readings"))
    assert before["readings"]["files"] == len(readings.file_uris())
    newest = readings.to_pandas()["broker_time"].max().isoformat(timespec="milliseconds")
    assert before["readings"]["latest"][:23] == newest[:23]
    with installation.command("archive", "--trigger", "0", "--batch-records", "20") as archive:
        try:
            send(installation.settings, MANY)
            done = installation.report("tables", "compact")["tables"]
            assert all(each["files_after"] <= each["files_before"] for each in done)
            code, _, said = installation.run("tables", "vacuum", "--retain", "0d")
            assert (code, "less than 7d, and an archive is running" in said) == (1, True)
            archive.terminate()
            _, said = archive.communicate(timeout=PATIENCE)
            assert archive.returncode == 0, said
        finally:
            archive.kill()
    installation.report("archive", "--available-now")
    again = installation.report("tables", "compact")["tables"]
    assert [each["files_after"] for each in again] == [1, 1, 1, 0]
    idle = installation.report("tables", "compact")["tables"]
    assert [each["files_before"] for each in idle] == [1, 1, 1, 0]
    frame = DeltaTable(str(installation.home / "tables" / "scores")).to_pandas()
    assert len(frame) == len(frame[["partition", "offset"]].drop_duplicates()) == MANY
    labels = DeltaTable(str(installation.home / "tables" / "labels")).to_pandas()
    assert len(labels) == 2 * MANY


@pytest.mark.long
def test_vacuum_deletes_what_no_version_needs(installation: Installation) -> None:
    installation.report("tables", "compact")
    gone = {
        each["table"]: each["files_deleted"]
        for each in installation.report("tables", "vacuum", "--retain", "0d")["tables"]
    }
    assert gone["readings"] > 0
    files = list((installation.home / "tables" / "readings").glob("date=*/*.parquet"))
    assert len(files) == 1
    assert (installation.home / "tables" / "readings" / "_checkpoint" / "metadata").exists()
    code, _, said = installation.run("tables", "vacuum", "--retain", "soon")
    assert (code, "days or hours, like 7d" in said) == (1, True)


def test_a_query_is_answered_as_table_json_and_csv(installation: Installation) -> None:
    query = "SELECT date, count(*) AS n, max(key) AS k, array(1, NULL) a, 1 AS n FROM readings"
    query += " WHERE offset < 150 GROUP BY date"
    (row,) = installation.report("sql", query)
    assert (row["n"], row["a"], row["n_2"]) == (MANY, [1, None], 1)
    assert row["k"] == "ZGV2aWNlLTA0OQ=="
    code, out, _ = installation.run("sql", query, "--csv")
    (read,) = csv.DictReader(io.StringIO(out))
    assert (code, read["n"], read["k"], read["a"]) == (0, str(MANY), row["k"], "[1,null]")
    code, out, _ = installation.run(
        "sql", "SELECT id FROM readings ORDER BY offset, partition", "--limit", "2"
    )
    assert (code, "first 2" in out) == (0, True)
    assert "reading-1" in out.split() and "reading-2" not in out.split()
    (hour,) = installation.report("sql", "SELECT count(*) n, avg(int(correct)) a FROM answers")
    assert hour["n"] >= MANY
    code, out, err = installation.run("sql", "SELECT 1,\n nothing FROM scores")
    assert (code, out, "`nothing` cannot be resolved" in err) == (1, "", True)


@pytest.mark.long
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1,\n nothing FROM scores", "`nothing` cannot be resolved"),
        ("WITH x AS (SELECT 1) INSERT INTO readings SELECT * FROM x", "That is no query."),
        ("SELEC 1", "Syntax error at or near 'SELEC' (line 1, column 1)."),
        ("SELECT 1 FROM elsewhere", "elsewhere"),
        ("SELECT raise_error('no')", "no"),
        ("DROP TABLE readings", "That is no query."),
        ("SET spark.sql.ansi.enabled = true", "That is no query."),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    installation: Installation, query: str, said: str
) -> None:
    code, out, err = installation.run_alone("sql", query)
    sentences = [line for line in err.splitlines() if line != "Asking ..."]
    assert (code, out, len(sentences)) == (1, "", 1), err
    assert said in sentences[0]


def test_tables_out_of_reach_are_one_sentence(installation: Installation, tmp_path: Path) -> None:
    shutil.copytree(installation.home / "tables", tmp_path / "tables")
    for file in (tmp_path / "tables").glob("*/_delta_log/*.*"):
        file.write_bytes(file.read_bytes()[:40])
    for tables, cause in (("s3a://b/t", "S3AFileSystem"), (str(tmp_path / "tables"), "")):
        for words in (("sql", "SELECT 1"), ("tables", "list")):
            code, out, err = installation.run(*words, "--tables", tables)
            assert (code, out) == (1, ""), (words, tables)
            [sentence] = [line for line in err.splitlines() if not line.endswith(" ...")]
            assert sentence.startswith("The tables at ") and cause in sentence, err


def test_the_tables_account_for_each_reading(installation: Installation) -> None:
    found = installation.report("reconcile", "--from", "tables")
    assert (found["complete"], found["missing"], found["duplicates"]) == (True, 0, 0)
    assert found["scored"] == MANY


@pytest.mark.parametrize(
    ("query", "seconds", "says"),
    [
        ("SELECT sum(a.id * b.id) FROM range(1000000000) a, range(1000000000) b", 2, "after 2 s"),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in (
                # Nothing that could be cancelled: it is computed before any job begins.
                (f"SELECT regexp_like(repeat('a', 900), '{'(.*)' * 9}b')", 2, "after 2 s"),
                ("SELECT length(repeat('x', 2000000000))", 60, "Spark ended during the query"),
            )
        ),
    ],
)
def test_a_query_has_an_end(
    installation: Installation, query: str, seconds: int, says: str
) -> None:
    with installation.command("sql", query, "--query-timeout", f"{seconds}s") as process:
        children: set[psutil.Process] = set()
        try:
            while process.poll() is None:
                children |= _descendants(process.pid)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
        finally:
            process.kill()
        out, err = process.communicate()
    sentences = [line for line in err.splitlines() if line != "Asking ..."]
    assert (process.returncode, out, len(sentences)) == (1, "", 1), err
    assert says in sentences[0]
    gone, alive = psutil.wait_procs(list(children), 30)
    assert gone and not alive


def _descendants(pid: int) -> set[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return set(psutil.Process(pid).children(recursive=True))
    return set()


@pytest.mark.long
def test_tables_lie_wherever_hadoop_reaches(
    installation: Installation, kafka_broker: Broker, tmp_path: Path
) -> None:
    (tmp_path / "spark-defaults.conf").write_text(
        f"spark.hadoop.fs.viewfs.mounttable.far.link./history file://{tmp_path}/far\n"
    )
    (tmp_path / "far").mkdir()
    home, prefix = installation.home, installation.settings.prefix
    there = Installation(home, kafka_broker, prefix, SPARK_CONF_DIR=str(tmp_path))
    where = ("--tables", "viewfs://far/history")
    with there.shell as shell:
        added = there.report("archive", "--available-now", *where)
        assert added["readings"] >= MANY
        assert len(DeltaTable(str(tmp_path / "far" / "scores")).to_pandas()) == MANY
        listed = there.report("tables", "list", *where)["tables"]
        assert listed[0]["rows"] == added["readings"]
        code, _, said = there.run("tables", "vacuum", "--retain", "1d", *where)
        assert (code, "may be running" in said) == (1, True)
        there.report("tables", "compact", *where)
        shell.communicate()


def test_offsets_are_accounted_for_as_on_the_topics() -> None:
    readings = np.array([10, 11, 12, 13, 15, 16, 17, 17])
    scores, letters = np.array([10, 10, 13, 99]), np.array([11, 15])
    found = _partition(0, readings, scores, letters, None)
    assert (found.produced, found.scored, found.dead_lettered) == (7, 2, 2)
    assert (found.missing, found.gaps, found.in_flight, found.duplicates) == (1, [(12, 12)], 2, 2)
    assert _partition(0, readings, scores, letters, 12).missing == 0
