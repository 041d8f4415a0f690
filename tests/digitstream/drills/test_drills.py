"""Each drill keeps its promise; and a promise that is broken is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.settings.programs import Scoring
from digitstream.drills import DRILLS, select
from digitstream.drills.drill import Drill, run
from digitstream.drills.ground import ground
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken, Impossible
from tests.digitstream.conftest import Run


@pytest.fixture(scope="module")
def grounds(registered: Path) -> Iterator[Callable[[str], Ground]]:
    settings = Scoring(home=registered.parent, master="local[2,4]")
    with ground.prepare(settings, minutes=2) as made:
        yield made


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long  # minutes each; `digitstream drill all` runs them, too
@pytest.mark.parametrize("name", DRILLS)
def test_each_drill_keeps_its_promise(name: str, grounds: Callable[[str], Ground]) -> None:
    found = run(DRILLS[name], grounds(name))
    if found.kept is None:
        pytest.skip(found.seen)
    assert found.kept, found.seen


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.slow
def test_a_reading_that_is_missing_breaks_a_promise(grounds: Callable[[str], Ground]) -> None:
    here, phases = grounds("gap"), list[str]()
    here.announce = phases.append
    sent = here.send(100)
    with pytest.raises(Broken, match=r"100 readings were sent; produced 100, .*in flight 100"):
        here.check_all_answered(sent)
    assert phases == ["sends 100 readings", "accounts for the readings"]


def test_what_a_drill_comes_to_is_kept_broken_or_not_tried() -> None:
    def broken(ground: object) -> str:
        message = "two are missing"
        raise Broken(message)

    def impossible(ground: object) -> str:
        message = "only root may"
        raise Impossible(message)

    for attempt, kept, seen in (
        (lambda ground: "all there", True, "all there"),
        (broken, False, "two are missing"),
        (impossible, None, "only root may"),
    ):
        found = run(Drill("a", "b", attempt), None)
        assert (found.kept, found.seen) == (kept, seen)


def test_drills_are_listed_and_the_nearest_is_told(run: Run) -> None:
    code, report, _ = run("drill", "list", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(report)["drills"]] == list(DRILLS)
    code, _, said = run("drill", "poisn")
    assert code == 1
    assert "the nearest is poison" in said
    assert "soak" in DRILLS
    assert "soak" not in {each.name for each in select("all")}
