"""Our extractors fed by the harness: one decode, pieces of a few dozen frames, any length."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from emo_metrics.contract import ClipInputs, FrameArray
from emo_metrics.extractors.inception_frames import SampledFrames
from emo_metrics.extractors.video_windows import _WindowExtractor


class _Corner(_WindowExtractor):
    name = "test/corner@1"

    def window_features(self, frames: FrameArray) -> np.ndarray:
        return frames[:, 0, 0, 0].astype(np.float32)


class _Sampled(_Corner):
    name = "test/sampled@1"

    def begin(self, clip: ClipInputs) -> SampledFrames:  # type: ignore[override]
        return SampledFrames(clip, lambda frames: frames[:, 0, 0, :1].astype(np.float32))


def test_features_of_a_clip_of_the_harness() -> None:
    single_pass = pytest.importorskip("emo_bench.extract.single_pass")
    n = 77
    frames = (np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 6, 8, 3))).astype(np.uint8)

    def pieces() -> Iterator[FrameArray]:
        yield from np.array_split(frames, [5, 6, 40])

    inputs = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=n, height=6, width=8, reference_image=frames[0])
    video = SimpleNamespace(open=pieces, spec=None)
    results = single_pass.extract_clip(
        video=video, truth=None, inputs=inputs, extractors=[_Corner({}), _Sampled({})], known={}
    )
    windows, sampled = results["test/corner@1"], results["test/sampled@1"]
    assert (windows.status, sampled.status) == ("ok", "ok")
    assert windows.arrays["features"][:, 0].tolist() == windows.arrays["start"].tolist() == [0, 20, 40, 61]
    assert sampled.arrays["features"][:, 0].tolist() == sampled.arrays["frame"].tolist()
    short = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=9, height=6, width=8, reference_image=frames[0])
    nine = SimpleNamespace(open=lambda: iter([frames[:9]]), spec=None)
    result = single_pass.extract_clip(video=nine, truth=None, inputs=short, extractors=[_Corner({})], known={})
    assert result["test/corner@1"].status == "too_short"
