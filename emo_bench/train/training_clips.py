"""Clips of prepared sets as training data: several manifests at once, checked, decoded once into memory maps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.labels import Labels, read_labels
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest, video_of
from emo_bench.train.config import DataSource
from emo_bench.train.labelled_clip import labelled_clip, scaled
from emo_bench.train.source_files import require_named_files
from emo_core.errors import ClipError, DataError, NoAudioError
from emo_core.hashing import digest_of, sha256_file

if TYPE_CHECKING:
    from emo_models.training.clips import TrainingClip

FORMAT = 3
"""Raised whenever the same clips would be kept otherwise."""
STILLS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
SAID_EVERY = 250
"""Clips between two words on how far decoding has come."""

SHOWN = 10
LARGEST_LABEL = 256
"""Values a frame; larger labels, such as dense flow, stay in the set and are not kept in memory."""
FLOW = "flow"
"""The one large label that training uses."""
Say = Callable[[str], None]


def _quiet(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, eq=False)
class CachedClips:
    """The cached clips of one source.

    Attributes:
        folder: The cache.
        rows: Per clip where its frames and samples lie, and what the manifest says of it.
        frames: ``uint8 [all frames, H, W, 3]``, a memory map.
        audio: ``float32 [all samples]``, 16 kHz, a memory map.
        labels: Per clip and name the label of each frame, but for dense flow.
        weight: Of each clip.
        portraits: The stills of re-enacted clips, ``uint8 [n, H, W, 3]``.
        flow: Where each frame's pixels come from in the still, ``float16 [all frames, g, g, 2]``, a memory map.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    labels: tuple[Labels, ...]
    weight: float
    portraits: NDArray[np.uint8]
    flow: NDArray[np.float16] | None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> TrainingClip:
        row = self.rows[index]
        first, sample = row["first_frame"], row["first_sample"]
        still = row["portrait"]
        known = dict(self.labels[index])
        clip = {**row["clip"], "reference_index": min(row["clip"]["reference_index"], row["n_frames"] - 1)}
        if self.flow is not None and row["flow"]:
            known[FLOW] = self.flow[first : first + row["n_frames"]]
        return labelled_clip(
            known,
            portrait=None if still is None else self.portraits[still],
            frames=self.frames[first : first + row["n_frames"]],
            audio=self.audio[sample : sample + row["n_samples"]],
            weight=self.weight,
            **clip,
        )


class JoinedClips:
    """The clips of several sources, one after the other; each clip is made once and kept."""

    def __init__(self, sources: Sequence[CachedClips]) -> None:
        self.sources = tuple(sources)
        self._clips = [source[index] for source in sources for index in range(len(source))]

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> TrainingClip:
        return self._clips[index]


def open_training_clips(
    sources: Sequence[DataSource],
    *,
    cache: Path,
    split: str = "train",
    fps: Fraction = Fraction(25),
    size: int | None = None,
    least: int = 1,
    max_clips: int | None = None,
    say: Say = _quiet,
) -> JoinedClips:
    """Opens the clips of all sources; decodes those that nobody has decoded yet.

    Everything that is wrong with the sets is found before anything is decoded, as far as manifests and labels show it.

    Args:
        sources: Manifests with weights; a source's weight is shared by its clips.
        cache: Folder for the memory maps; 3 bytes per pixel and frame.
        split: Which entries of a source that names no split.
        fps: Frames per second that the model knows; clips and labels must have it.
        size: Side in pixels that all frames are brought to; ``None`` keeps them as they are, and they must be equal.
        least: Fewest clips that can be trained on.
        max_clips: Only the first so many of each source.
        say: Told what takes time.

    Raises:
        DataError: A set is empty or too small, its files are others than its manifest names, or a clip has no labels,
            another size, rate or length than expected.
    """
    chosen = [
        read_manifest(Path(source.manifest)).select(split=source.split or split, max_clips=max_clips)
        for source in sources
    ]
    _check_labels(chosen)
    count = sum(len(manifest.entries) for manifest in chosen)
    if count < least:
        raise DataError(
            f"too few clips to train on in {', '.join(source.manifest for source in sources)}",
            expected=f"at least {least} in split {split!r}",
            found=str(count),
        )
    opened = []
    for source, manifest in zip(sources, chosen, strict=True):
        folder = cache / f"{Path(source.manifest).resolve().parent.name}-{_digest(manifest, fps, size)[:16]}"
        _make_once(manifest, folder, fps=fps, size=size, say=say)
        # With one source every clip weighs 1, whatever the weight of the source.
        weight = 1.0 if len(sources) == 1 else source.weight / len(manifest.entries)
        # What the manifest says of clips is read anew: identities and styles may be written after the decoding.
        told = [_described(manifest, entry, fps=fps) for entry in manifest.entries]
        opened.append(_opened(folder, weight, told))
    sizes = {source.manifest: found.frames.shape[1:3] for source, found in zip(sources, opened, strict=True)}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{place}: {width}x{height}" for place, (height, width) in sizes.items())
        raise DataError("the sets have frames of different sizes", expected="one size", found=found, fix="set 'size'")
    return JoinedClips(opened)


def load_slice(folder: Path, part: str, *, cache: Path, max_clips: int | None = None) -> list[TrainingClip]:
    """The clips of one slice of HDTF-Synth, in order of id; the slice is made when it is not there."""
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

    manifest = folder / part / "manifest.jsonl"
    if not manifest.is_file():
        make_hdtf_synth(folder / part, slice=part)
    source = DataSource(manifest=str(manifest))
    clips = open_training_clips([source], split=part, cache=cache, max_clips=max_clips)
    return [clips[index] for index in range(len(clips))]


def _check_labels(manifests: Sequence[Manifest]) -> None:
    """Every clip without usable labels, named at once.

    Raises:
        DataError: There are some.
    """
    problems = []
    for manifest in manifests:
        for entry in manifest.entries:
            try:
                read_labels(manifest, entry)
            except DataError as error:
                problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        shown = "\n".join(str(problem).splitlines()[0] for problem in problems[:SHOWN])
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError(f"{len(problems)} clips cannot be trained on:\n{shown}{more}\n{problems[0]}")


def _digest(manifest: Manifest, fps: Fraction, size: int | None) -> str:
    rows = []
    for entry in manifest.entries:
        portrait = _digest_beside(manifest, entry, "portrait")
        row = [entry.id, sorted(entry.sha256.items()), _digest_beside(manifest, entry, "labels")]
        rows.append(row if portrait is None else [*row, portrait])
    return digest_of([FORMAT, rows, str(fps), size])


def _digest_beside(manifest: Manifest, entry: ManifestEntry, kind: str) -> str | None:
    """Of labels or portrait, as the manifest has it; that of the file where it has none."""
    known = entry.meta.get(f"{kind}_sha256")
    if known or not entry.meta.get(kind):
        return known
    return sha256_file(manifest.path(str(entry.meta[kind])))


def _make_once(manifest: Manifest, folder: Path, *, fps: Fraction, size: int | None, say: Say) -> None:
    """Makes the cache aside and renames it: it is atomic, and of several processes one makes it."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        require_named_files(manifest, folder.with_name(f"{folder.name}.files.json"), say=say)
        if (folder / "clips.json").is_file():
            return
        say(f"decoding {len(manifest.entries)} clips of {manifest.root}")
        aside = folder.with_suffix(".part")
        for left_by_a_killed_process in (aside, folder):
            shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
        aside.mkdir()
        _decode_all(manifest, aside, fps=fps, size=size, say=say)
        aside.rename(folder)


def _opened(folder: Path, weight: float, told: Sequence[dict[str, Any]]) -> CachedClips:
    from safetensors.numpy import load_file

    kept = json.loads((folder / "clips.json").read_text("utf-8"))
    rows = tuple({**row, "clip": now} for row, now in zip(kept, told, strict=True))
    stored = load_file(folder / "labels.safetensors")
    labels = tuple({name: stored[f"{number}.{name}"] for name in row["labels"]} for number, row in enumerate(rows))
    audio = np.load(folder / "audio.npy", mmap_mode="r") if (folder / "audio.npy").stat().st_size > 128 else _no_sound()
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    flow = np.load(folder / "flow.npy", mmap_mode="r") if (folder / "flow.npy").is_file() else None
    return CachedClips(folder, rows, frames, audio, labels, weight, np.load(folder / "portraits.npy"), flow)


def _no_sound() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


def _decode_all(manifest: Manifest, folder: Path, *, fps: Fraction, size: int | None, say: Say) -> None:
    from safetensors.numpy import save_file

    labels = [_small(read_labels(manifest, entry)) for entry in manifest.entries]
    total = sum(len(found["box"]) for found in labels)
    rows: list[dict[str, Any]] = []
    sounds: list[NDArray[np.float32]] = []
    kept: Labels = {}
    stills: list[NDArray[np.uint8]] = []
    frames: np.memmap[Any, Any] | None = None
    flow: np.memmap[Any, Any] | None = None
    first_frame, first_sample = 0, 0
    for number, (entry, known) in enumerate(zip(manifest.entries, labels, strict=True)):
        place, n_frames = first_frame, len(known["box"])
        pieces, audio, scale = decode_clip(manifest, entry, n_frames=n_frames, fps=fps, size=size)
        for piece in pieces:
            if frames is None:
                shape = (total, *piece.shape[1:])
                frames = np.lib.format.open_memmap(folder / "frames.npy", mode="w+", dtype=np.uint8, shape=shape)
            if piece.shape[1:] != frames.shape[1:]:
                (height, width), (h, w) = frames.shape[1:3], piece.shape[1:3]
                raise DataError(
                    f"clip {entry.id} has another size",
                    expected=f"{width}x{height}, as the clips before it",
                    found=f"{w}x{h}",
                    fix="bring all clips to one size: set 'size'",
                )
            frames[place : place + len(piece)] = piece
            place += len(piece)
        portrait = manifest.path(str(entry.meta["portrait"])) if entry.meta.get("portrait") else None
        moved = read_labels(manifest, entry).get(FLOW) if portrait is not None else None
        if moved is not None and flow is None:
            shape = (total, *moved.shape[1:])
            flow = np.lib.format.open_memmap(folder / "flow.npy", mode="w+", dtype=np.float16, shape=shape)
        if moved is not None and flow is not None:
            flow[first_frame:place] = moved * np.asarray(scale, np.float32)
        kept |= {f"{number}.{name}": np.ascontiguousarray(v) for name, v in scaled(known, scale).items()}
        sounds.append(audio)
        rows.append(
            {
                "clip": _described(manifest, entry, fps=fps),
                "labels": sorted(known),
                "first_frame": first_frame,
                "n_frames": n_frames,
                "first_sample": first_sample,
                "n_samples": len(audio),
                "portrait": None if portrait is None else len(stills),
                "flow": moved is not None,
            }
        )
        if portrait is not None:
            stills.append(_still(portrait, size))
            if frames is not None and stills[-1].shape != frames.shape[1:]:
                (height, width), (h, w) = frames.shape[1:3], stills[-1].shape[:2]
                raise DataError(
                    f"the portrait of clip {entry.id} has another size", expected=f"{width}x{height}", found=f"{w}x{h}"
                )
        first_frame, first_sample = first_frame + n_frames, first_sample + len(audio)
        if (number + 1) % SAID_EVERY == 0:
            say(f"decoded {number + 1} of {len(manifest.entries)} clips")
    for written in (frames, flow):
        if written is not None:
            written.flush()
    np.save(folder / "portraits.npy", np.stack(stills) if stills else np.zeros((0, 1, 1, 3), np.uint8))
    np.save(folder / "audio.npy", np.concatenate(sounds))
    save_file(kept, folder / "labels.safetensors")
    (folder / "clips.json").write_text(json.dumps(rows), "utf-8")


def _small(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if value[:1].size <= LARGEST_LABEL}


def _described(manifest: Manifest, entry: ManifestEntry, *, fps: Fraction) -> dict[str, Any]:
    read = {kind: digest for kind, digest in entry.listed.items() if kind != "video"}
    beside = [sorted(read.items()), *(_digest_beside(manifest, entry, kind) for kind in ("labels", "portrait"))]
    return {
        "id": entry.id,
        "identity": entry.identity,
        "digest": entry.sha256["video"],
        "beside": digest_of(beside),
        "style": str(entry.meta.get("style", "")),
        "reference_index": entry.reference_frame_at(fps),
        "audio_offset": int(entry.meta.get("audio_offset_frames", 0)),
        "fps": float(fps),
    }


def decode_clip(
    manifest: Manifest, entry: ManifestEntry, *, n_frames: int, fps: Fraction, size: int | None
) -> tuple[Iterator[NDArray[np.uint8]], NDArray[np.float32], tuple[float, float]]:
    """Frames in pieces, audio at 16 kHz, and by how much width and height were scaled; a still has one frame.

    Raises:
        DataError: The clip cannot be decoded, or has another length than its labels.
    """
    from emo_bench.media.decode import load_pair, open_video
    from emo_bench.media.types import video_from_array

    path = manifest.path(video_of(entry))
    audio = _no_sound()
    try:
        if path.suffix.lower() in STILLS:
            video = video_from_array(_still(path, size)[None], fps=fps)
            own = _still(path, None).shape[1::-1] if size else (video.spec.width, video.spec.height)
        else:
            target = (size, size) if size else None
            try:
                pair = load_pair(path, manifest.path(entry.audio) if entry.audio else None, fps=fps, size=target)
                video, audio = pair.video, pair.audio.samples
            except NoAudioError:
                video = open_video(path, fps=fps, size=target)
            own = _own_size(path) if size else (video.spec.width, video.spec.height)
    except ClipError as error:
        raise DataError(f"clip {entry.id} cannot be decoded", found=str(error)) from error
    if size and own[0] != own[1]:
        raise DataError(
            f"clip {entry.id} is not square", expected="square clips, for 'size'", found=f"{own[0]}x{own[1]}"
        )
    if video.spec.n_frames != n_frames:
        raise DataError(
            f"clip {entry.id} has another length than its labels",
            expected=f"{n_frames} frames at {float(fps):g} frames a second",
            found=f"{video.spec.n_frames} frames",
            fix=f"prepare the set at {float(fps):g} frames a second",
        )
    return video.open(), audio, (video.spec.width / own[0], video.spec.height / own[1])


def _own_size(path: Path) -> tuple[int, int]:
    from emo_bench.media.decode import open_video

    spec = open_video(path, fps=None).spec
    return spec.width, spec.height


def _still(path: Path, size: int | None) -> NDArray[np.uint8]:
    from PIL import Image

    from emo_bench.media.image import read_image

    image = read_image(path)
    if size is None:
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
