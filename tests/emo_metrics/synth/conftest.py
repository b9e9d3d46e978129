"""Clips of HDTF-Synth with their truth, and a way to run extractors over frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from emo_bench.extract.single_pass import extract_clip
from emo_bench.media.types import Video, VideoSpec
from emo_metrics.contract import ClipFeatures, ClipInputs, Extractor


@dataclass(frozen=True, eq=False)
class SynthClip:
    frames: np.ndarray
    audio: np.ndarray
    truth: dict[str, np.ndarray]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def clips() -> list[SynthClip]:
    """Four clips of people whom the networks have never seen."""
    from hdtf_synth.clip import clip_content
    from hdtf_synth.plan import clips_of

    made = [clip_content(plan) for plan in clips_of("mini")[:4]]
    return [SynthClip(c.frames, c.samples.astype(np.float32) / 32768, c.truth) for c in made]


@pytest.fixture(scope="session")
def extract() -> Callable[..., ClipFeatures]:
    """``extract(extractors, clip, frames=..., audio=..., reference=..., piece=...)``."""

    def run(
        extractors: Sequence[Extractor],
        clip: SynthClip,
        *,
        frames: np.ndarray | None = None,
        audio: np.ndarray | None = None,
        reference: np.ndarray | None = None,
        piece: int = 32,
    ) -> ClipFeatures:
        shown = clip.frames if frames is None else frames
        spec = VideoSpec(width=shown.shape[2], height=shown.shape[1], fps=Fraction(25), n_frames=len(shown))
        video = Video(spec, lambda: (shown[start : start + piece] for start in range(0, len(shown), piece)))
        inputs = ClipInputs(
            clip_id="clip",
            fps=Fraction(25),
            n_frames=len(shown),
            height=spec.height,
            width=spec.width,
            reference_image=clip.frames[0] if reference is None else reference,
            audio=clip.audio if audio is None else audio,
        )
        results = extract_clip(video=video, truth=None, inputs=inputs, extractors=extractors, known={})
        bad = {name: (result.status, result.reason) for name, result in results.items() if result.status != "ok"}
        assert not bad, bad
        arrays = {name: result.arrays for name, result in results.items()}
        return ClipFeatures(clip_id="clip", identity="p", fps=Fraction(25), n_frames=len(shown), arrays=arrays)

    return run
