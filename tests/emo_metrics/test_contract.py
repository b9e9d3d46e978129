from __future__ import annotations

import numpy as np
import pytest

from emo_metrics.contract import Piece

RIGHT = np.zeros((2, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "wrong",
    [RIGHT.astype(np.float32), RIGHT.astype(np.int64), RIGHT[0], RIGHT.transpose(0, 3, 1, 2), RIGHT[..., :1]],
    ids=["floats", "wide integers", "one frame", "channels first", "grey"],
)
def test_frames_whose_range_or_order_would_be_a_guess_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"^frames: expected uint8 RGB \[t, H, W, 3\], found"):
        Piece(frames=wrong, start=0)
    with pytest.raises(TypeError, match=r"^ground_truth: expected uint8"):
        Piece(frames=RIGHT, start=0, ground_truth=wrong)


def test_frames_as_agreed_are_taken() -> None:
    assert Piece(frames=RIGHT, start=3, ground_truth=RIGHT[:0]).frames is RIGHT
