"""A scoring loop without Spark, which a query is compared with: kafka-python, OpenVINO,
kafka-python, a process for each partition.

It writes uncompressed JSON scores. It checks nothing, answers no bad reading, gives no score an id,
and loses its place when it stops.
"""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.topics import ensure_scores_topic
from contract.model.scaling import Scaling
from contract.settings.programs import Scoring
from streaming.engines import openvino

TOPIC = "bare-loop"

# Readings at a time, and images per call of the engine, as in the query.
_READINGS, _IMAGES = 1000, 64
_POLL_MS = 1000


class Timing(NamedTuple):
    """Readings of a partition, and the seconds for them, without those of loading the model."""

    readings: int
    seconds: float


def rates(settings: Scoring, model: bytes, scaling: Scaling) -> dict[str, float]:
    """Score all readings; returns readings/s in all, and without the start of the processes."""
    topic, cores = settings.topics.readings, settings.partitions
    ensure_scores_topic(settings.kafka, TOPIC, cores)
    score = partial(_score, settings.kafka, topic, model, scaling)
    began = perf_counter()
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as processes:
        timings = [*processes.map(score, range(cores))]
    readings = sum(timing.readings for timing in timings)
    return {
        "readings_per_s": round(readings / (perf_counter() - began), 1),
        "steady_per_s": round(readings / max(timing.seconds for timing in timings), 1),
    }


def _score(kafka: Kafka, topic: str, model: bytes, scaling: Scaling, partition: int) -> Timing:
    """Score the readings of a partition that there are."""
    predict = openvino.load(model)
    place = TopicPartition(topic, partition)
    consumer = KafkaConsumer(**arguments(kafka), max_poll_records=_READINGS)
    producer = KafkaProducer(**arguments(kafka), linger_ms=5, batch_size=1 << 18)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    consumer.seek(place, 0)
    predict(np.zeros((_IMAGES, 28, 28, 1), np.float32))
    began, readings = perf_counter(), 0
    while consumer.position(place) < end:
        records: list[Any] = consumer.poll(_POLL_MS).get(place, [])
        pixels = np.frombuffer(b"".join(record.value for record in records), np.uint8)
        features = scaling.apply(pixels.reshape(-1, 28, 28, 1))
        for at in range(0, len(records), _IMAGES):
            probabilities = predict(features[at : at + _IMAGES])
            for record, row in zip(records[at:], probabilities, strict=False):
                body = {
                    "device": record.key.decode(),
                    "offset": record.offset,
                    "prediction": int(row.argmax()),
                    "confidence": float(row.max()),
                    "probabilities": row.tolist(),
                }
                producer.send(TOPIC, json.dumps(body).encode(), record.key, partition=partition)
        readings += len(records)
    producer.flush(60)
    return Timing(readings, perf_counter() - began)
