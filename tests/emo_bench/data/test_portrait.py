"""From a picture to the square that is animated, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.data.portrait import Framing, Square, find_square, square_around, turned_by
from emo_bench.media.decode import open_video
from emo_core.errors import GenerationError, NoFaceError

sides = st.integers(16, 90)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 97 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(sides, sides, st.integers(-40, 80), st.integers(-40, 80), st.integers(8, 120))
def test_pasting_what_was_cut_gives_the_picture(height: int, width: int, left: int, top: int, side: int) -> None:
    image, square = picture(height, width), Square(left, top, side)
    if left + side <= 0 or top + side <= 0 or left >= width or top >= height:
        return
    cut = square.cut(image)
    assert cut.shape == (side, side, 3)
    (back,) = square.paste(image, [cut[None]])
    assert np.array_equal(back[0], image)


def test_a_pasted_square_is_seen_in_the_middle_and_fades_at_its_edges_only_inside_the_picture() -> None:
    image, white = np.zeros((100, 100, 3), np.uint8), np.full((1, 40, 40, 3), 255, np.uint8)
    (inner,) = Square(30, 30, 40).paste(image, [white])
    assert inner[0, 50, 50].tolist() == [255, 255, 255]
    assert inner[0, 30, 50, 0] < 60
    assert np.abs(np.diff(inner[0, 50, :, 0].astype(int))).max() < 160
    assert inner[0, 10, 10].tolist() == [0, 0, 0]
    (corner,) = Square(0, 0, 40).paste(image, [white])
    assert corner[0, 0, 0].tolist() == [255, 255, 255]
    assert corner[0, 39, 5, 0] < 60


@given(st.integers(60, 400), st.integers(60, 400), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 0.9))
def test_the_square_lies_inside_the_picture_where_it_fits(
    height: int, width: int, x: float, y: float, share: float
) -> None:
    face = share * min(height, width)
    left, top = x * (width - face * 0.8), y * (height - face)
    framing = Framing(side=1.6, up=0.04)
    square = square_around((left, top, left + 0.8 * face, top + face), framing, height=height, width=width)
    assert abs(square.side - 1.6 * face) <= 8
    if square.side <= min(height, width):
        assert 0 <= square.left <= width - square.side
        assert 0 <= square.top <= height - square.side
    else:
        assert square.left <= 0 or square.top <= 0
    # The face is never cut: the square holds it whenever the picture does.
    assert square.left <= left + 1
    assert square.left + square.side >= left + 0.8 * face - 1


def test_what_shows_no_face_is_refused_unless_it_is_square() -> None:
    wall = np.full((300, 400, 3), 118, np.uint8)
    with pytest.raises(NoFaceError, match="no face was found"):
        find_square(wall, Framing())
    square, notes = find_square(wall[:, :300], Framing())
    assert square == Square(0, 0, 300)
    assert "taken as it is" in notes[0]


def test_what_lies_beyond_the_image_mirrors_it() -> None:
    image = picture(20, 30)
    cut = Square(-3, -2, 40).cut(image)
    assert np.array_equal(cut[:2], cut[3:1:-1])
    assert np.array_equal(cut[:, :3], cut[:, 5:2:-1])
    assert np.array_equal(cut[2:22, 3:33], image)


@pytest.mark.parametrize("box", [(10, 10, 5, 20), (-1, 0, 20, 20), (0, 0, 500, 20)])
def test_a_face_box_must_lie_inside(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(GenerationError, match="face box"):
        find_square(picture(90, 90), Framing(), face_box=box)


def test_a_face_that_lies_on_its_side_or_head_is_told() -> None:
    folder = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets" / "clips"
    clip = folder / "grid_bbaf2n.mpg"
    if not clip.is_file():
        pytest.skip(f"no real clips in {folder}")
    face = next(iter(open_video(clip).open()))[0]
    assert turned_by(face) == 0
    assert find_square(face, Framing())[1] == []
    for turns in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(face, -turns))
        assert turned_by(turned) == 90 * turns
        try:
            _, notes = find_square(turned, Framing())
        except NoFaceError as error:
            notes = [error.found]
        assert any(f"turned by {90 * turns} degrees" in note for note in notes)
    assert turned_by(np.full((300, 300, 3), 118, np.uint8)) == 0


@pytest.mark.parametrize(("sure", "told"), [(0.55, True), (0.9, False)])
def test_a_face_that_the_detector_is_not_sure_of_is_told_with_its_place(
    monkeypatch: pytest.MonkeyPatch, sure: float, told: bool
) -> None:
    from emo_models.face_detector import detect

    monkeypatch.setattr(detect, "find_faces", lambda image: [detect.FoundFace((10.0, 20.0, 60.0, 80.0), sure)])
    _, notes = find_square(picture(90, 90), Framing())
    assert [("little certainty, at 10,20,60,80" in note) for note in notes] == [True] * told
