"""Clips of HDTF-Synth in memory, for training and checking the extractors of the synth family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.types import FrameArray
from emo_core.atomic import write_bytes
from emo_core.errors import DataError

if TYPE_CHECKING:
    from emo_bench.data.manifest import Manifest, ManifestEntry

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class TrainingClip:
    """One clip with everything that is known about it.

    Attributes:
        id: Id in the manifest.
        digest: SHA-256 of its video file.
        identity: Who is seen.
        frames: ``uint8 RGB [T, H, W, 3]`` at 25 frames a second.
        audio: Mono ``float32 [n]`` at 16 kHz.
        truth: Per-frame truth; see ``emo_bench.data.sets.hdtf_synth``.
        audio_offset: By how many frames the sound comes late.
        reference_frame: Index of the portrait.
    """

    id: str
    digest: str
    identity: str
    frames: FrameArray
    audio: NDArray[np.float32]
    truth: dict[str, NDArray[Any]]
    audio_offset: int
    reference_frame: int


def load_slice(
    folder: Path, part: str, *, cache: Path, max_clips: int | None = None, progress: Progress | None = None
) -> list[TrainingClip]:
    """The clips of one slice, in order of id; the slice is made when it is not there.

    Args:
        folder: Holds one folder for each slice, as suites lay them out.
        part: Name of the slice.
        cache: Where decoded clips are kept; they are found again by the digest of their file.
        max_clips: Only the first so many.
        progress: Told (done, total, text).

    Raises:
        DataError: when a clip has no truth.
    """
    from emo_bench.data.manifest import read_manifest
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

    manifest_path = folder / part / "manifest.jsonl"
    if not manifest_path.is_file():
        make_hdtf_synth(folder / part, slice=part, progress=progress)
    manifest = read_manifest(manifest_path).select(max_clips=max_clips)
    clips = []
    for index, entry in enumerate(manifest.entries):
        clips.append(_load(manifest, entry, cache))
        if progress is not None:
            progress(index + 1, len(manifest.entries), f"read {entry.id}")
    return clips


def _load(manifest: Manifest, entry: ManifestEntry, cache: Path) -> TrainingClip:
    from safetensors.numpy import load_file

    if entry.truth is None:
        raise DataError(f"clip {entry.id!r} has no truth", expected="a clip of HDTF-Synth", found="a plain clip")
    arrays = _decoded(manifest.path(entry.video), entry.sha256["video"], cache)
    return TrainingClip(
        id=entry.id,
        digest=entry.sha256["video"],
        identity=entry.identity,
        frames=arrays["frames"],
        audio=arrays["audio"],
        truth=dict(load_file(manifest.path(entry.truth))),
        audio_offset=int(entry.meta.get("audio_offset_frames", 0)),
        reference_frame=entry.reference_frame,
    )


def _decoded(video: Path, digest: str, cache: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file, save

    from emo_bench.media.decode import load_pair

    kept = cache / f"{digest}.safetensors"
    if not kept.is_file():
        pair = load_pair(video)
        write_bytes(kept, save({"frames": pair.video.read_all(), "audio": pair.audio.samples}))
    return dict(load_file(kept))
