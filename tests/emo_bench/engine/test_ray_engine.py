"""Ray carries out the same units with equal numbers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emo_bench.api import run
from emo_bench.engine.pool import WorkStoppedError
from emo_bench.engine.ray_engine import run_units_on_ray
from emo_bench.engine.unit import Outcome, Unit


def suite(folder: Path, *, engine: str) -> dict[str, object]:
    return {
        "name": f"on-{engine}",
        "dataset": {"kind": "hdtf-synth", "slice": "mini", "max_clips": 2, "folder": str(folder / "data")},
        "anchors": ["reencoded", "frozen"],
        "metrics": ["psnr/rgb@1", "flicker/luma@1"],
        "execution": {"engine": engine, "workers": 2},
        "report": {"previews": False},
        "store": str(folder / f"store-{engine}"),
        "output": str(folder / engine),
    }


@pytest.mark.slow
def test_ray_gives_the_numbers_of_the_local_engine(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    records = {}
    for engine in ("ray", "local"):
        result = run(suite(tmp_path, engine=engine), quiet=True)
        records[engine] = json.loads((result.folder / "record.json").read_text(encoding="utf-8"))
    assert records["ray"]["counts"] == {"planned": 6, "done": 6, "failed": 0}
    for part in ("values", "comparisons", "checks", "clips", "systems", "protocols", "failures", "counts"):
        assert records["ray"][part] == records["local"][part], part


class SmallRay:
    """As much of Ray as the engine needs, with room for so many actors; each keeps its place until it is killed."""

    def __init__(self, room: int, seconds: float) -> None:
        self.room, self.seconds = room, seconds
        self.exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
        self.actors: list[Any] = []
        self.due: dict[int, tuple[Any, float, Any]] = {}

    def remote(self, **resources: int) -> Any:
        assert resources == {"num_cpus": 1, "num_gpus": 0}
        return lambda kind: SimpleNamespace(remote=lambda *given: self.actor())

    def actor(self) -> Any:
        made = SimpleNamespace(killed=False)
        self.actors.append(made)

        def call(seconds: float, answer: Any) -> int:
            self.due[len(self.due)] = (made, time.monotonic() + seconds, answer)
            return len(self.due) - 1

        made.ready = SimpleNamespace(remote=lambda: call(0.0, None))
        made.work = SimpleNamespace(remote=lambda unit: call(self.seconds, Outcome(unit)))
        return made

    def runs(self, actor: Any) -> bool:
        return actor in [one for one in self.actors if not one.killed][: self.room]

    def wait(self, references: list[int], **_: object) -> tuple[list[int], list[int]]:
        time.sleep(0.01)
        done = [r for r in references if self.runs(self.due[r][0]) and self.due[r][1] < time.monotonic()]
        return done[:1], []

    def get(self, reference: int) -> Any:
        return self.due[reference][2]

    def kill(self, actor: Any) -> None:
        actor.killed = True


def outcomes(monkeypatch: pytest.MonkeyPatch, ray: SmallRay, *, timeout_s: float) -> list[str]:
    monkeypatch.setattr("emo_bench.engine.ray_engine._ray", lambda: ray)
    spec: Any = SimpleNamespace(config=SimpleNamespace(execution=SimpleNamespace(device="cpu")))
    units = [Unit("frozen", f"clip-{number}", 0) for number in range(6)]
    found = list(run_units_on_ray(spec, units, workers=3, timeout_s=timeout_s))
    assert sorted(outcome.unit for outcome in found) == units
    assert all(actor.killed for actor in ray.actors)
    return [outcome.code for outcome in found]


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_unit_is_not_overdue_while_its_worker_waits_for_room(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    assert outcomes(monkeypatch, SmallRay(room, seconds=0.15), timeout_s=0.4) == ["ok"] * 6


def test_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcomes(monkeypatch, SmallRay(2, seconds=60.0), timeout_s=0.1) == ["timeout"] * 6


def test_without_room_for_anybody_the_work_stops_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkStoppedError, match="no worker for"):
        outcomes(monkeypatch, SmallRay(0, seconds=0.1), timeout_s=0.2)
