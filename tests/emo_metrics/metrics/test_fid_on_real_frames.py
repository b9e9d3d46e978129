from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from emo_metrics.extractors.open_inception import OPEN_WEIGHTS, InceptionOpen
from emo_metrics.metrics.fid import FidOpen, KidOpen

ASSETS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets"
CLIPS = ("WDA_AlexandriaOcasioCortez_000.mp4", "May_5s.mp4", "grid_bbaf2n.mpg")
Change = Callable[[np.ndarray], np.ndarray]
STATED = {
    ("clean", 0): 0.67, ("blur", 0): 1.82, ("blur", 1): 4.13, ("noise", 0): 2.77, ("noise", 1): 5.36,
    ("jpeg", 0): 1.41, ("jpeg", 1): 6.28,
}  # fmt: skip
"""By docs/protocols/fid-open-inception.md."""


def _blur(radius: float) -> Change:
    return lambda frame: np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def _noise(scale: float) -> Change:
    def add(frame: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).normal(scale=scale, size=frame.shape)
        return np.clip(frame + noise, 0, 255).astype(np.uint8)

    return add


def _jpeg(quality: int) -> Change:
    def compress(frame: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return compress


@pytest.mark.slow
def test_fid_of_real_frames_rises_with_every_distortion() -> None:
    import av

    if not all((ASSETS / "clips" / name).is_file() for name in CLIPS) or not (ASSETS / "weights").is_dir():
        pytest.skip("the shared real clips and weights are not here")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    extractor = InceptionOpen({OPEN_WEIGHTS: ASSETS / "weights" / OPEN_WEIGHTS})
    clips = []
    for name in CLIPS:
        with av.open(str(ASSETS / "clips" / name)) as container:
            frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(48), strict=False)]
        clips.append(frames[::12])

    def features(change: Change, part: slice) -> list[np.ndarray]:
        return [extractor.features(np.stack([change(f) for f in clip[part]])).astype(np.float64) for clip in clips]

    truth = features(lambda frame: frame, slice(1, None, 2))
    fid, kid = {}, {}
    corruptions = {"clean": (lambda f: f,), "blur": (_blur(2), _blur(6)), "noise": (_noise(12), _noise(60))}
    for name, changes in {**corruptions, "jpeg": (_jpeg(20), _jpeg(4))}.items():
        for level, change in enumerate(changes):
            ours = features(change, slice(0, None, 2))
            fid[name, level] = FidOpen().compute(ours, truth)["fid"]
            kid[name, level] = KidOpen().compute(ours, truth)["kid"]
    torch.set_num_threads(before)
    for key, stated in STATED.items():
        assert fid[key] == pytest.approx(stated, rel=0.02), (key, fid)
    for name in ("blur", "noise", "jpeg"):
        assert fid["clean", 0] < fid[name, 0] < fid[name, 1], (name, fid)
        assert kid["clean", 0] < kid[name, 1], (name, kid)
