"""The parts of a preparation, each on values small enough to check by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.data.labels import write_labels
from emo_bench.data.manifest import ManifestEntry
from emo_bench.data.prepare.face_crop import FaceFilter, face_square, judge_faces
from emo_bench.data.prepare.labels import clip_labels, head_velocity
from emo_bench.data.prepare.resize import cut_and_resize
from emo_bench.data.prepare.scene_cuts import CutDetector, colour_distance, colour_shares, scene_clips
from emo_bench.data.prepare.speech import judge_speech, log_mel
from emo_bench.data.prepare.state import FinishedWork
from emo_bench.data.prepare.write_clip import pieces_between
from emo_bench.media.types import video_from_array
from emo_core.errors import DecodeError


def test_cuts_are_found_at_their_frame(tiny: Any) -> None:
    scenes = [tiny.frames(n_frames=20, person=person) for person in (0, 1, 2)]
    frames = np.concatenate(scenes)
    whole = CutDetector().add(frames)
    assert whole == [20, 40]
    detector = CutDetector()
    pieces = [[start + cut for cut in detector.add(frames[start : start + 7])] for start in range(0, 60, 7)]
    assert [cut for piece in pieces for cut in piece] == whole
    assert CutDetector(threshold=0.99).add(frames) == []


def test_a_moving_head_and_noise_are_no_cuts(tiny: Any) -> None:
    frames = tiny.frames(n_frames=50).astype(np.int16)
    noisy = np.clip(frames + np.random.default_rng(0).integers(-6, 7, frames.shape), 0, 255).astype(np.uint8)
    assert CutDetector().add(noisy) == []


def test_restless_pictures_are_not_cut_at_every_frame() -> None:
    rng = np.random.default_rng(1)
    flicker = np.stack([np.full((32, 32, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(30)])
    assert len(CutDetector().add(flicker)) <= 2


def test_colours_are_shares() -> None:
    red, blue = (np.full((8, 8, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    assert colour_shares(red).sum() == 1.0
    assert colour_distance(colour_shares(red), colour_shares(blue)) == 1.0
    half = np.concatenate([red, blue])
    assert colour_distance(colour_shares(red), colour_shares(half)) == 0.5


def test_clips_of_scenes_are_long_enough_and_cover_the_scenes() -> None:
    for length in range(60, 1500, 37):
        clips, too_short = scene_clips([], n_frames=length, shortest=75, longest=300)
        assert too_short == (length < 75)
        assert all(75 <= end - start <= 300 for start, end in clips)
        assert sum(end - start for start, end in clips) == (length if length >= 75 else 0)


@pytest.mark.parametrize(
    ("counts", "width", "code"),
    [
        ([1] * 10, 100, None),
        ([1] * 8 + [0] * 2, 100, "no_face"),
        ([0] * 10, 100, "no_face"),
        ([1] * 8 + [2] * 2, 100, "several_faces"),
        ([1] * 9 + [2], 100, None),
        ([1] * 10, 60, "tiny_face"),
    ],
)
def test_faces_that_are_refused(counts: list[int], width: int, code: str | None) -> None:
    boxes = np.array([[50.0, 50, 50 + width, 170] if count else [np.nan] * 4 for count in counts])
    refused = judge_faces(np.array(counts), boxes, FaceFilter())
    assert (refused[0] if refused else None) == code


def test_the_square_holds_the_face_and_stays_inside() -> None:
    boxes = np.array([[100.0, 50, 160, 130], [np.nan] * 4, [140, 60, 200, 140]])
    left, top, width, height = face_square(boxes, width=640, height=360)
    assert width == height == 200  # twice the 100 px that the boxes cover
    assert (left, top) == (50, 0)  # moved down from -5
    assert face_square(boxes, width=640, height=150) == (75, 0, 150, 150)
    assert face_square(boxes, width=240, height=360) == (40, 0, 200, 200)  # moved left from 50


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    small = cut_and_resize(stripes, (0, 0, 64, 64), 16)
    assert abs(int(small.min()) - 127) < 20
    assert abs(int(small.max()) - 127) < 20
    np.testing.assert_array_equal(cut_and_resize(stripes, (8, 4, 16, 16), 16), stripes[:, 4:20, 8:24])
    with pytest.raises(ValueError, match="leaves the frame"):
        cut_and_resize(stripes, (60, 0, 16, 16), 16)


def test_what_counts_as_speech() -> None:
    loudness, pitch = np.full(50, -20.0), np.full(50, 120.0)
    assert "steady" in judge_speech(loudness, pitch)
    loudness[::2] = -35.0
    assert judge_speech(loudness, pitch) == ""
    assert "found it on 0%" in judge_speech(loudness, np.full(50, np.nan))


def test_mel_bands_follow_the_tone() -> None:
    time = np.arange(16000) / 16000
    low, high = (log_mel(np.sin(2 * np.pi * hertz * time).astype(np.float32)) for hertz in (300.0, 3000.0))
    assert low.shape == (100, 80)
    assert low.dtype == np.float32
    assert low[50].argmax() < high[50].argmax()
    # 3000 Hz is 1876 mel of 2840, in steps of 2840 / 81.
    assert abs(int(high[50].argmax()) - (1876 / (2840 / 81) - 1)) <= 1
    assert log_mel(np.zeros(161, np.float32)).shape == (2, 80)
    np.testing.assert_allclose(log_mel(np.zeros(1600, np.float32)), np.log(1e-10), rtol=1e-6)


def _turn(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])


def test_velocity_of_a_known_turn() -> None:
    rotation = np.stack([_turn(degrees) for degrees in (0, 2, 5, 5, 4)])
    velocity = head_velocity(rotation, np.array([True] * 5))
    np.testing.assert_allclose(velocity, [2, 2, 3, 0, 1], atol=1e-9)
    mixed = head_velocity(rotation, np.array([True, True, False, True, True]))
    assert np.isnan(mixed).tolist() == [False, False, True, True, False]


def test_labels_are_complete_and_equal_bytes(tmp_path: Path) -> None:
    n = 6
    found = np.array([True, True, False, True, True, True])
    rotation = np.stack([_turn(degrees) for degrees in range(n)])
    face: dict[str, np.ndarray] = {
        "found": found,
        "found_by": np.where(found, 1, 0),
        "n_faces": found.astype(np.int16),
        "box": np.arange(n)[:, None] + np.array([[0.0, 1, 20, 30]]),
        "points68": np.ones((n, 68, 2)),
        "pose_degrees": np.zeros((n, 3)),
        "translation": np.ones((n, 3)),
        "rotation": rotation,
    }
    face["box"][2], face["rotation"][2] = np.nan, np.nan
    sound = {"loudness_db": np.zeros(n, np.float32), "pitch_hz": np.full(n, np.nan, np.float32)}
    labels = clip_labels(face, sound, np.zeros((24, 80), np.float32), whole_frame=1)
    np.testing.assert_allclose(labels["box"][2], [2, 3, 22, 32])  # between its neighbours
    np.testing.assert_allclose(labels["head_velocity"], 1.0, rtol=1e-6)
    assert labels["found"].tolist() == [1, 1, 0, 1, 1, 1]
    assert labels["pose"].shape == (n, 6)
    first, second = (write_labels(tmp_path / name, labels) for name in ("a.safetensors", "b.safetensors"))
    assert first == second
    from safetensors.numpy import load_file

    assert set(load_file(tmp_path / "a.safetensors")) == set(labels)


def test_pieces_of_spans_are_the_frames_of_the_spans() -> None:
    frames = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    video = video_from_array(frames, fps=25)  # type: ignore[arg-type]
    spans = [(3, 40), (40, 41), (60, 100)]
    got = [np.concatenate(list(pieces))[:, 0, 0, 0].tolist() for pieces in pieces_between(video, spans)]
    assert got == [list(range(start, end)) for start, end in spans]
    with pytest.raises(DecodeError, match="ended early"):
        [list(pieces) for pieces in pieces_between(video, [(90, 110)])]


def test_finished_work_is_trusted_only_unchanged(tmp_path: Path) -> None:
    from emo_core.hashing import sha256_file

    (tmp_path / "a.mkv").write_bytes(b"clip")
    (tmp_path / "a.safetensors").write_bytes(b"labels")
    meta = {"labels": "a.safetensors", "labels_sha256": sha256_file(tmp_path / "a.safetensors")}
    digest = {"video": sha256_file(tmp_path / "a.mkv")}
    entry = ManifestEntry(id="a", video="a.mkv", identity="x", sha256=digest, meta=meta)
    work = FinishedWork(tmp_path)
    work.remember_clip(entry, key="k")
    assert work.recall_clip("a", key="k") == entry
    assert work.recall_clip("a", key="other") is None
    assert work.recall_clip("b", key="k") is None
    (tmp_path / "a.safetensors").write_bytes(b"other")
    assert work.recall_clip("a", key="k") is None
    (tmp_path / "a.safetensors").write_bytes(b"labels")
    (tmp_path / "a.png").write_bytes(b"still")
    still = {"portrait": "a.png", "portrait_sha256": sha256_file(tmp_path / "a.png")}
    work.remember_clip(entry.model_copy(update={"meta": {**meta, **still}}), key="k")
    assert work.recall_clip("a", key="k") is not None
    (tmp_path / "a.png").unlink()
    assert work.recall_clip("a", key="k") is None
    work.remember_clip(entry, key="k")
    (tmp_path / "a.mkv").unlink()
    assert work.recall_clip("a", key="k") is None


_ENCODE = """
import sys, tempfile
from fractions import Fraction
import subprocess
import sys
from pathlib import Path
import numpy as np
from emo_bench.media.lossless import NEAR_LOSSLESS, write_clip
rng = np.random.default_rng(0)
base = rng.integers(0, 255, (64, 64, 3))
moved = [np.roll(base, shift, 1) // 2 + rng.integers(0, 30, (64, 64, 3)) for shift in range(50)]
with tempfile.TemporaryDirectory() as folder:
    frames = np.stack(moved).astype(np.uint8)
    clip = write_clip(Path(folder) / "a.mkv", [frames], None, fps=Fraction(25), quality=NEAR_LOSSLESS)
sys.stdout.write(clip.sha256)
"""


def test_near_lossless_bytes_do_not_depend_on_what_memory_held(tiny: Any) -> None:
    """x264's macroblock tree reads memory that it never wrote; the C library is told to fill fresh memory twice."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _ENCODE],
            env=tiny.environment({"MALLOC_PERTURB_": filling}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for filling in ("1", "200")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64
