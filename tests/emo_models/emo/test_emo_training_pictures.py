"""Curves of a run: stages side by side, any number of diagnostics, runs of one step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emo_models.emo.training.figures import curve_figure

BLUE, ORANGE = (31, 119, 180), (255, 127, 14)


def has(picture: Path, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(Image.open(picture).convert("RGB")) == colour).all(-1).any())


@pytest.mark.parametrize("steps", [1, 2, 60])
@pytest.mark.parametrize("diagnostics", [0, 3, 7])
def test_panels_stand_in_rows_that_fit_a_page(tmp_path: Path, steps: int, diagnostics: int) -> None:
    history = [[float(step), 2.0 / step] for step in range(1, steps + 1)]
    values = [{"step": steps, "stage": "audio", **{f"value_{i}": float(i) for i in range(diagnostics)}}]
    curve_figure(history, values, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.size == (400 * min(4, 1 + diagnostics), 300 * (1 + diagnostics // 4))


def test_each_stage_has_a_curve_of_its_own(tmp_path: Path) -> None:
    history = [[float(step), 2.0 if step <= 30 else 3.0] for step in range(1, 51)]
    for name, stages in (("one.png", [("audio", 50)]), ("two.png", [("audio", 30), ("video", 40)])):
        curve_figure(history, [], tmp_path / name, stages=stages)
    assert has(tmp_path / "one.png", BLUE)
    assert not has(tmp_path / "one.png", ORANGE)
    assert has(tmp_path / "two.png", BLUE)
    assert has(tmp_path / "two.png", ORANGE)
