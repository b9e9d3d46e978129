from __future__ import annotations

import numpy as np
import pytest

from emo_bench.data.doctor import _describe_faces


@pytest.mark.parametrize("n_frames", [1, 25])
@pytest.mark.filterwarnings("error")
def test_a_clip_without_any_face_is_said_in_words(n_frames: int) -> None:
    none = np.zeros(n_frames, np.uint8)
    (finding,) = _describe_faces(none, none, np.full((n_frames, 4), np.nan), n_frames)
    assert (finding.level, finding.code) == ("warning", "no_face")
    assert "nan" not in finding.text


def test_faces_are_counted_and_measured() -> None:
    box = np.tile(np.float64([10, 10, 60, 70]), (10, 1))
    found = np.array([1] * 6 + [0] * 4, np.uint8)
    texts = {one.code: one.text for one in _describe_faces(found, found * 2, box, 10)}
    assert texts["face"] == "a face on 60.0% of the frames, 50 px wide"
    assert texts["several_faces"].startswith("6 of 10 frames")
    assert "6 frames" in texts["short_track"]
