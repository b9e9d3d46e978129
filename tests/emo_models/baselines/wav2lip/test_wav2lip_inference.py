"""Single images and videos are spoken for: exact length, only the face changes, bounded memory, the same every time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emo_models.baselines.wav2lip import faces as face_module
from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.faces import (
    crop_face,
    feather_mask,
    generator_input,
    padded_box,
    painted_faces,
    paste_face,
    smoothed,
    whole_pixels,
)
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.baselines.wav2lip.inference import (
    FaceNotFoundError,
    OpenFrames,
    SpeakOptions,
    one_box,
    speak,
    still_frames,
    track_boxes,
)

FPS = Fraction(25)
OPTIONS = SpeakOptions(padding=(0, 0, 0, 0), batch_size=4)


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(Wav2LipConfig(width=0.05, image_size=48)).train()
    with torch.no_grad():
        for _ in range(30):  # settles the running statistics, without which an untrained network passes nothing on
            network(4 * torch.randn(8, 1, 80, 16), torch.rand(8, 6, 48, 48))
    return network.eval()


def picture(height: int = 60, width: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sound(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-0.5, 0.5, int(16000 * seconds)).astype(np.float32)


def movie(n: int) -> OpenFrames:
    def pieces() -> Iterator[NDArray[np.uint8]]:
        for i in range(0, n, 3):
            yield np.stack([picture(seed=j) for j in range(i, min(i + 3, n))])

    return pieces


@pytest.mark.parametrize("n_frames", [1, 4, 11])
def test_image_gives_exactly_the_frames_asked_for(generator: Generator, n_frames: int) -> None:
    image = picture()
    boxes = one_box((20, 10, 60, 50), options=OPTIONS, height=60, width=80)
    made = np.concatenate(
        list(speak(generator, still_frames(image), boxes, sound(0.44), fps=FPS, n_frames=n_frames, options=OPTIONS))
    )
    assert made.shape == (n_frames, 60, 80, 3)
    outside = np.ones((60, 80), bool)
    outside[10:50, 20:60] = False
    assert (made[:, outside] == image[outside]).all()
    assert (made[0, 10:50, 20:60] != image[10:50, 20:60]).any()


def test_result_is_the_same_every_time_and_image_is_untouched(generator: Generator) -> None:
    image = picture()
    before = image.copy()
    boxes = one_box((20, 10, 60, 50), options=OPTIONS, height=60, width=80)

    def once() -> NDArray[np.uint8]:
        return np.concatenate(
            list(speak(generator, still_frames(image), boxes, sound(0.5), fps=FPS, n_frames=9, options=OPTIONS))
        )

    assert np.array_equal(once(), once())
    assert np.array_equal(image, before)


def test_the_sound_is_heard(generator: Generator) -> None:
    boxes = one_box((20, 10, 60, 50), options=OPTIONS, height=60, width=80)
    loud, quiet = (
        np.concatenate(list(speak(generator, still_frames(picture()), boxes, x, fps=FPS, n_frames=4, options=OPTIONS)))
        for x in (sound(0.3), np.zeros(4800, np.float32))
    )
    assert (loud != quiet).any()


def test_a_short_video_starts_again(generator: Generator) -> None:
    boxes = [(20, 10, 60, 50)] * 5
    made = np.concatenate(list(speak(generator, movie(5), boxes, sound(0.5), fps=FPS, n_frames=12, options=OPTIONS)))
    assert len(made) == 12
    for index in range(12):
        assert np.array_equal(made[index, :10], picture(seed=index % 5)[:10])


def test_boxes_must_cover_the_video(generator: Generator) -> None:
    with pytest.raises(ValueError, match="face box for every frame"):
        list(speak(generator, movie(5), [(20, 10, 60, 50)] * 3, sound(0.5), fps=FPS, n_frames=12, options=OPTIONS))


def test_an_empty_video_is_refused(generator: Generator) -> None:
    with pytest.raises(ValueError, match="no frames"):
        list(speak(generator, lambda: iter(()), [(20, 10, 60, 50)], sound(0.5), fps=FPS, n_frames=2, options=OPTIONS))


def test_memory_does_not_grow_with_the_length(generator: Generator) -> None:
    def peak(n_frames: int) -> int:
        boxes = one_box((20, 10, 60, 50), options=OPTIONS, height=60, width=80)
        tracemalloc.start()
        for _ in speak(generator, movie(50), boxes * 50, sound(1.0), fps=FPS, n_frames=n_frames, options=OPTIONS):
            pass
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(5)
    assert peak(400) < peak(40) * 1.5


def test_tracking_pads_and_smooths_like_the_published_program() -> None:
    found = [(10.0 + 3 * i % 8, 10.0, 40.0 + 2 * i, 45.0) for i in range(8)]
    calls = iter(found)
    options = SpeakOptions(padding=(2, 10, 1, 3))
    boxes = track_boxes(movie(8), lambda frame: next(calls), options=options, limit=100)
    # The published loop, with integer rows that are overwritten in place.
    rows = np.array([[x0 - 1, y0 - 2, x1 + 3, min(60, y1 + 10)] for x0, y0, x1, y1 in found], dtype=np.int64)
    for i in range(len(rows)):
        window = rows[len(rows) - 5 :] if i + 5 > len(rows) else rows[i : i + 5]
        rows[i] = window.mean(axis=0)
    assert boxes == [tuple(int(v) for v in row) for row in rows]


def test_a_frame_without_a_face_is_named() -> None:
    answers = iter([(1, 1, 30, 30), None])
    with pytest.raises(FaceNotFoundError, match="no face in frame 1"):
        track_boxes(movie(4), lambda frame: next(answers), options=OPTIONS, limit=9)


def test_only_as_many_frames_as_needed_are_searched() -> None:
    boxes = track_boxes(movie(9), lambda frame: (1, 1, 30, 30), options=OPTIONS, limit=4)
    assert len(boxes) == 4


def test_mask_covers_exactly_the_lower_half_and_channels_are_bgr() -> None:
    faces = picture(48, 48)[None]
    made = generator_input(faces)
    assert made.shape == (1, 6, 48, 48)
    assert (made[:, :3, 24:] == 0).all()
    assert np.allclose(made[0, 0, :24] * 255, faces[0, :24, :, 2], atol=1e-4)
    assert np.allclose(made[0, 5] * 255, faces[0, :, :, 0], atol=1e-4)
    assert np.abs(painted_faces(made[:, 3:]).astype(int) - faces).max() <= 1


def test_paste_and_feather() -> None:
    frame, face = np.zeros((40, 40, 3), np.uint8), np.full((48, 48, 3), 200, np.uint8)
    box = (5, 5, 35, 38)
    hard = paste_face(frame, face, box)
    assert (hard[5:38, 5:35] == 200).all()
    assert hard.sum() == 200 * 33 * 30 * 3
    soft = paste_face(frame, face, box, feather=4)
    assert soft[5, 20, 0] == 200  # upper edge stays sharp
    assert 0 < soft[37, 20, 0] < 100
    assert soft[20, 20, 0] == 200
    assert feather_mask(6, 6, feather=0).min() == 1


def test_crop_and_boxes() -> None:
    assert crop_face(picture(), (0, 0, 80, 60), size=48).shape == (48, 48, 3)
    assert padded_box((5, 5, 75, 55), padding=(10, 10, 10, 10), height=60, width=80) == (0, 0, 80, 60)
    with pytest.raises(ValueError, match="at least 4 pixels"):
        whole_pixels((79, 2, 90, 40), height=60, width=80)
    assert np.array_equal(smoothed(np.ones((2, 4)), frames=5), np.ones((2, 4)))
    assert face_module.PUBLISHED_PADDING == (0, 10, 0, 0)


@pytest.mark.parametrize("values", [{"smoothing": 0}, {"feather": -1}, {"batch_size": 0}])
def test_meaningless_options_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SpeakOptions(**values)
