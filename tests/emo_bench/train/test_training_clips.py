"""Prepared sets as training data: a clip holds what its labels say, whoever wrote them; a cache is made once."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from safetensors.numpy import load_file, save_file

from emo_bench.data.labels import mouth_opening, read_labels, write_labels
from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest
from emo_bench.data.sets.hdtf_synth import make_clip
from emo_bench.media.lossless import write_clip
from emo_bench.media.types import Audio, video_from_array
from emo_bench.train import training_clips
from emo_bench.train.config import DataSource
from emo_bench.train.training_clips import JoinedClips, open_training_clips
from emo_core.errors import DataError
from emo_core.hashing import sha256_file
from hdtf_synth.plan import clips_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ManifestEntry]]:
    folder = tmp_path_factory.mktemp("set")
    entries = [make_clip(folder, plan, 32) for plan in clips_of("mini")[:2]]
    write_manifest(folder / "manifest.jsonl", entries)
    return folder, entries


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set as `data prepare folder` writes it: two clips, one of them silent, and a still; no blinks, no opening."""
    folder = tmp_path_factory.mktemp("prepared")
    entries = [_labelled(folder, "a", 20), _labelled(folder, "b", 30), _labelled(folder, "still", 1)]
    write_manifest(folder / "manifest.jsonl", entries)
    return folder


def _labelled(folder: Path, name: str, count: int, *, side: int = 32, labels: bool = True) -> ManifestEntry:
    random = np.random.default_rng(len(name) + count)
    frames = random.integers(0, 255, (count, side, side, 3), dtype=np.uint8)
    video = folder / (f"{name}.png" if count == 1 else f"{name}.mkv")
    if count == 1:
        Image.fromarray(frames[0]).save(video)
    else:
        sound = Audio(random.uniform(-0.5, 0.5, count * 640).astype(np.float32), 16000)
        write_clip(video, video_from_array(frames, fps=Fraction(25)), sound, fps=Fraction(25))
    points = random.uniform(side / 4, side / 2, (count, 68, 2)).astype(np.float32)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "box": np.tile(np.float32([4, 4, side - 4, side - 4]), (count, 1)),
        "landmarks68": points,
        "pose": np.zeros((count, 6), np.float32),
        "head_velocity": np.full(count, 0.5, np.float32),
        "log_mel": np.zeros((7, 80), np.float32),
    }
    meta = {}
    if labels:
        digest = write_labels(folder / f"{name}.safetensors", arrays)
        meta = {"labels": f"{name}.safetensors", "labels_sha256": digest}
    return ManifestEntry(
        id=name, video=video.name, identity=name, split="train", sha256={"video": sha256_file(video)}, meta=meta
    )


def _with_labels_as_they_are(entry: ManifestEntry, folder: Path) -> ManifestEntry:
    digest = sha256_file(folder / str(entry.meta["labels"]))
    return entry.model_copy(update={"meta": {**entry.meta, "labels_sha256": digest}})


def opened(folder: Path, cache: Path, **options: Any) -> JoinedClips:
    return open_training_clips([DataSource(manifest=str(folder / "manifest.jsonl"))], cache=cache, **options)


def test_a_clip_of_hdtf_synth_holds_its_truth(made: tuple[Path, list[ManifestEntry]], tmp_path: Path) -> None:
    folder, entries = made
    for _ in range(2):
        clips = opened(folder, tmp_path, split=entries[0].split)
        assert len(clips) == 2
        for index, entry in enumerate(entries):
            clip, truth = clips[index], load_file(folder / str(entry.truth))
            assert (clip.id, clip.style, clip.identity) == (entry.id, entry.meta["style"], entry.identity)
            assert clip.frames.shape == (len(truth["blink"]), 32, 32, 3)
            assert clip.eye_closure is not None
            np.testing.assert_allclose(clip.eye_closure, truth["blink"].mean(1), rtol=1e-6)
            assert clip.eye_closure.max() > 0.5
            np.testing.assert_array_equal(clip.mouth_opening, truth["mouth_opening"])
            np.testing.assert_array_equal(clip.labels["expression"], truth["expression"])
            assert len(clip.audio) == len(clip.frames) * 640
            # What landmarks say of the mouth is in the same unit as what the set says.
            seen = mouth_opening(truth["landmarks68"])
            assert np.corrcoef(seen, truth["mouth_opening"])[0, 1] > 0.9
            assert 0.5 < seen.std() / truth["mouth_opening"].std() < 2


def test_a_prepared_folder_is_read_by_the_same_schema(prepared: Path, tmp_path: Path) -> None:
    clips = opened(prepared, tmp_path)
    assert [(clip.id, len(clip.frames), len(clip.audio)) for clip in (clips[i] for i in range(3))] == [
        ("a", 20, 20 * 640),
        ("b", 30, 30 * 640),
        ("still", 1, 0),
    ]
    clip = clips[1]
    assert "log_mel" not in clip.labels
    assert clip.eye_closure is None
    assert clip.mouth_opening is not None
    assert clip.mouth_opening.shape == (30,)
    np.testing.assert_array_equal(clip.head_speed, np.full(30, 0.5, np.float32))
    np.testing.assert_array_equal(clips[2].frames[0], np.asarray(Image.open(prepared / "still.png")))


def test_frames_and_labels_are_brought_to_one_size(prepared: Path, tmp_path: Path) -> None:
    plain, small = opened(prepared, tmp_path), opened(prepared, tmp_path, size=16)
    for index in range(3):
        assert small[index].frames.shape[1:] == (16, 16, 3)
        np.testing.assert_allclose(small[index].mouth_boxes, plain[index].mouth_boxes / 2, rtol=1e-6)
        np.testing.assert_allclose(small[index].mouth_opening, plain[index].mouth_opening, rtol=1e-5)


def test_a_re_enacted_clip_brings_its_still_and_its_flow_scaled_like_the_frames(tmp_path: Path) -> None:
    entries = [_labelled(tmp_path, "a", 4), _labelled(tmp_path, "b", 3)]
    labels = dict(load_file(tmp_path / "a.safetensors"))
    labels["flow"] = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float16)
    save_file(labels, tmp_path / "a.safetensors")
    entries[0] = _with_labels_as_they_are(entries[0], tmp_path)
    still = np.random.default_rng(1).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(still).save(tmp_path / "still.png")
    entries[0] = entries[0].model_copy(update={"meta": {**entries[0].meta, "portrait": "still.png"}})
    write_manifest(tmp_path / "manifest.jsonl", entries)
    own = opened(tmp_path, tmp_path / "cache")
    np.testing.assert_array_equal(own[0].portrait, still)
    np.testing.assert_array_equal(own[0].labels["flow"], labels["flow"])
    assert own[1].portrait is None
    assert "flow" not in own[1].labels
    half = opened(tmp_path, tmp_path / "cache", size=16)
    assert half[0].portrait is not None
    assert half[0].portrait.shape == (16, 16, 3)
    np.testing.assert_allclose(half[0].labels["flow"], labels["flow"] / 2, rtol=1e-3, atol=1e-4)


def test_sets_are_joined_with_their_weights(
    prepared: Path, made: tuple[Path, list[ManifestEntry]], tmp_path: Path
) -> None:
    sources = [
        DataSource(manifest=str(prepared / "manifest.jsonl")),
        DataSource(manifest=str(made[0] / "manifest.jsonl"), split=made[1][0].split, weight=3.0),
    ]
    clips = open_training_clips(sources, cache=tmp_path)
    assert [clips[i].weight for i in range(len(clips))] == [1 / 3] * 3 + [1.5] * 2
    only = open_training_clips(sources[1:], cache=tmp_path)
    assert [only[i].weight for i in range(len(only))] == [1.0] * 2
    folder = tmp_path / "large"
    folder.mkdir()
    write_manifest(folder / "manifest.jsonl", [_labelled(folder, "c", 5, side=64)])
    sources.append(DataSource(manifest=str(folder / "manifest.jsonl")))
    with pytest.raises(DataError, match="different sizes"):
        open_training_clips(sources, cache=tmp_path)


def test_processes_that_start_together_share_one_whole_cache(prepared: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from emo_bench.train import training_clips as t\n"
        "from emo_bench.train.config import DataSource\n"
        "decoded, decode = [], t.decode_clip\n"
        "t.decode_clip = lambda *a, **k: decoded.append(1) or decode(*a, **k)\n"
        "print('ready', flush=True)\n"
        "input()\n"
        "clips = t.open_training_clips([DataSource(manifest=sys.argv[1])], cache=Path(sys.argv[2]))\n"
        "print(len(decoded), sum(int(clips[i].frames.sum(dtype='int64')) for i in range(len(clips))))"
    )
    command = [sys.executable, "-c", script, str(prepared / "manifest.jsonl"), str(tmp_path)]
    together = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    # Nobody begins before the slowest has its imports behind it.
    for process in together:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in together:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=240)[0].split() for process in together]
    assert [process.returncode for process in together] == [0, 0]
    assert sorted(int(line[0]) for line in said) == [0, 3]
    clips = opened(prepared, tmp_path)
    assert {int(line[1]) for line in said} == {sum(int(clips[i].frames.sum(dtype="int64")) for i in range(3))}


def test_a_cache_that_was_left_half_made_is_not_used(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        killed.setattr(training_clips.np, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            opened(prepared, tmp_path)
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert left.suffix == ".part"
    assert len(opened(prepared, tmp_path)[0].audio) > 0
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [""]


def test_what_the_manifest_says_now_counts_and_nothing_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [_labelled(tmp_path, "a", 5), _labelled(tmp_path, "b", 5)]
    write_manifest(tmp_path / "manifest.jsonl", entries)
    assert opened(tmp_path, tmp_path / "cache")[0].identity == "a"
    meta = {**entries[0].meta, "style": "anime", "audio_offset_frames": 2}
    entries[0] = entries[0].model_copy(update={"identity": "person-001", "reference_frame": 3, "meta": meta})
    write_manifest(tmp_path / "manifest.jsonl", entries)
    monkeypatch.setattr(training_clips, "decode_clip", None)
    clip = opened(tmp_path, tmp_path / "cache")[0]
    assert (clip.identity, clip.style, clip.reference_index, clip.audio_offset) == ("person-001", "anime", 3, 2)


def test_the_portrait_is_the_frame_that_suites_take(tmp_path: Path) -> None:
    entry = _labelled(tmp_path, "a", 5).model_copy(update={"reference_frame": 3})
    write_manifest(tmp_path / "manifest.jsonl", [entry])
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    for fps in (Fraction(25), Fraction(30), Fraction(60)):
        told = training_clips._described(manifest, entry, fps=fps)
        assert told["reference_index"] == entry.reference_frame_at(fps)


def test_labels_whose_digest_nobody_wrote_down_are_read_again_when_they_change(tmp_path: Path) -> None:
    entry = _labelled(tmp_path, "a", 5)
    write_manifest(tmp_path / "manifest.jsonl", [entry.model_copy(update={"meta": {"labels": "a.safetensors"}})])
    assert opened(tmp_path, tmp_path / "cache")[0].head_speed.max() == 0.5
    labels = {**load_file(tmp_path / "a.safetensors"), "head_velocity": np.full(5, 2.0, np.float32)}
    write_labels(tmp_path / "a.safetensors", labels)
    assert opened(tmp_path, tmp_path / "cache")[0].head_speed.min() == 2.0


def test_a_clip_names_what_was_read_beside_its_video(tmp_path: Path) -> None:
    """Else a training with other labels, audio or portraits would be taken for the one that was finished."""
    entry = _labelled(tmp_path, "a", 5)
    soundfile.write(tmp_path / "a.wav", np.full(3200, 0.1), 16000)
    sound = {"audio": "a.wav", "sha256": {**entry.sha256, "audio": sha256_file(tmp_path / "a.wav")}}
    labels = {**load_file(tmp_path / "a.safetensors"), "head_velocity": np.full(5, 2.0, np.float32)}
    other = {**entry.meta, "labels": "b.safetensors", "labels_sha256": write_labels(tmp_path / "b.safetensors", labels)}
    seen = []
    for changes in ({}, {}, {"meta": other}, sound):
        write_manifest(tmp_path / "manifest.jsonl", [entry.model_copy(update=changes)])
        seen.append(opened(tmp_path, tmp_path / "cache")[0].beside)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_a_replaced_portrait_whose_digest_nobody_wrote_down_is_read_again(tmp_path: Path) -> None:
    entry = _labelled(tmp_path, "a", 4)
    write_manifest(
        tmp_path / "manifest.jsonl", [entry.model_copy(update={"meta": {**entry.meta, "portrait": "still.png"}})]
    )
    seen = []
    for shade in (50, 200):
        Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(tmp_path / "still.png")
        clip = opened(tmp_path, tmp_path / "cache")[0]
        assert clip.portrait is not None
        seen.append((int(clip.portrait.max()), clip.beside))
    assert [shade for shade, _ in seen] == [50, 200]
    assert seen[0][1] != seen[1][1], "a finished training would be taken for that of the other portrait"


def test_a_portrait_of_another_size_is_named(tmp_path: Path) -> None:
    entry = _labelled(tmp_path, "a", 4)
    Image.fromarray(np.zeros((48, 40, 3), np.uint8)).save(tmp_path / "still.png")
    meta = {**entry.meta, "portrait": "still.png"}
    write_manifest(tmp_path / "manifest.jsonl", [entry.model_copy(update={"meta": meta})])
    with pytest.raises(DataError, match=r"the portrait of clip a has another size(.|\n)*32x32(.|\n)*40x48"):
        opened(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("name", ["a.mkv", "a.wav", "a.safetensors", "still.png"])
def test_files_that_are_not_those_of_the_manifest_are_refused_decoded_or_not(tmp_path: Path, name: str) -> None:
    entry = _labelled(tmp_path, "a", 5)
    soundfile.write(tmp_path / "a.wav", np.full(3200, 0.1), 16000)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "still.png")
    still = {"portrait": "still.png", "portrait_sha256": sha256_file(tmp_path / "still.png")}
    entry = entry.model_copy(
        update={
            "audio": "a.wav",
            "sha256": {**entry.sha256, "audio": sha256_file(tmp_path / "a.wav")},
            "meta": {**entry.meta, **still},
        }
    )
    write_manifest(tmp_path / "manifest.jsonl", [entry])
    opened(tmp_path, tmp_path / "cache")
    said: list[str] = []
    opened(tmp_path, tmp_path / "cache", say=said.append)
    assert not said, "hashed again what nobody touched"
    (tmp_path / name).touch()
    opened(tmp_path, tmp_path / "cache", say=said.append)
    assert said == [f"comparing 1 files of {tmp_path} with the manifest"]
    if name == "a.safetensors":
        labels = {**load_file(tmp_path / name), "head_velocity": np.full(5, 2.0, np.float32)}
        write_labels(tmp_path / name, labels)
    else:
        other = tmp_path / "other" / name
        other.parent.mkdir()
        _labelled(other.parent, "a", 5, side=16)
        soundfile.write(other.parent / "a.wav", np.full(3200, 0.2), 16000)
        Image.fromarray(np.ones((32, 32, 3), np.uint8)).save(other.parent / "still.png")
        other.replace(tmp_path / name)
    for cache in ("cache", "cache", "another"):
        with pytest.raises(DataError, match=f"not those of its manifest(.|\n)*{name}(.|\n)*data verify"):
            opened(tmp_path, tmp_path / cache)


def test_clips_without_labels_are_named_before_anything_is_decoded(tmp_path: Path) -> None:
    entries = [_labelled(tmp_path, name, 3, labels=False) for name in ("a", "b")]
    write_manifest(tmp_path / "manifest.jsonl", entries)
    with pytest.raises(DataError, match=r"2 clips cannot be trained on:\n.*clip a has no labels\n.*clip b") as found:
        opened(tmp_path, tmp_path / "cache")
    assert "data prepare folder" in str(found.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda labels: labels.pop("landmarks68"), "lack landmarks68"),
        (lambda labels: labels.update(pose=labels["pose"][:-1]), "label pose of clip a"),
        (lambda labels: labels["box"].__setitem__((0, 0), np.nan), "finite"),
        (lambda labels: labels.update(mouth_opening=np.array([0, 0, np.nan, 0, 0], np.float32)), "finite"),
        (lambda labels: labels.update(head_velocity=np.array([0, 0, np.inf, 0, 0], np.float32)), "finite"),
        (lambda labels: labels.update({k: v[:-1] for k, v in labels.items() if k != "log_mel"}), "another length"),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path: Path, spoil: Any, named: str) -> None:
    entry = _labelled(tmp_path, "a", 5)
    path = tmp_path / "a.safetensors"
    labels = dict(load_file(path))
    spoil(labels)
    save_file(labels, path)
    write_manifest(tmp_path / "manifest.jsonl", [_with_labels_as_they_are(entry, tmp_path)])
    with pytest.raises(DataError, match=named):
        opened(tmp_path, tmp_path / "cache")


def test_what_cannot_be_trained_on_is_named(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few clips"):
        opened(prepared, tmp_path, least=2, max_clips=1)
    with pytest.raises(DataError, match="prepare the set at 30 frames a second"):
        opened(prepared, tmp_path, fps=Fraction(30))
    write_manifest(tmp_path / "manifest.jsonl", [_labelled(tmp_path, "a", 5), _labelled(tmp_path, "b", 5, side=64)])
    with pytest.raises(DataError, match="clip b has another size"):
        opened(tmp_path, tmp_path / "cache")
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    (tmp_path / "a.safetensors").write_bytes(b"no labels")
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(manifest, manifest.entries[0])
