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
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import sha256_file

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "train"
RECIPE = CONFIGS / "emo_hdtf.yaml"
PORTRAITS = CONFIGS / "emo_portrait.yaml"
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


def speaking(folder: Path, name: str, random: np.random.Generator, *, side: int = 96) -> ManifestEntry:
    """A clip of 96 px, or enlarged, with labels as `data prepare folder` measures them."""
    frames = np.full((16, 96, 96, 3), 90, np.uint8)
    opening = random.uniform(0, 8, 16)
    points = np.zeros((16, 68, 2), np.float32)
    points[:] = random.uniform((30, 30), (60, 40), (68, 2))
    points[:, 48:68] = random.uniform((40, 60), (60, 70), (20, 2))
    for t, value in enumerate(opening):
        frames[t, 62 : 64 + int(value), 40:60] = 10
        points[t, 65:68, 1] = points[t, 61:64, 1] + value
    frames = np.repeat(np.repeat(frames, -(-side // 96), 1), -(-side // 96), 2)[:, :side, :side]
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


def re_enacted(folder: Path, name: str, random: np.random.Generator, *, side: int = 96) -> ManifestEntry:
    """A clip with its still and the true flow, as `data make reenacted` writes them."""
    from PIL import Image
    from safetensors.numpy import load_file, save_file

    entry = speaking(folder, name, random, side=side)
    labels = dict(load_file(folder / f"{name}.safetensors"))
    labels["flow"] = random.normal(size=(16, 64, 64, 2)).astype(np.float16)
    labels["blink"] = random.uniform(size=(16, 2)).astype(np.float32)
    save_file(labels, folder / f"{name}.safetensors")
    Image.fromarray(random.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    read = {"labels_sha256": sha256_file(folder / f"{name}.safetensors"), "portrait": f"{name}.png"}
    return entry.model_copy(update={"meta": {**entry.meta, **read}})


def test_the_recipe_for_portraits_runs_from_the_shipped_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emo_models.emo.pipeline import EMOPipeline

    torch.set_num_threads(1)
    start = PORTRAITS.parents[2] / "models" / "emo_models" / "emo" / "weights" / "emo-synth"
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "set").mkdir()
    (tmp_path / "large").mkdir()
    write_manifest(
        tmp_path / "large" / "manifest.jsonl", [re_enacted(tmp_path / "large", name, random, side=256) for name in "cd"]
    )
    write_manifest(tmp_path / "set" / "manifest.jsonl", [re_enacted(tmp_path / "set", name, random) for name in "ab"])
    small = [
        f"start_from={start}",
        "size=128",
        "reader_steps=0",
        "mixed_precision=no",
        "vtlp_factors=[1.0]",
        "speech_net={steps: 2, clips: 2, frames: 8}",
        "transfer={steps: 1, batch: 1}",
        "detail={steps: 1, batch: 1}",
        "detail_data=[{manifest: large/manifest.jsonl}]",
        *(f"stages[{index}].{key}=1" for index in range(2) for key in ("steps", "clips")),
        "stages[1].self_forcing=0.0",
    ]
    said: list[str] = []
    (made,) = run_training(load_training(PORTRAITS, small, data=["set"]), tmp_path / "out", say=said.append)
    pipeline = EMOPipeline.from_pretrained(Path(made))
    assert pipeline.facts["guidance_distillation"] == 2.2
    assert pipeline.refiner is not None
    assert pipeline.detail is not None
    before = EMOPipeline.from_pretrained(start)
    old, new = (one.audio_encoder.window(np.zeros(3200, np.float32), 0, 5) for one in (before, pipeline))
    assert not torch.equal(old, new)
    assert any("a linear map explains" in line for line in said)
    assert any("true flow" in line for line in said)
    with pytest.raises(ConfigError, match="unlearn_guidance"):
        run_training(load_training(PORTRAITS, [*small, "unlearn_guidance=false"], data=["set"]), tmp_path / "refused")
