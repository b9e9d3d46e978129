"""Clips of HDTF-Synth as training data: decoded once into memory maps, with boxes and head speed from the truth."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.manifest import ManifestEntry, read_manifest
from emo_core.errors import DataError

if TYPE_CHECKING:
    from emo_models.emo.training.clips import ClipRecord

_TRUTH = ("mouth_boxes", "eye_boxes", "face_boxes", "head_speed", "mouth_opening", "eye_closure")


@dataclass(frozen=True, eq=False)
class SynthTrainingClips:
    """The cached clips of one split; made by `open_training_clips`.

    Attributes:
        folder: The cache.
        rows: Per clip: id, frames, samples, reference index, identity, style.
        frames: ``uint8 [all frames, H, W, 3]``, a memory map.
        audio: ``float32 [all samples]``, 16 kHz.
        truth: Per frame boxes, head speed, mouth opening and eye closure.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    truth: dict[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ClipRecord:
        from emo_models.emo.training.clips import ClipRecord

        row = self.rows[index]
        where = slice(row["first_frame"], row["first_frame"] + row["n_frames"])
        sound = slice(row["first_sample"], row["first_sample"] + row["n_samples"])
        return ClipRecord(
            id=row["id"],
            frames=self.frames[where],
            audio=self.audio[sound],
            reference_index=row["reference_index"],
            style=row["style"],
            **{name: self.truth[name][where] for name in _TRUTH},
        )


def open_training_clips(manifest: Path, *, split: str, cache: Path) -> SynthTrainingClips:
    """Opens the cached clips of a split; decodes them on the first call.

    Args:
        manifest: ``manifest.jsonl`` of HDTF-Synth.
        split: Which entries, such as ``train``.
        cache: Folder for the memory maps; about 50 kB per frame at 128 px.

    Raises:
        DataError: The split is empty, a clip has no truth, or sizes differ.
    """
    entries = list(read_manifest(manifest).select(split=split).entries)
    digest = _digest(entries)
    folder = cache / f"{split}-{digest[:16]}"
    _make_once(manifest.parent, entries, folder)
    rows = tuple(json.loads((folder / "rows.json").read_text("utf-8")))
    return SynthTrainingClips(
        folder=folder,
        rows=rows,
        frames=np.load(folder / "frames.npy", mmap_mode="r"),
        audio=np.load(folder / "audio.npy"),
        truth={name: np.load(folder / f"{name}.npy") for name in _TRUTH},
    )


def _digest(entries: list[ManifestEntry]) -> str:
    from emo_core.hashing import sha256_bytes

    # With the names of the arrays: a cache from before one was added is another cache.
    return sha256_bytes(json.dumps([_TRUTH, *([e.id, sorted(e.sha256.items())] for e in entries)]).encode())


def _make_once(root: Path, entries: list[ManifestEntry], folder: Path) -> None:
    """Makes the cache aside and renames it: it is whole or absent, and of several processes one makes it."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (folder / "rows.json").is_file():
            return
        aside = folder.with_suffix(".part")
        for left_by_a_killed_process in (aside, folder):
            shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
        aside.mkdir()
        _decode_all(root, entries, aside)
        aside.rename(folder)


def _decode_all(root: Path, entries: list[ManifestEntry], folder: Path) -> None:
    rows: list[dict[str, Any]] = []
    sounds: list[NDArray[np.float32]] = []
    truths: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _TRUTH}
    frames: np.memmap[Any, Any] | None = None
    counts = [_truth_arrays(root, entry) for entry in entries]
    total = sum(len(truth["head_speed"]) for truth in counts)
    first_frame, first_sample = 0, 0
    for entry, truth in zip(entries, counts, strict=True):
        pictures, sound = _decode(root / entry.video)
        n_frames = len(pictures)
        if n_frames != len(truth["head_speed"]):
            raise DataError(
                f"clip {entry.id} has another length than its truth",
                expected=f"{len(truth['head_speed'])} frames",
                found=f"{n_frames} frames",
            )
        if frames is None:
            shape = (total, *pictures.shape[1:])
            frames = np.lib.format.open_memmap(folder / "frames.npy", mode="w+", dtype=np.uint8, shape=shape)
        if pictures.shape[1:] != frames.shape[1:]:
            raise DataError(
                f"clip {entry.id} has another size",
                expected=str(frames.shape[1:3]),
                found=str(pictures.shape[1:3]),
            )
        frames[first_frame : first_frame + n_frames] = pictures
        for name in _TRUTH:
            truths[name].append(truth[name])
        sounds.append(sound)
        rows.append(
            {
                "id": entry.id,
                "identity": entry.identity,
                "style": str(entry.meta.get("style", "")),
                "first_frame": first_frame,
                "n_frames": n_frames,
                "first_sample": first_sample,
                "n_samples": len(sound),
                "reference_index": int(entry.reference_frame or 0),
            }
        )
        first_frame, first_sample = first_frame + n_frames, first_sample + len(sound)
    if frames is not None:
        frames.flush()
    np.save(folder / "audio.npy", np.concatenate(sounds))
    for name in _TRUTH:
        np.save(folder / f"{name}.npy", np.concatenate(truths[name]))
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")


def _truth_arrays(root: Path, entry: ManifestEntry) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file

    if entry.truth is None:
        raise DataError(f"clip {entry.id} has no truth", expected="clips of HDTF-Synth", fix="make the set again")
    truth = load_file(root / entry.truth)
    points = truth["landmarks68"]
    return {
        "mouth_boxes": _box_around(points[:, 48:68], margin=0.25),
        "eye_boxes": _box_around(points[:, 36:48], margin=0.15),
        "face_boxes": truth["box"].astype(np.float32),
        "head_speed": head_speed(truth["pose"][:, :3]),
        "mouth_opening": truth["mouth_opening"].astype(np.float32),
        "eye_closure": truth["blink"].mean(1).astype(np.float32),
    }


def head_speed(angles: NDArray[np.floating]) -> NDArray[np.float32]:
    """Head rotation per frame in degrees, ``float32 [T]``, from yaw, pitch, roll ``[T, 3]``.

    Angles are small, so the rotation between two frames is the length of the vector of differences. The first frame
    repeats the second.

    >>> head_speed(np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])).tolist()
    [5.0, 5.0]
    """
    if len(angles) < 2:
        return np.zeros(len(angles), np.float32)
    speed = np.linalg.norm(np.diff(angles.astype(np.float64), axis=0), axis=1)
    return np.concatenate([speed[:1], speed]).astype(np.float32)


def _box_around(points: NDArray[np.floating], *, margin: float) -> NDArray[np.float32]:
    low, high = points.min(1), points.max(1)
    extra = (high - low).max(1, keepdims=True) * margin
    return np.concatenate([low - extra, high + extra], 1).astype(np.float32)


def _decode(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    import av

    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    frames: NDArray[np.uint8] = np.stack(pictures).astype(np.uint8, copy=False)
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        pieces = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return frames, np.concatenate(pieces).astype(np.float32)
