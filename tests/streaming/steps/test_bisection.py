"""What raises is found among what does not, and only that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.accumulators import Accumulator

from contract.wire.events import DeadLetter, Score
from contract.wire.messages import Message
from streaming.engines.systemds import Systemds
from streaming.errors import ModelFailedInWorker
from streaming.models.roles import GUARD, SCORE
from streaming.models.routes import Answer, BatchScorer, Route, SecondScorer
from streaming.models.selections import everything
from streaming.query.quarantine import cut
from streaming.steps.bisection import Span, bisected
from streaming.steps.checks import Checks
from streaming.steps.columns import sources
from streaming.steps.decode import decoded
from streaming.steps.frame import Frame, Probabilities, Step
from streaming.steps.metrics import Agreement, BatchMetrics, Metrics, MetricsParam
from streaming.steps.pipeline import Pipeline
from streaming.steps.scale import scaled
from streaming.steps.score import sifted
from streaming.steps.validate import validated
from tests.streaming.records import SHAPE, image, reading, records
from tests.streaming.steps.test_pipeline import (
    CLASSES,
    PUBLISHING,
    SCALING,
    TOPICS,
    brightness,
)

COUNT = 40


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, 300)))))
def test_each_record_has_one_result_or_fault(case: tuple[int, set[int]]) -> None:
    count, bad = case

    def attempt(span: Span) -> list[int]:
        if bad & {*range(*span)}:
            raise MemoryError
        return list(range(*span))

    made, faults = bisected(count, attempt)
    assert [number for numbers in made for number in numbers] == sorted({*range(count)} - bad)
    assert faults.keys() == bad & {*range(count)}


def test_fatal_errors_are_raised_at_once() -> None:
    asked: list[Span] = []

    def attempt(span: Span) -> None:
        asked.append(span)
        raise KeyError(span)

    with pytest.raises(KeyError):
        bisected(COUNT, attempt, fatal=LookupError)
    assert asked == [Span(0, COUNT // 2)]


class Model:
    """A model that makes no numbers of some images, and raises for others."""

    def __init__(self, upset: Callable[[float], bool], golden: bool = True) -> None:
        self.upset, self.golden = upset, golden

    def ready(self) -> None:
        pass

    def __call__(self, frame: Frame) -> Probabilities:
        result = brightness(frame.features)
        for row, features in enumerate(frame.features):
            if self.upset(round(float(features[0, 0, 0]) * 255)):
                result[row] = np.nan
        return result

    def sample(self, features: np.ndarray) -> Probabilities:
        return brightness(features) if self.golden else np.full((1, 3), np.nan)


def first_pixel(value: int) -> Message:
    pixels = image(value)
    pixels[0, 0, 0] = value
    return reading(value, payload=pixels.tobytes())


def scorer(model: Model, metrics: Metrics, version: str = "3") -> BatchScorer:
    publishing = replace(PUBLISHING, metrics=metrics)
    return BatchScorer(f"digits {version}", SHAPE, SCALING, model, publishing, image()[None])


def no_metrics() -> Metrics:
    return Accumulator(0, BatchMetrics(), MetricsParam())


def answers(
    model: Model, *watching: Model, metrics: Metrics | None = None, step: Step = lambda frame: frame
) -> list[Message]:
    """The answers to forty readings whose first pixels count up from 0."""
    metrics = no_metrics() if metrics is None else metrics
    guards = tuple(
        SecondScorer(GUARD, scorer(guard, metrics, "2"), everything, is_published=False)
        for guard in watching
    )
    answer = Answer((Route(SCORE, scorer(model, metrics), everything, guards),))
    pipeline = Pipeline({**Checks(SHAPE, TOPICS).steps, "step": step}, answer, metrics)
    batch = records([first_pixel(number) for number in range(COUNT)])
    return [
        Message(row["key"], row["value"], [tuple(header.values()) for header in row["headers"]])
        for result in pipeline.run([batch])
        for row in result.to_pylist()
    ]


def letters(result: list[Message]) -> dict[int, DeadLetter]:
    """The dead letters by their offsets; every other reading has its score."""
    bad = {
        letter.source.offset: letter
        for message in result
        if dict(message.headers).get("stage")
        for letter in (DeadLetter.of(*message),)
    }
    good = [
        Score.of(*message).source.offset
        for message in result
        if "stage" not in dict(message.headers)
    ]
    assert sorted([*bad, *good]) == list(range(COUNT))
    return bad


def test_an_image_that_a_model_cannot_score_becomes_a_dead_letter() -> None:
    result = letters(answers(Model(lambda pixel: pixel in (7, 31))))
    assert result.keys() == {7, 31}
    assert {(letter.stage, letter.reason) for letter in result.values()} == {
        ("score", "model-failed: gave probabilities that are not finite for 1 of 1 image")
    }
    sent = first_pixel(7)
    assert (result[7].key, result[7].value, list(result[7].headers)) == sent


def test_a_model_that_cannot_score_its_golden_set_is_to_blame() -> None:
    model = Model(lambda pixel: pixel == 7, golden=False)
    with pytest.raises(ModelFailedInWorker) as raised:
        answers(model)
    failure = ModelFailedInWorker.failure(str(raised.value))
    assert failure.model == "digits 3"
    assert str(failure).startswith("Model digits 3 gave probabilities that are not finite")


def test_a_model_is_to_blame_for_what_the_previous_one_can_score() -> None:
    new, before = Model(lambda pixel: pixel == 7), Model(lambda pixel: False)
    with pytest.raises(ModelFailedInWorker, match=r'^."digits 3", "gave'):
        answers(new, before)


def test_no_model_is_to_blame_for_what_the_previous_one_cannot_score_either() -> None:
    new, before = Model(lambda pixel: pixel == 7), Model(lambda pixel: pixel < 10)
    result = letters(answers(new, before))
    assert result.keys() == {7}


def test_agreement_excludes_readings_that_a_model_cannot_score() -> None:
    metrics = no_metrics()
    new, before = Model(lambda pixel: False), Model(lambda pixel: pixel < 10)
    assert not letters(answers(new, before, metrics=metrics))
    assert metrics.value.agreements == {GUARD: Agreement(30, 30)}


@pytest.mark.parametrize("raised", [MemoryError, RecursionError, pa.ArrowCapacityError, SystemExit])
def test_a_record_for_which_a_step_raises_becomes_a_dead_letter(
    raised: type[BaseException],
) -> None:
    def step(frame: Frame) -> Frame:
        if "reading-7" in frame.id.to_pylist():
            message = "of this\nkind"
            raise raised(message)
        return frame

    metrics = no_metrics()
    result = letters(answers(Model(lambda pixel: False), metrics=metrics, step=step))
    assert result.keys() == {7}
    assert result[7].stage == "decode"
    assert result[7].reason == f"unreadable: {raised.__name__}: of this\\nkind"
    assert result[7].value == first_pixel(7).value
    assert (metrics.value.scored, metrics.value.dead_letters) == (COUNT - 1, 1)


def test_an_error_for_an_empty_record_is_no_records_fault() -> None:
    def step(frame: Frame) -> Frame:
        message = "no room"
        raise OSError(message)

    with pytest.raises(Exception, match="OSError: no room"):
        answers(Model(lambda pixel: False), step=step)


def test_parts_of_spans_are_counted_through_their_partitions() -> None:
    spans = {"a": {0: Span(5, 8), 1: Span(3, 3)}, "b": {0: Span(0, 2)}}
    assert cut(spans, Span(0, 5)) == {"a": {0: Span(5, 8)}, "b": {0: Span(0, 2)}}
    assert cut(spans, Span(2, 4)) == {"a": {0: Span(7, 8)}, "b": {0: Span(0, 1)}}
    assert cut(spans, Span(4, 5)) == {"b": {0: Span(1, 2)}}


class Compiled:
    """What SystemDS makes of images: no numbers of some, and nothing at all for others."""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        first = np.round(features[:, 0, 0, 0] * 255)
        if (first == 9).any():
            message = "no plan for nine"
            raise ArithmeticError(message)
        result = brightness(features).astype(np.float64)
        result[first == 7] = np.inf
        return result


def test_readings_that_systemds_cannot_score_are_isolated_on_the_driver() -> None:
    batch = records([first_pixel(number) for number in range(COUNT)])
    frame = scaled(validated(decoded(Frame.of(batch), SHAPE, TOPICS), SHAPE), SHAPE, SCALING)
    golden = SCALING.apply(image()[None])
    engine = Systemds(Compiled(), "digits 3", golden, len(CLASSES))
    made = engine.scores(frame.features, sources(batch))
    result = sifted(frame, "digits 3", made, golden, len(CLASSES))
    assert dict(zip(range(COUNT), result.reason.to_pylist(), strict=True)) == {
        **dict.fromkeys(range(COUNT)),
        7: "model-failed: gave probabilities that are not finite for 1 of 1 image",
        9: "model-failed: raised ArithmeticError: no plan for nine",
    }
    np.testing.assert_allclose(result.probabilities, brightness(result.features), rtol=1e-6)
