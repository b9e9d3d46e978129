"""Each tracker's own library, offline: numbers arrive at their steps, and nothing of the machine or the user does.

A tracker whose library is not installed is skipped.
"""

from __future__ import annotations

import getpass
import json
import socket
import sqlite3
from pathlib import Path

import pytest

from emo_bench.trackers.tracker import Mirror

SETTINGS = {"seed": 3, "model.width@1": 0.5, "fast": True, **{f"k{index}": index for index in range(150)}}
NAME = "my run #1"


def mirrored(kind: str, folder: Path, *, where: str = "", fails: bool = False) -> None:
    """Three losses of one part and a value of another."""
    lines: list[str] = []
    wanted = f"{kind}={where}" if where else kind
    try:
        with Mirror([wanted], name=NAME, settings=SETTINGS, folder=folder, say=lines.append) as one:
            for step in range(3):
                one.scalars("stage 1/sync@1#x", 10 * step, {"loss": 1.0 / (step + 1), "broken": float("nan")})
            one.scalars("other", 0, {"value": 2.0})
            if fails:
                raise RuntimeError("the work")
    except RuntimeError:
        assert fails
    assert lines == []


def says_nothing_of_the_machine(data: bytes) -> None:
    for word in (socket.gethostname(), str(Path.home()), str(Path.cwd()), f"/{getpass.getuser()}/"):
        assert len(word) < 4 or word.encode() not in data, word


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    mirrored("tensorboard", tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("stage 1/sync@1#x/loss")] == [
        (10 * step, pytest.approx(1.0 / (step + 1))) for step in range(3)
    ]
    assert [event.value for event in events.Scalars("other/value")] == [2.0]
    texts = {
        name: events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0] for name in ("settings", "status")
    }
    assert b"model.width@1: 0.5" in texts["settings"]
    assert texts["status"] == b"finished"
    for file in (tmp_path / "tensorboard").iterdir():
        says_nothing_of_the_machine(file.read_bytes())


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("sqlalchemy", reason="sqlalchemy, for mlflow's local database, is not installed")
    monkeypatch.chdir(tmp_path)
    where = f"sqlite:///{tmp_path / 'm.db'}"
    mirrored("mlflow", tmp_path, where=where)
    mirrored("mlflow", tmp_path, where=where, fails=True)
    client = mlflow.MlflowClient(tracking_uri=where)
    experiment = client.get_experiment_by_name("emo-bench")
    failed, done = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert (done.info.run_name, done.info.status, failed.info.status) == (NAME, "FINISHED", "FAILED")
    history = client.get_metric_history(done.info.run_id, "stage 1/sync_1_x/loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (10, 0.5), (20, pytest.approx(1 / 3))]
    assert done.data.metrics["other/value"] == 2.0
    assert done.data.params["model.width_1"] == "0.5"
    assert len(done.data.params) == len(SETTINGS)
    assert set(done.data.tags) == {"mlflow.runName"}


def test_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    mirrored("wandb", tmp_path)
    (file,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    data = file.read_bytes()
    for wanted in (NAME, "stage 1/sync@1#x/loss", "0.3333333333333333", "other/value", "model.width@1"):
        assert wanted.encode() in data
    assert b"broken" not in data
    says_nothing_of_the_machine(data)
    assert not list((tmp_path / "wandb").glob("offline-run-*/files/*"))


def test_trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    if Path(trackio.utils.TRACKIO_DIR) != tmp_path / "trackio":
        pytest.skip("trackio was imported before its folder was set")
    mirrored("trackio", tmp_path, where="mine")
    base = sqlite3.connect(tmp_path / "trackio" / "mine.db")
    rows = [
        (step, json.loads(values)) for step, values in base.execute("select step, metrics from metrics order by id")
    ]
    loss = "stage 1/sync@1#x/loss"
    assert rows == [(0, {loss: 1.0}), (10, {loss: 0.5}), (20, {loss: pytest.approx(1 / 3)}), (0, {"other/value": 2.0})]
    assert base.execute("select count(*) from system_metrics").fetchone() == (0,)
    ((config,),) = base.execute("select config from configs").fetchall()
    assert json.loads(config).items() >= SETTINGS.items()
    says_nothing_of_the_machine(config if isinstance(config, bytes) else config.encode())
