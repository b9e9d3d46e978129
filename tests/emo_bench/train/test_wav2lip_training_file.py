"""A training file trains on a manifest, keeps a log, continues, and writes weights that the system loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.media.lossless import write_clip
from emo_bench.media.types import Audio, video_from_array
from emo_bench.train.config import Wav2LipTraining, load_training
from emo_bench.train.run import run_training
from emo_bench.train.wav2lip import TrainingLog, TrainingReport, train_wav2lip
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import sha256_file

ROOT = Path(__file__).resolve().parents[3]
FPS = Fraction(25)


def labels(opening: np.ndarray) -> dict[str, np.ndarray]:
    """A face that stays where it is."""
    points = np.tile(np.random.default_rng(0).uniform((14, 14), (50, 60), (68, 2)).astype(np.float32), (14, 1, 1))
    points[:, 48:68] = np.random.default_rng(1).uniform((24, 44), (40, 56), (20, 2))
    return {
        "mouth_opening": opening,
        "box": np.tile(np.float32([14, 14, 50, 60]), (14, 1)),
        "landmarks68": points,
        "pose": np.zeros((14, 6), np.float32),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.numpy import save_file

    root = tmp_path_factory.mktemp("data")
    entries = []
    for number, split in enumerate(["train", "train", "validation"]):
        random = np.random.default_rng(number)
        opening = np.repeat(random.random(4), 4)[:14].astype(np.float32)
        frames = np.full((14, 64, 64, 3), 150, dtype=np.uint8)
        for index, value in enumerate(opening):
            frames[index, 44 : 45 + int(10 * value), 24:40] = (120, 10, 20)
        samples = (np.repeat(opening, 640) * random.uniform(-0.5, 0.5, 14 * 640)).astype(np.float32)
        video = root / f"c{number}.mkv"
        write_clip(video, video_from_array(frames, fps=FPS), Audio(samples, 16000), fps=FPS)
        save_file(labels(opening), root / f"c{number}.safetensors")
        entries.append(
            ManifestEntry(
                id=f"c{number}",
                video=video.name,
                truth=f"c{number}.safetensors",
                identity=f"person {number}",
                split=split,
                face_box=(14.0, 14.0, 50.0, 60.0),
                sha256={"video": sha256_file(video), "truth": sha256_file(root / f"c{number}.safetensors")},
            )
        )
    write_manifest(root / "manifest.jsonl", entries)
    return root


def plan(folder_of_data: Path, folder: Path, **changes: object) -> Path:
    path = folder / "plan.yaml"
    stage = {"steps": 3, "batch_size": 2, "window_frames": 1}
    values = {
        "kind": "wav2lip",
        "data": [{"manifest": str(folder_of_data / "manifest.jsonl")}],
        "held_out": [{"manifest": str(folder_of_data / "manifest.jsonl")}],
        "cache": str(folder / "cache"),
        "network": {"width": 0.05, "image_size": 48, "window_start": -2},
        "generator": stage,
        "measure": {"every": 2, "clips": 1, "reader_steps": 3},
        "output": str(folder / "out"),
        **changes,
    }
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def trained(path: Path, say: Callable[[str], None] = lambda text: None) -> TrainingReport:
    config = load_training(path)
    assert isinstance(config, Wav2LipTraining)
    return train_wav2lip(config, Path(str(config.output)), say=say)


def test_training_writes_weights_and_a_log_and_continues(data: Path, tmp_path: Path) -> None:
    from emo_models.baselines.wav2lip.checkpoints import load_generator

    said: list[str] = []
    report = trained(plan(data, tmp_path), say=said.append)
    assert report.steps == 3
    generator = load_generator(report.weights)
    assert generator.config.window_start == -2
    rows = [json.loads(line) for line in report.log.read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "measure"] == [2]
    assert {"correlation", "lower_l1"} <= set(rows[0])
    assert "shuffled" not in rows[0], "one clip has no other's audio"
    assert any("2 training clips" in line for line in said)
    assert not any("trained on too" in line for line in said)
    before = report.weights.read_bytes()
    again = trained(plan(data, tmp_path))  # finished already: the same weights, no further step
    assert again.steps == 3
    assert again.weights.read_bytes() == before


def test_steps_that_are_done_again_are_logged_once(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text('{"kind": "exp{"kind": "generator", "step": 250}\n')
    first.add(kind="expert", step=100, sync=0.5)
    for step in (50, 100, 150):
        first.add(kind="generator", step=step, l1=0.1)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"kind": "generator", "st')  # killed while it wrote
    resumed = TrainingLog(tmp_path / "log.jsonl")
    for step in (100, 150, 200):
        resumed.add(kind="generator", step=step, l1=0.1)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["step"]) for row in rows] == [
        ("expert", 100),
        *(("generator", step) for step in (50, 100, 150, 200)),
    ]


def test_a_folder_of_other_settings_or_clips_is_refused(data: Path, tmp_path: Path) -> None:
    def run(**changes: object) -> list[str]:
        return run_training(load_training(plan(data, tmp_path, measure=None, **changes)), tmp_path / "out")

    run()
    with pytest.raises(ConfigError, match=r"other settings \(steps\)"):
        run(generator={"steps": 4, "batch_size": 2, "window_frames": 1})
    with pytest.raises(ConfigError, match=r"other settings \(padding\)"):
        run(padding=[0, 2, 0, 0])
    with pytest.raises(ConfigError, match=r"other settings \(size\)"):
        run(size=32)
    with pytest.raises(ConfigError, match=r"other settings \(data, labels\)"):
        run(max_clips=1)


def test_people_that_are_held_out_and_trained_on_are_told(data: Path, tmp_path: Path) -> None:
    held_out = [{"manifest": str(data / "manifest.jsonl"), "split": "train"}]
    said: list[str] = []
    trained(plan(data, tmp_path, held_out=held_out, generator={"steps": 1, "batch_size": 2}), say=said.append)
    assert "1 of 1 people held out are trained on too: person 0" in said


def test_an_expert_is_trained_when_asked_for(data: Path, tmp_path: Path) -> None:
    stage = {"steps": 1, "batch_size": 1, "sync_weight": 0.03}
    path = plan(data, tmp_path, generator=stage, expert={"steps": 1, "batch_size": 2}, measure=None)
    assert trained(path).steps == 1
    assert list((tmp_path / "out/expert").glob("step-*"))
    (tmp_path / "b").mkdir()
    with pytest.raises(ConfigError, match="expert"):
        trained(plan(data, tmp_path / "b", generator=stage, measure=None))


def test_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clips in split 'other'"):
        trained(plan(data, tmp_path, data=[{"manifest": str(data / "manifest.jsonl"), "split": "other"}]))
    with pytest.raises(ConfigError, match="image_size"):
        trained(plan(data, tmp_path, network={"image_size": 64}))
