"""The recipe for real faces, at a tiny size, on a set as `data prepare folder` writes it: the same code path."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from emo_bench.data.labels import write_labels
from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.media.lossless import write_clip
from emo_bench.media.types import Audio, video_from_array
from emo_bench.train.config import load_training
from emo_bench.train.run import run_training
from emo_core.errors import DataError
from emo_core.hashing import sha256_file

RECIPE = Path(__file__).resolve().parents[3] / "configs" / "train" / "emo_hdtf.yaml"
TINY = [
    "preset=tiny",
    "start_from=''",
    "autoencoder_folder=''",
    "size=64",
    "reader_steps=0",
    "mixed_precision=no",
    "autoencoder={steps: 1, batch: 2, crop: 16}",
    *(f"stages[{index}].steps=1" for index in range(3)),
    "stages[0].clips=2",
]


def speaking(folder: Path, name: str, random: np.random.Generator) -> ManifestEntry:
    """A clip of 96 px with labels as `data prepare folder` measures them."""
    frames = np.full((16, 96, 96, 3), 90, np.uint8)
    opening = random.uniform(0, 8, 16)
    points = np.zeros((16, 68, 2), np.float32)
    points[:] = random.uniform((30, 30), (60, 40), (68, 2))
    points[:, 48:68] = random.uniform((40, 60), (60, 70), (20, 2))
    for t, value in enumerate(opening):
        frames[t, 62 : 64 + int(value), 40:60] = 10
        points[t, 65:68, 1] = points[t, 61:64, 1] + value
    audio = Audio(random.uniform(-0.3, 0.3, 16 * 640).astype(np.float32), 16_000)
    write_clip(folder / f"{name}.mkv", video_from_array(frames, fps=Fraction(25)), audio, fps=Fraction(25))
    labels = {
        "box": np.tile(np.array([20, 20, 76, 84], np.float32), (16, 1)),
        "landmarks68": points,
        "pose": random.uniform(-5, 5, (16, 6)).astype(np.float32),
        "head_velocity": random.uniform(0, 1, 16).astype(np.float32),
    }
    digest = write_labels(folder / f"{name}.safetensors", labels)
    return ManifestEntry(
        id=name,
        video=f"{name}.mkv",
        identity=name,
        split="train",
        sha256={"video": sha256_file(folder / f"{name}.mkv")},
        meta={"labels": f"{name}.safetensors", "labels_sha256": digest},
    )


def test_the_recipe_for_real_faces_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emo_models.emo.pipeline import EMOPipeline

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "set").mkdir()
    write_manifest(tmp_path / "set" / "manifest.jsonl", [speaking(tmp_path / "set", name, random) for name in "ab"])
    config = load_training(RECIPE, TINY, data=["set"])
    said: list[str] = []
    (made,) = run_training(config, tmp_path / "out", say=said.append)
    pipeline = EMOPipeline.from_pretrained(Path(made))
    frames = pipeline(np.zeros((64, 64, 3), np.uint8), np.zeros(3200, np.float32), steps=1).frames
    assert frames.shape == (5, 64, 64, 3)
    assert any("step 3/3" in line for line in said)

    with pytest.raises(DataError, match="prepare the set at 30 frames a second"):
        run_training(load_training(RECIPE, data=["set"]), tmp_path / "other")
    with pytest.raises(DataError, match="too few clips"):
        run_training(load_training(RECIPE, [*TINY, "max_clips=1"], data=["set"]), tmp_path / "other")
