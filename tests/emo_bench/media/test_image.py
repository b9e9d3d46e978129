"""Pictures from outside: what is read, and what a user is told about the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emo_bench.media.image import read_image
from emo_core.errors import DecodeError, LimitError


def test_a_picture_is_read_upright_and_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist()[0][:2] == [[10, 20, 30], [255, 255, 255]]
    turned = Image.new("RGB", (8, 4))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "b.jpg", exif=turned.getexif())
    assert read_image(tmp_path / "b.jpg").shape == (8, 4, 3)


def test_what_is_no_picture_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<html>404</html>")
    with pytest.raises(DecodeError, match=r"'a\.png' is not a readable picture") as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.found == "content of no such format"


def test_a_cut_picture_says_so(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(DecodeError) as caught:
        read_image(tmp_path / "a.png")
    assert "truncated" in str(caught.value.found)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 8000)).save(tmp_path / "a.png")
    with pytest.raises(LimitError) as caught:
        read_image(tmp_path / "a.png")
    assert "9000x8000" in str(caught.value.found)
