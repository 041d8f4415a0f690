"""The examples of docs/consuming-scores.md run as they are written, and take each score once."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kafka import KafkaProducer

from contract.kafka.clients import arguments
from contract.wire.topics import Topics
from digitstream.kafka.server import Broker
from tests.contract.kafka.test_score_stream import Scores

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "consuming-scores.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.kafka
@pytest.mark.slow
def test_the_examples_take_each_score_once(
    kafka_broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    scores = Scores(kafka_broker.bootstrap_servers, topics)
    with KafkaProducer(**arguments(scores.kafka)) as producer:
        for number in (*range(1500), *range(1400, 1500)):
            _, value, headers = scores.score(number).message()
            producer.send(topics.scores, value, b"d", headers, partition=0)
    sent = [scores.score(number) for number in range(1500)]
    with ThreadPoolExecutor() as pool:  # each waits ten seconds for more
        ended = pool.map(lambda example: run(example, scores, tmp_path), EXAMPLES)
        stream, exactly, plain = ended
    assert stream.splitlines() == [f"{each.event_id} d 1 0.75" for each in sent]
    assert (exactly, plain) == ("", stream)
    with sqlite3.connect(tmp_path / "results.db") as results:
        rows = results.execute("select * from scores order by rowid").fetchall()
    results.close()
    assert rows == [(each.event_id, each.device, each.prediction) for each in sent]


def run(example: str, scores: Scores, folder: Path) -> str:
    """Run an example against the topics of this test; returns what it prints."""
    ours = {
        'prefix="digits"': f'prefix="{scores.prefix}"',
        "digits.scores": scores.topics.scores,
    }
    for theirs, own in ours.items():
        example = example.replace(theirs, own)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DIGITSTREAM_BOOTSTRAP_SERVERS": scores.servers,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
