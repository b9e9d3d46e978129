"""Generated clips on disk, keyed by everything that they depend on; a clip exists when its sidecar does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from pydantic import ValidationError, field_validator

from emo_bench.config.schema import Frozen, rate_from_text
from emo_bench.media.notes import amounts_of, code_of
from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec
from emo_core.atomic import write_text
from emo_core.errors import ClipError, DecodeError
from emo_core.hashing import digest_of, sha256_file

_KEY = re.compile(r"[0-9A-Za-z_-]{1,128}")


class DamagedClipError(DecodeError):
    """A stored clip is not what was written; it has been removed and can be made again."""


class ClipNote(Frozen):
    """A note as it is stored.

    Attributes:
        code: Its kind, see ``emo_bench.media.notes``.
        text: One sentence.
        amounts: The numbers in the sentence.
    """

    code: str
    text: str
    amounts: dict[str, float]


class Sidecar(Frozen):
    """What is known of a stored clip.

    Attributes:
        key: The clip's key.
        file_sha256: Of the Matroska file.
        video_sha256: Of size, rate and raw pixels; equal images have equal digests whatever their audio.
        audio_sha256: Of rate and samples.
        width: In pixels.
        height: In pixels.
        fps: Exact rate as a fraction in text.
        n_frames: Number of frames.
        source_width: Width before it was brought to the suite's size; 0 for clips that systems made.
        source_height: Height before that.
        notes: What the reader of a report should know.
        seconds: How long it took to make.
        digest: Over all other fields but the time.
    """

    key: str
    file_sha256: str
    video_sha256: str
    audio_sha256: str
    width: int
    height: int
    fps: str
    n_frames: int
    source_width: int = 0
    source_height: int = 0
    notes: tuple[ClipNote, ...]
    seconds: float
    digest: str = ""

    @field_validator("fps")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        if rate_from_text(value) == 0:
            raise ValueError("expected frames per second")
        return value

    def own_digest(self) -> str:
        """What ``digest`` must be."""
        return digest_of(self.model_dump(mode="json", exclude={"digest", "seconds"}))


@dataclass(frozen=True, eq=False)
class StoredClip:
    """A clip that lies in the store.

    Attributes:
        path: The lossless file.
        sidecar: What is known of it.
    """

    path: Path
    sidecar: Sidecar

    @property
    def spec(self) -> VideoSpec:
        """Size, rate and number of frames."""
        side = self.sidecar
        return VideoSpec(width=side.width, height=side.height, fps=Fraction(side.fps), n_frames=side.n_frames)


class ClipStore:
    """A folder ``clips/<aa>/<key>.mkv`` with a JSON sidecar beside each file.

    Several processes may write at the same time: files are atomic and equal keys mean equal content.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "clips"
        self.damaged: list[str] = []
        """Names of files that this process found damaged or under another key."""

    def path(self, key: str) -> Path:
        """Where a clip of that key lies or would lie.

        Raises:
            ValueError: for what is no key; it could name a file outside the store.
        """
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"expected letters and digits, found {key[:80]!r}")
        return self.folder / key[:2] / f"{key}.mkv"

    def get(self, key: str) -> StoredClip | None:
        """The clip of that key; None when it is not there as a whole, or its sidecar is that of another clip."""
        path = self.path(key)
        try:
            sidecar = Sidecar.model_validate_json(path.with_suffix(".json").read_bytes(), strict=True)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            self.damaged.append(path.with_suffix(".json").name)
            return None
        if not sidecar.digest:
            return None  # of an earlier version
        if sidecar.key != key or sidecar.digest != sidecar.own_digest():
            self.damaged.append(path.with_suffix(".json").name)
            return None
        return StoredClip(path, sidecar) if path.is_file() else None

    def put(
        self,
        key: str,
        *,
        spec: VideoSpec,
        pieces: Iterable[FrameArray],
        audio: Audio,
        notes: tuple[str, ...],
        seconds: float = 0.0,
        source_size: tuple[int, int] = (0, 0),
    ) -> StoredClip:
        """Writes a clip losslessly, frames first, sidecar last.

        Raises:
            ClipError: from ``pieces`` when the system breaks its promise; nothing is left behind then.
            OSError: from the file system.
        """
        from emo_bench.media.lossless import write_clip

        path = self.path(key)
        digest = hashlib.sha256(f"{spec.width}x{spec.height}@{spec.fps}".encode())
        write_clip(path, Video(spec, lambda: _hashed(pieces, digest)), audio, fps=spec.fps)
        sidecar = Sidecar(
            key=key,
            file_sha256=sha256_file(path),
            video_sha256=digest.hexdigest(),
            audio_sha256=_audio_digest(audio),
            width=spec.width,
            height=spec.height,
            fps=str(spec.fps),
            n_frames=spec.n_frames,
            source_width=source_size[0],
            source_height=source_size[1],
            notes=tuple(ClipNote(code=code_of(note), text=str(note), amounts=amounts_of(note)) for note in notes),
            seconds=seconds,
        )
        sidecar = sidecar.model_copy(update={"digest": sidecar.own_digest()})
        write_text(path.with_suffix(".json"), sidecar.model_dump_json(indent=2) + "\n")
        return StoredClip(path, sidecar)

    def open(self, clip: StoredClip, *, verify: bool = True) -> tuple[Video, Audio]:
        """Opens a stored clip for reading.

        Args:
            clip: From ``get`` or ``put``.
            verify: Compare the file's bytes with the sidecar first.

        Raises:
            DamagedClipError: when the file was changed or damaged since it was written; it is removed, so that it will
                be made again.
        """
        from emo_bench.media.lossless import open_clip

        if verify and sha256_file(clip.path) != clip.sidecar.file_sha256:
            raise self._discarded(clip, expected=f"SHA-256 {clip.sidecar.file_sha256}", found="other bytes")
        opened = open_clip(clip.path)
        if opened.video.spec != clip.spec:
            raise self._discarded(clip, expected=f"{clip.spec}", found=f"{opened.video.spec}")
        return opened.video, opened.audio

    def _discarded(self, clip: StoredClip, *, expected: str, found: str) -> DamagedClipError:
        # By the place where it was found, never by what its sidecar says.
        if clip.path == self.path(clip.path.stem):
            self.remove(clip.path.stem)
        self.damaged.append(clip.path.name)
        return DamagedClipError(
            f"the stored clip {clip.path.name} was damaged and has been removed",
            expected=expected,
            found=found,
            fix="run the same command again",
        )

    def remove(self, key: str) -> None:
        """Removes a clip, sidecar first."""
        path = self.path(key)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _hashed(pieces: Iterable[FrameArray], digest: hashlib._Hash) -> Iterator[FrameArray]:
    for piece in pieces:
        digest.update(np.ascontiguousarray(piece).tobytes())
        yield piece


def _audio_digest(audio: Audio) -> str:
    if not np.isfinite(audio.samples).all():
        raise ClipError("the audio holds NaN or infinite samples", expected="finite samples in [-1, 1]", found="NaN")
    return hashlib.sha256(f"{audio.rate}".encode() + audio.samples.astype("<f4").tobytes()).hexdigest()
