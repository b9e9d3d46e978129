"""Sound moved along its own timeline."""

from __future__ import annotations

import numpy as np
import pytest

from emo_core.delay import delayed


@pytest.mark.parametrize("shift", [-1281, -1280, -3, 0, 3, 1280, 1281])
def test_the_sound_keeps_its_length_and_what_still_fits(shift: int) -> None:
    samples = np.arange(1, 1281, dtype=np.int16)
    moved = delayed(samples, shift)
    assert moved.dtype == samples.dtype
    assert len(moved) == len(samples)
    expected = [samples[i - shift] if 0 <= i - shift < len(samples) else 0 for i in range(len(samples))]
    assert moved.tolist() == expected


def test_the_original_stays_untouched() -> None:
    samples = np.ones(4, np.float32)
    delayed(samples, 0)[:] = 5
    delayed(samples, 1)[:] = 5
    assert samples.tolist() == [1, 1, 1, 1]
