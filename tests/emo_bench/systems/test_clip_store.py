"""Stored clips are bound to their keys: no sidecar is believed about another clip, another size or another place."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.media.recipe import FileFrames, leaf_of
from emo_bench.media.types import Audio, VideoSpec, video_from_array
from emo_bench.systems.clip_store import ClipStore, DamagedClipError, StoredClip
from emo_bench.systems.conform import hold_last
from emo_core.hashing import digest_of

SPEC = VideoSpec(width=16, height=16, fps=Fraction(25), n_frames=5)


def put(store: ClipStore, key: str, value: int) -> StoredClip:
    frames = np.full((5, 16, 16, 3), value, np.uint8)
    audio = Audio(np.zeros(3200, np.float32), 16000)
    return store.put(key, video=video_from_array(frames, fps=Fraction(25)), audio=audio, notes=("a note",))


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "store")


A, B = digest_of("a"), digest_of("b")


def test_what_was_put_comes_back(store: ClipStore) -> None:
    put(store, A, 7)
    found = store.get(A)
    assert found is not None
    assert [note.text for note in found.sidecar.notes] == ["a note"]
    assert store.open(found)[0].spec == SPEC
    assert store.damaged == []


@pytest.mark.parametrize("rate", ["60000/1001", "120000/1001", "37.941", "45831/473", "30000/1001", "12.5"])
def test_every_frame_rate_comes_back_as_it_was(store: ClipStore, rate: str) -> None:
    audio = Audio(np.zeros(3200, np.float32), 16000)
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    video, _ = store.open(store.put(A, video=video_from_array(frames, fps=Fraction(rate)), audio=audio))
    assert video.spec.fps == Fraction(rate)
    assert np.array_equal(video.read_all(), frames)
    longer, _ = store.open(store.put(B, video=hold_last(video, n_frames=9), audio=audio))
    assert longer.spec == VideoSpec(width=16, height=16, fps=Fraction(rate), n_frames=9)
    assert len(longer.read_all()) == 9


def test_a_record_under_another_key_is_not_taken(store: ClipStore) -> None:
    a, b = put(store, A, 7), put(store, B, 9)
    a.path.write_bytes(b.path.read_bytes())
    assert store.get(A) is None
    assert store.damaged == [f"{A}.json"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_frames", 50), ("width", 64), ("fps", "1/0"), ("fps", "1e999999999"), ("notes", []), ("key", "../../x"),
     ("video_sha256", "0" * 64), ("notes", ["another"])],
)  # fmt: skip
def test_a_sidecar_that_was_changed_is_not_believed(store: ClipStore, field: str, value: Any) -> None:
    path = put(store, A, 7).path
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}), encoding="utf-8")
    assert store.get(A) is None
    assert store.damaged == [f"{A}.json"]


def test_a_damaged_clip_deletes_nothing_outside_the_store(store: ClipStore, tmp_path: Path) -> None:
    clip = put(store, A, 7)
    outside = tmp_path / "x.json"
    outside.write_text("{}", encoding="utf-8")
    frames = store.place(leaf_of(clip.sidecar.frames))
    frames.write_bytes(b"damaged")
    forged = StoredClip(clip.path, clip.sidecar.model_copy(update={"key": "../../../x"}))
    with pytest.raises(DamagedClipError):
        store.open(forged)
    assert outside.exists()
    assert not clip.path.exists()
    with pytest.raises(ValueError, match="letters and digits"):
        store.remove("../../../x")


def test_a_sidecar_about_other_frames_is_told_when_the_clip_is_opened(store: ClipStore) -> None:
    clip = put(store, A, 7)
    longer = clip.sidecar.model_copy(update={"n_frames": 6})
    with pytest.raises(DamagedClipError, match="removed"):
        store.open(StoredClip(clip.path, longer))


def test_a_forged_path_through_the_store_deletes_no_file_of_the_user(store: ClipStore, tmp_path: Path) -> None:
    clip = put(store, A, 7)
    precious = tmp_path / "precious.mp4"
    precious.write_bytes(b"mine")
    way = str(store.objects.folder / ".." / ".." / precious.name)
    frames = FileFrames(
        path=way, sha256="0" * 64, runs=((0, 5),), width=16, height=16, turns=0, mirror=False, fps="25",
        source_pixels=256,
    )  # fmt: skip
    forged = store.write(clip.sidecar.model_copy(update={"key": B, "frames": frames}))
    with pytest.raises(DamagedClipError, match="changed, moved or removed"):
        store.open(forged)
    assert precious.read_bytes() == b"mine"
