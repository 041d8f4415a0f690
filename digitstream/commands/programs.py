"""`digitstream train` and `produce`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.quantities import quantity
from contract.settings.programs import Producing, Training
from digitstream import flags, terminal

if TYPE_CHECKING:
    from contract.data.datasets import Dataset
    from contract.model.registry import Registry
    from digitstream.health.promotion import Promotion
    from keras2dml.training.steps import Iteration
    from training.program import TrainingResult

Promote = Annotated[
    bool | None,
    typer.Option(
        "--promote/--no-promote",
        help="Always (or never) make the new version the champion. [default: unless the "
        "champion classifies more held-out images correctly]",
    ),
]
UnlessChampion = Annotated[
    bool, typer.Option("--unless-champion", help="Do nothing if there already is a champion.")
]


@flags.settings(
    Training,
    *flags.HOME,
    *flags.SPARK,
    *flags.REGISTRY,
    "data",
    "seed",
    *flags.specific_to(Training),
)
def train(
    inputs: flags.Inputs,
    promote: Promote = None,
    unless_champion: UnlessChampion = False,
    as_json: flags.AsJson = False,
) -> None:
    """Train LeNet with Keras2DML on SystemDS, evaluate it and register the bundle.

    It becomes the champion unless the current champion does better on the same images.
    """
    from contract.data import datasets

    settings = inputs.load(Training)
    if unless_champion and _report_champion(settings.registry, as_json):
        return
    from digitstream.machine import needs

    needs.find_java()
    settings.registry.check_writable()
    history, held_out = (datasets.read(settings.data, split) for split in ("train", "test"))
    trained = _fit(settings, history, held_out)
    compared: Promotion | None = None
    if promote is None:
        from digitstream.health.promotion import promote_unless_worse

        compared = promote_unless_worse(settings.registry, trained.version, held_out)
    elif promote:
        settings.registry.promote(trained.version)
    is_champion = bool(promote) if compared is None else compared.promoted
    value: dict[str, Any] = {"version": trained.version, "promoted": is_champion}
    value["compared"] = None if compared is None else asdict(compared)
    value |= {
        "seconds": trained.seconds,
        "images_per_s": trained.images_per_s,
        **trained.evaluation.metrics,
    }
    value |= {"history": trained.history, "confusion": trained.evaluation.confusion.tolist()}
    terminal.report(
        value, lambda: _outcome(settings.model, trained, compared, is_champion), as_json
    )


def _fit(settings: Training, history: Dataset, held_out: Dataset) -> TrainingResult:
    """Train on a Spark session of its own, and register the new version."""
    # TensorFlow, which only builds the model here, reads these when it is imported, and is silent.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import keras2dml
    from training import program

    with terminal.activity("Starting Spark and SystemDS"):
        spark = keras2dml.spark_session(
            "digitstream-train", settings.master, secret_file=settings.spark_secret_file
        )
    try:
        with terminal.progress("Training steps") as advance:
            return program.fit(settings, spark, history, held_out, _reporter(advance))
    finally:
        spark.stop()


def _outcome(
    model: str, trained: TrainingResult, compared: Promotion | None, is_champion: bool
) -> list[str]:
    """The report of a training for a person."""
    sentences = [
        f"Version {trained.version} of {model}: accuracy "
        f"{trained.evaluation.accuracy:.2%} on held-out images, trained in {trained.seconds:.0f} s "
        f"({trained.images_per_s:.0f} images/s){', now champion' if is_champion else ''}."
    ]
    if compared is not None and not is_champion:
        sentences.append(
            f"Version {compared.champion} stays champion: {compared.reason}. `digitstream models "
            f"promote {trained.version}` makes this one champion anyway."
        )
    return sentences


def _report_champion(registry: Registry, as_json: bool) -> bool:
    """Report the champion; returns whether there is one."""
    from contract.errors import NoChampion

    try:
        champion = registry.resolve()
    except NoChampion:
        return False
    sentence = f"Version {champion.version} of {champion.name} is champion; nothing was trained."
    value = {"version": champion.version, "trained": False}
    terminal.report(value, lambda: sentence, as_json)
    return True


def _reporter(advance: terminal.Advance) -> Any:
    done = 0

    def report(planned: int, iterations: Sequence[Iteration]) -> None:
        nonlocal done
        done += len(iterations)
        if iterations:
            loss, accuracy = iterations[-1].loss, iterations[-1].accuracy
            then = "" if done < planned else "; evaluating and registering"
            advance(done, planned, f"loss {loss:.3f}, accuracy {accuracy:.0%}{then}")

    return report


@flags.settings(
    Producing, *flags.KAFKA, "prefix", "partitions", "data", "seed", *flags.specific_to(Producing)
)
def produce(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Send images as simulated devices, and report what the broker acknowledged."""

    settings = inputs.load(Producing)
    from producers.faults import Faults
    from producers.pacing import stop_on_signals
    from producers.program import run
    from producers.sending import Undelivered

    Faults.parse(settings.faults)
    settings = flags.with_broker(settings)
    try:
        with stop_on_signals() as stop, terminal.progress("Readings acknowledged") as advance:
            sent = run(
                settings,
                stop=stop,
                progress=lambda done: advance(done, settings.count, ""),
            )
    except Undelivered as trouble:
        if as_json:
            counts = {topic: asdict(delivery) for topic, delivery in trouble.deliveries.items()}
            terminal.report({"undelivered": counts}, str, as_json)
        raise
    faulty = ", ".join(f"{count} {kind}" for kind, count in sent.faults.items()) or "none"
    sentence = (
        f"Kafka acknowledged {quantity(sent.readings, 'reading')} ({sent.readings_per_s:.0f}/s; "
        f"faulty on purpose: {faulty}) and {quantity(sent.labels, 'label')}."
    )
    value = {**asdict(sent), "readings_per_s": sent.readings_per_s}
    terminal.report(value, lambda: sentence, as_json)
