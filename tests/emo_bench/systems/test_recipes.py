"""No byte twice: what can be read again is described, and what is described is bound to the file that it names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.media.decode import load_video
from emo_bench.media.lossless import write_clip
from emo_bench.media.preview import encode_roundtrip, write_preview
from emo_bench.media.recipe import EncodedFrames, FileFrames, LosslessFrames, OtherLength, OtherSize, leaf_of
from emo_bench.media.types import Audio, Video, video_from_array
from emo_bench.systems import recipes
from emo_bench.systems.clip_store import ClipStore, DamagedClipError, StoredClip
from emo_bench.systems.conform import fit_length, hold_last, resize_video
from emo_bench.systems.earlier_store import adopt
from emo_core.hashing import digest_of, sha256_file

FPS = Fraction(25)
A, B = digest_of("a"), digest_of("b")


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "store")


@pytest.fixture
def audio(tiny) -> Audio:
    return Audio(tiny.speech(seconds=0.24), 16000)


@pytest.fixture
def film(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's file of nine frames, which counts as large enough to be read where it lies."""
    monkeypatch.setattr(recipes, "SMALL_BYTES", 0)
    return write_preview(tmp_path / "film.mp4", video_from_array(tiny.frames(n_frames=9), fps=FPS), None)


def raw_digest(video: Video) -> str:
    spec = video.spec
    head = f"{spec.width}x{spec.height}@{spec.fps}".encode()
    return hashlib.sha256(head + video.read_all().tobytes()).hexdigest()


def objects(store: ClipStore) -> list[str]:
    return sorted(path.suffix for path in store.objects.folder.rglob("*") if path.is_file())


CHANGES: dict[str, Callable[[Video], Video]] = {
    "as it is": lambda video: video,
    "cut": lambda video: fit_length(video, n_frames=5),
    "forth and back": lambda video: fit_length(video, n_frames=23),
    "held": lambda video: hold_last(video, n_frames=12),
    "resized": lambda video: resize_video(video, width=32, height=32, crop=True),
    "several": lambda video: hold_last(fit_length(resize_video(video, width=48, height=36), n_frames=8), n_frames=11),
    "other rate": lambda video: video,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_lasting_file_is_read_where_it_lies(store: ClipStore, film: Path, audio: Audio, change: str) -> None:
    made = CHANGES[change](load_video(film, fps=Fraction(15) if change == "other rate" else FPS).video)
    store.put(A, video=made, audio=audio, lasting=True)
    found = store.get(A)
    assert found is not None
    assert objects(store) == [".npy"]
    video, heard = store.open(found)
    np.testing.assert_array_equal(video.read_all(), made.read_all())
    np.testing.assert_array_equal(heard.samples, audio.samples)
    assert found.sidecar.video_sha256 == raw_digest(made)
    assert video.sha256 == raw_digest(made)


def test_a_file_that_may_go_away_is_copied_as_it_is(store: ClipStore, film: Path, audio: Audio) -> None:
    made = load_video(film, fps=FPS).video
    frames = made.read_all()
    stored = store.put(A, video=made, audio=audio)
    copied = store.place(leaf_of(stored.sidecar.frames))
    assert copied.read_bytes() == film.read_bytes()
    film.unlink()
    found = store.get(A)
    assert found is not None
    np.testing.assert_array_equal(store.open(found)[0].read_all(), frames)


def test_a_file_whose_path_is_no_unicode_is_copied_too(
    store: ClipStore, film: Path, audio: Audio, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"vid\xe9os")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has Unicode names only")
    made = load_video(film.rename(folder / "film.mp4"), fps=FPS).video
    found = store.put(A, video=made, audio=audio, lasting=True)
    assert objects(store) == ["", ".npy"]
    np.testing.assert_array_equal(store.open(found)[0].read_all(), made.read_all())


def test_a_compressed_anchor_keeps_its_compressed_file(store: ClipStore, tiny, audio: Audio) -> None:
    made = encode_roundtrip(video_from_array(tiny.frames(n_frames=9), fps=FPS))
    frames = made.read_all()
    stored = store.put(A, video=made, audio=audio)
    del made
    assert isinstance(stored.sidecar.frames, EncodedFrames)
    assert objects(store) == [".mp4", ".npy"]
    np.testing.assert_array_equal(store.open(stored)[0].read_all(), frames)


def test_frames_that_are_stored_are_named_without_reading_them(store: ClipStore, tiny, audio: Audio) -> None:
    first = store.put(A, video=video_from_array(tiny.frames(n_frames=6), fps=FPS), audio=audio)
    video, _ = store.open(first)

    def unread() -> object:
        raise AssertionError("read")

    known = Video(video.spec, unread, video.recipe, video.sha256)  # type: ignore[arg-type]
    second = store.put(B, video=known, audio=Audio(audio.samples[::-1].copy(), 16000))
    assert second.sidecar.frames == first.sidecar.frames == LosslessFrames(name=first.sidecar.frames.name)
    assert objects(store) == [".mkv", ".npy", ".npy"]


def test_equal_frames_made_twice_lie_there_once(store: ClipStore, tiny, audio: Audio) -> None:
    for key in (A, B):
        store.put(key, video=video_from_array(tiny.frames(n_frames=6), fps=FPS), audio=audio)
    assert objects(store) == [".mkv", ".npy"]


def test_two_writers_of_one_clip_do_not_meet(store: ClipStore, tiny, audio: Audio) -> None:
    frames = tiny.frames(n_frames=6)

    def meanwhile() -> Iterator[np.ndarray]:
        yield frames[:3]
        ClipStore(store.folder.parent).put(A, video=video_from_array(frames, fps=FPS), audio=audio)
        yield frames[3:]

    spec = video_from_array(frames, fps=FPS).spec
    clip = store.put(A, video=Video(spec, meanwhile), audio=audio)
    np.testing.assert_array_equal(store.open(clip)[0].read_all(), frames)
    assert objects(store) == [".mkv", ".npy"]


def test_small_clips_and_much_larger_files_are_copied(store: ClipStore, film: Path, audio: Audio) -> None:
    video = load_video(film, fps=FPS).video
    small = resize_video(video, width=32, height=24)
    assert isinstance(store.put(A, video=small, audio=audio, lasting=True).sidecar.frames, OtherSize)
    tiny_part = fit_length(resize_video(video, width=16, height=12), n_frames=9)
    assert isinstance(store.put(B, video=tiny_part, audio=audio, lasting=True).sidecar.frames, LosslessFrames)


@pytest.mark.parametrize("damage", ["changed", "gone", "other frames, same length"])
def test_a_changed_file_is_told_and_never_read(store: ClipStore, film: Path, audio: Audio, tiny, damage: str) -> None:
    clip = store.put(A, video=load_video(film, fps=FPS).video, audio=audio, lasting=True)
    if damage == "gone":
        film.unlink()
        assert store.get(A) is None
    elif damage == "changed":
        film.write_bytes(film.read_bytes() + b"\0")
    else:
        write_preview(film, video_from_array(tiny.frames(n_frames=9)[::-1], fps=FPS), None)
    with pytest.raises(DamagedClipError, match="changed, moved or removed") as caught:
        store.open(clip)
    assert str(film) in caught.value.message
    assert not clip.path.exists()
    assert store.damaged == ["film.mp4"]
    assert film.exists() == (damage != "gone")


def test_other_frames_are_noticed_at_their_end(store: ClipStore, film: Path, audio: Audio) -> None:
    clip = store.put(A, video=load_video(film, fps=FPS).video, audio=audio, lasting=True)
    assert isinstance(clip.sidecar.frames, FileFrames)
    shifted = clip.sidecar.frames.model_copy(update={"runs": ((0, 1), (0, 8))})
    forged = StoredClip(clip.path, clip.sidecar.model_copy(update={"frames": shifted}))
    video, _ = store.open(forged)
    with pytest.raises(DamagedClipError) as caught:
        video.read_all()
    assert caught.value.expected == "the frames that were read before"


def write_earlier(store: ClipStore, key: str, video: Video, audio: Audio) -> Path:
    """A clip in the first layout of the store."""
    path = store.path(key).with_suffix(".mkv")
    write_clip(path, video, audio, fps=video.spec.fps)
    values: dict[str, object] = {
        "key": key, "file_sha256": sha256_file(path), "video_sha256": raw_digest(video),
        "audio_sha256": hashlib.sha256(b"16000" + audio.samples.tobytes()).hexdigest(),
        "width": video.spec.width, "height": video.spec.height, "fps": "25", "n_frames": video.spec.n_frames,
        "source_width": 0, "source_height": 0, "notes": [{"code": "length", "text": "t", "amounts": {"a": 1.0}}],
    }  # fmt: skip
    store.path(key).write_text(json.dumps({**values, "seconds": 2.5, "digest": digest_of(values)}), encoding="utf-8")
    return path


def test_a_clip_of_the_earlier_layout_is_taken_over(store: ClipStore, tiny, audio: Audio) -> None:
    source = video_from_array(tiny.frames(n_frames=6), fps=FPS)
    old = write_earlier(store, A, source, audio)
    assert store.get(A) is None
    assert store.damaged == []
    clip = adopt(store, A)
    assert clip is not None
    assert not old.exists()
    found = store.get(A)
    assert found is not None
    video, heard = store.open(found)
    np.testing.assert_array_equal(video.read_all(), source.read_all())
    np.testing.assert_array_equal(heard.samples, audio.samples)
    assert (found.sidecar.seconds, found.sidecar.notes[0].code) == (2.5, "length")
    made_anew = store.put(B, video=source, audio=audio).sidecar
    assert found.sidecar.video_sha256 == made_anew.video_sha256
    assert found.sidecar.audio_sha256 == made_anew.audio_sha256


def test_a_damaged_clip_of_the_earlier_layout_is_not(store: ClipStore, tiny, audio: Audio) -> None:
    old = write_earlier(store, A, video_from_array(tiny.frames(n_frames=6), fps=FPS), audio)
    old.write_bytes(old.read_bytes()[:-1] + b"\1")
    assert adopt(store, A) is None
    assert adopt(store, B) is None


def test_lengths_are_described_by_what_was_done(film: Path) -> None:
    video = fit_length(load_video(film, fps=FPS).video, n_frames=5)
    assert video.recipe is not None
    recipe = video.recipe()
    assert isinstance(recipe, OtherLength)
    assert (recipe.how, recipe.n_frames, leaf_of(recipe).sha256) == ("fit", 5, sha256_file(film))  # type: ignore[union-attr]
