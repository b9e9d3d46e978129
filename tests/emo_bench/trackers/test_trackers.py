"""Trackers: what is handed over, to whom, and that none stops the work; for the libraries see test_real_trackers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import record_factory

from emo_bench.runner.tracking import track_record
from emo_bench.trackers.tracker import Guarded, Mirror, trackers
from emo_core.errors import ConfigError
from emo_core.progress import Silent


class Recorder:
    """A tracker that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def start(self, **options: Any) -> None:
        self.calls.append(("start", options))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        self.calls.append(("scalars", (dict(values), step)))

    def close(self, *, status: str) -> None:
        self.calls.append(("close", status))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setitem(trackers._targets, "recorder", lambda: found)
    return found


def mirror(tmp_path: Path, *wanted: str, lines: list[str] | None = None) -> Mirror:
    say = (lines if lines is not None else []).append
    return Mirror(wanted, name="mine", settings={"seed": 3}, folder=tmp_path, say=say)


def test_nothing_is_mirrored_unless_asked(tmp_path: Path) -> None:
    display = Silent()
    with mirror(tmp_path) as nothing:
        assert nothing.display(display) is display
        nothing.scalars("a", 1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_all_calls_arrive_in_order(recorder: Recorder, tmp_path: Path) -> None:
    with mirror(tmp_path, "recorder=there") as one:
        one.scalars("stage", 5, {"loss": 0.5, "broken": float("nan")})
    assert [name for name, _ in recorder.calls] == ["start", "scalars", "close"]
    assert recorder.calls[0][1] == {"name": "mine", "settings": {"seed": 3}, "folder": tmp_path, "where": "there"}
    assert recorder.calls[1][1] == ({"stage/loss": 0.5}, 5)
    assert recorder.calls[2][1] == "finished"


def test_a_failing_run_is_closed_as_failed(recorder: Recorder, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the work"), mirror(tmp_path, "recorder"):
        raise RuntimeError("the work")
    assert recorder.calls[-1] == ("close", "failed")


@pytest.mark.parametrize("method", ["start", "scalars", "close"])
def test_a_tracker_that_fails_is_told_once_and_stops_nothing(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(recorder, method, fail)
    lines: list[str] = []
    with mirror(tmp_path, "recorder", lines=lines) as one:
        for step in range(3):
            one.scalars("a", step, {"loss": 1.0})
    assert lines == ["tracker recorder failed and gets nothing more: ConnectionError: no route"]


def test_what_a_tracker_began_before_it_failed_does_not_stay_open(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(recorder, "scalars", fail)
    with mirror(tmp_path, "recorder") as one:
        one.scalars("a", 1, {"loss": 1.0})
        one.scalars("a", 2, {"loss": 1.0})
    assert [name for name, _ in recorder.calls] == ["start", "close"]
    assert recorder.calls[-1] == ("close", "failed")


def test_the_others_go_on_when_one_fails(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Recorder):
        def start(self, **options: Any) -> None:
            raise OSError("full")

    monkeypatch.setitem(trackers._targets, "broken", Broken)
    with mirror(tmp_path, "broken", "recorder") as both:
        both.scalars("a", 1, {"x": 1.0})
    assert [name for name, _ in recorder.calls] == ["start", "scalars", "close"]


def test_interruption_is_not_swallowed(recorder: Recorder) -> None:
    def stop(**_: Any) -> None:
        raise KeyboardInterrupt

    recorder.start = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        Guarded("x", recorder, print).start(name="a", settings={}, folder=Path(), where="")


def test_unknown_and_missing_trackers_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'tensorboard'"):
        mirror(tmp_path, "tensorbord")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"emo-bench\[wandb\]"):
        mirror(tmp_path, "wandb")


def test_progress_of_a_long_stage_sends_few_numbers(recorder: Recorder, tmp_path: Path) -> None:
    with mirror(tmp_path, "recorder") as one:
        display = one.display(Silent())
        display.stage("generate", 1000)
        for _ in range(1000):
            display.step("x")
    sent = [value for name, value in recorder.calls if name == "scalars"]
    assert 100 <= len(sent) <= 101
    assert sent[-1] == ({"progress/generate": 1.0}, 1000)


def test_the_numbers_of_a_record_arrive_without_names_of_files(recorder: Recorder, tmp_path: Path) -> None:
    record = record_factory.make_run(n_clips=3, failing=0).record
    with mirror(tmp_path, "recorder") as one:
        track_record(one, record)
    sent = {key: value for name, call in recorder.calls if name == "scalars" for key, value in call[0].items()}
    known = [value for value in record.values if value.value is not None]
    assert {f"{v.system}/{v.protocol}/{v.key}": v.value for v in known}.items() <= sent.items()


def test_a_training_hands_over_its_losses(recorder: Recorder, tmp_path: Path) -> None:
    import torch

    from emo_models.training.loop import Loop, LoopConfig

    class Trainee:
        def train_step(self, step: int) -> dict[str, float]:
            return {"loss": float(step), **({"late": 1.0} if step >= 3 else {})}

        def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
            return {"weights": {"w": torch.zeros(1)}}

        def optimizers(self) -> dict[str, Any]:
            return {}

        def restore(self, *_: Any, **__: Any) -> None:
            raise AssertionError("nothing to restore")

    config = LoopConfig(name="small", steps=4, checkpoint_every=10, log_every=2)
    lines: list[str] = []
    with mirror(tmp_path, "recorder", lines=lines) as one:
        Loop(Trainee(), config, tmp_path / "checkpoints", report=one).run()
    sent = [call for name, call in recorder.calls if name == "scalars"]
    assert sent == [({"small/loss": 0.5}, 2), ({"small/loss": 2.5, "small/late": 1.0}, 4)]
    assert len(lines) == 2


class Library(ModuleType):
    """Notes every call of a library's functions."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            return SimpleNamespace(
                define_metric=lambda *names, **more: self.calls.append(("run.define_metric", names, more)),
                log=lambda values: self.calls.append(("run.log", (values,), {})),
                finish=lambda exit_code: self.calls.append(("run.finish", (), {"exit_code": exit_code})),
            )

        return call


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wandb", ["Settings", "init", "run.define_metric", "run.log", "run.finish"]),
        ("trackio", ["init", "log", "finish"]),
    ],
)
def test_other_trackers_are_called_as_their_libraries_want(
    kind: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(kind)
    monkeypatch.setitem(sys.modules, kind, library)
    lines: list[str] = []
    with mirror(tmp_path, f"{kind}=there", lines=lines) as one:
        one.scalars("a b/c@1#d", 7, {"loss": 0.25})
    assert lines == []
    assert [name for name, _, _ in library.calls] == expected
    options = {name: options for name, _, options in library.calls}
    assert options["init"]["project"] == "there"
    sent = next(call[1:] for call in library.calls if call[0] in ("run.log", "log"))
    if kind == "wandb":
        assert sent == (({"a b/c@1#d/loss": 0.25, "step": 7},), {})
    else:
        assert sent == (({"a b/c@1#d/loss": 0.25},), {"step": 7})
