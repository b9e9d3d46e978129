"""Clips on disk: a small record under the key of everything that a clip depends on, naming its frames and its audio.

Frames lie in the store as a file, or are read from a file of the user by a recipe; several clips may share them.
"""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError, field_validator

from emo_bench.config.schema import Frozen, rate_from_text
from emo_bench.media.notes import amounts_of, code_of
from emo_bench.media.recipe import (
    EncodedFrames,
    FileFrames,
    Leaf,
    LosslessFrames,
    NoFrames,
    ObjectName,
    Recipe,
    leaf_of,
    object_of,
    with_leaf,
)
from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec
from emo_bench.systems.conform import checked
from emo_bench.systems.object_store import ObjectStore
from emo_bench.systems.recipes import frames_digest, is_worth, open_recipe
from emo_core.atomic import write_text
from emo_core.errors import ClipError, DecodeError
from emo_core.hashing import digest_of, sha256_file

_KEY = re.compile(r"[0-9A-Za-z_-]{1,128}")


class DamagedClipError(DecodeError):
    """A stored clip is not what was written; it has been removed and can be made again."""


class FramesDeletedError(DamagedClipError):
    """The frames of a clip were deleted on purpose; they can be regenerated."""


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
        layout: Version of this record.
        key: The clip's key.
        frames: Where its frames can be read.
        audio: The stored file of its samples.
        audio_rate: Samples per second.
        video_sha256: Of size, rate and raw pixels; equal images have equal digests whatever their audio.
        audio_sha256: Of rate and samples.
        width: In pixels.
        height: In pixels.
        fps: Exact rate as a fraction in text.
        n_frames: Number of frames.
        source_width: Width before it was brought to the suite's size; 0 for clips that systems made.
        source_height: Height before that.
        notes: What the reader of a report should know.
        system: Name of the system that it was made for first.
        clip: Id of the clip that it was made for first.
        seconds: How long it took to make.
        digest: Over all other fields but the time.
    """

    layout: Literal[2] = 2
    key: str
    frames: Recipe
    audio: ObjectName
    audio_rate: int
    video_sha256: str
    audio_sha256: str
    width: int
    height: int
    fps: str
    n_frames: int
    source_width: int = 0
    source_height: int = 0
    notes: tuple[ClipNote, ...]
    system: str = ""
    clip: str = ""
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

    def signed(self) -> Sidecar:
        """The same with its digest."""
        return self.model_copy(update={"digest": self.own_digest()})

    @property
    def spec(self) -> VideoSpec:
        """Size, rate and number of frames."""
        return VideoSpec(width=self.width, height=self.height, fps=Fraction(self.fps), n_frames=self.n_frames)


@dataclass(frozen=True, eq=False)
class StoredClip:
    """A clip in the store.

    Attributes:
        path: Its record.
        sidecar: What the record says.
    """

    path: Path
    sidecar: Sidecar

    @property
    def spec(self) -> VideoSpec:
        """Size, rate and number of frames."""
        return self.sidecar.spec


class ClipStore:
    """A folder ``clips/<aa>/<key>.json`` of records beside the objects that they name.

    Several processes may write at the same time: files are atomic and equal keys mean equal content. Objects are
    written before the record that names them, and a record whose objects are not there counts as missing.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "clips"
        self.objects = ObjectStore(root)
        self.damaged: list[str] = []
        """Names of files that this process found damaged, changed, gone or under another key."""

    def path(self, key: str) -> Path:
        """Where the record of that key lies or would lie.

        Raises:
            ValueError: for what is no key; it could name a file outside the store.
        """
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"expected letters and digits, found {key[:80]!r}")
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> StoredClip | None:
        """The clip of that key; None when it is not there as a whole, or its record is that of another clip."""
        clip = self.record(key)
        return clip if clip is not None and self.is_whole(clip) else None

    def record(self, key: str) -> StoredClip | None:
        """As ``get``, whether or not the files that the record names are there."""
        path = self.path(key)
        try:
            data = path.read_bytes()
            sidecar = Sidecar.model_validate_json(data, strict=True)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            from emo_bench.systems.earlier_store import is_earlier

            if not is_earlier(path):
                self.damaged.append(path.name)
            return None
        if sidecar.key != key or sidecar.digest != sidecar.own_digest():
            self.damaged.append(path.name)
            return None
        return StoredClip(path, sidecar)

    def is_whole(self, clip: StoredClip) -> bool:
        """Whether the files that a record names are there; frames that were deleted on purpose are not missed."""
        leaf = leaf_of(clip.sidecar.frames)
        there = isinstance(leaf, NoFrames) or self.place(leaf).is_file()
        return there and self.objects.path(clip.sidecar.audio).is_file()

    def place(self, leaf: Leaf) -> Path:
        """The path of a recipe's file."""
        if isinstance(leaf, NoFrames):
            raise FramesDeletedError("the frames of this clip were deleted")
        return self.objects.path(leaf.name) if leaf.name else Path(getattr(leaf, "path", ""))

    def put(
        self,
        key: str,
        *,
        video: Video,
        audio: Audio,
        notes: tuple[str, ...] = (),
        began: float | None = None,
        source_size: tuple[int, int] = (0, 0),
        lasting: bool = False,
        system: str = "",
        clip: str = "",
    ) -> StoredClip:
        """Stores a clip: what is there already is named, what can be read again is described, the rest is written.

        Args:
            key: Of everything that it depends on.
            video: Read at most once, and not at all when its frames are known.
            audio: Its audio.
            notes: What the reader of a report should know.
            began: When its making began, on ``time.perf_counter``.
            source_size: Width and height of a source before it was resized.
            lasting: Whether the files that the video is read from stay where they are; else they are copied.
            system: For whom it was made.
            clip: Of which clip.

        Raises:
            ClipError: when the system breaks its promise; no record is left behind then.
            OSError: from the file system.
        """
        samples = self.put_audio(audio)
        frames, video_sha256 = self._put_frames(video, lasting=lasting)
        spec = video.spec
        sidecar = Sidecar(
            key=key,
            frames=frames,
            audio=samples,
            audio_rate=audio.rate,
            video_sha256=video_sha256,
            audio_sha256=_audio_digest(audio),
            width=spec.width,
            height=spec.height,
            fps=str(spec.fps),
            n_frames=spec.n_frames,
            source_width=source_size[0],
            source_height=source_size[1],
            notes=tuple(ClipNote(code=code_of(note), text=str(note), amounts=amounts_of(note)) for note in notes),
            system=system,
            clip=clip,
            seconds=0.0 if began is None else time.perf_counter() - began,
        )
        return self.write(sidecar)

    def write(self, sidecar: Sidecar) -> StoredClip:
        """Writes a record, whose objects are already stored."""
        signed = sidecar.signed()
        path = self.path(signed.key)
        write_text(path, signed.model_dump_json(indent=2) + "\n")
        with suppress(OSError):
            path.with_suffix(".mkv").unlink(missing_ok=True)  # of the earlier layout
        return StoredClip(path, signed)

    def put_audio(self, audio: Audio) -> str:
        """Stores samples and returns the name of their file."""
        if not np.isfinite(audio.samples).all():
            raise ClipError("the audio holds NaN or infinite samples", expected="finite samples", found="NaN")
        stream = io.BytesIO()
        np.save(stream, audio.samples.astype("<f4"), allow_pickle=False)
        return self.objects.add(stream.getvalue(), suffix=".npy")

    def _put_frames(self, video: Video, *, lasting: bool) -> tuple[Recipe, str]:
        recipe = video.recipe() if video.recipe is not None else None
        if recipe is not None and video.sha256:
            return recipe, video.sha256
        pieces, digest = frames_digest(video.spec, checked(video, n_frames=video.spec.n_frames))
        if recipe is None or not is_worth(recipe, video.spec):
            name = self._write_lossless(Video(video.spec, lambda: pieces))
            return LosslessFrames(name=name), digest.hexdigest()
        for _ in pieces:
            pass
        return self._kept(recipe, lasting=lasting), digest.hexdigest()

    def _write_lossless(self, video: Video) -> str:
        from emo_bench.media.lossless import write_clip

        made = write_clip(self.objects.incoming(".mkv"), video, None, fps=video.spec.fps)
        return self.objects.adopt(made.path, sha256=made.sha256)

    def _kept(self, recipe: Recipe, *, lasting: bool) -> Recipe:
        """The recipe, its file copied into the store unless it lies there or stays where it is."""
        leaf = leaf_of(recipe)
        if isinstance(leaf, (LosslessFrames, NoFrames)) or leaf.name:
            return recipe
        if lasting and isinstance(leaf, FileFrames) and _is_text(leaf.path):
            return recipe
        name = self.objects.copy(Path(leaf.path), suffix=".mp4" if isinstance(leaf, EncodedFrames) else "")
        if isinstance(leaf, FileFrames) and name != leaf.sha256:
            raise DecodeError(f"{Path(leaf.path).name!r} changed while it was read", fix="leave files alone meanwhile")
        return with_leaf(recipe, leaf.model_copy(update={"name": name, "path": ""}))

    def open(self, clip: StoredClip, *, verify: bool = True) -> tuple[Video, Audio]:
        """Opens a stored clip for reading.

        Args:
            clip: From ``get`` or ``put``.
            verify: Compare the bytes of its files with the record first.

        Raises:
            DamagedClipError: when a file was changed, damaged or removed since the record was written; the record is
                removed, so that the clip will be made again.
        """
        side = clip.sidecar
        leaf = leaf_of(side.frames)
        if isinstance(leaf, NoFrames):
            self.remove(clip.path.stem)
            raise FramesDeletedError("the frames of this clip were deleted after its features had been made")
        path = self.place(leaf)
        expected = leaf.name.partition(".")[0] or getattr(leaf, "sha256", "")
        if verify and (found := _digest_or_none(path)) != expected:
            what = "other bytes" if found else "nothing"
            raise self._discarded(clip, path, expected=f"SHA-256 {expected}", found=what)
        audio = self._read_audio(clip)
        try:
            video = open_recipe(side.frames, self.place, fps=side.spec.fps)
        except DecodeError as error:
            raise self._discarded(clip, path, expected="the clip's frames", found=error.message) from error
        if video.spec != side.spec:
            raise self._discarded(clip, path, expected=f"{side.spec}", found=f"{video.spec}")
        if isinstance(side.frames, LosslessFrames):
            return Video(video.spec, video.open, lambda: side.frames, side.video_sha256), audio
        return Video(video.spec, lambda: self._confirmed(clip, video), lambda: side.frames, side.video_sha256), audio

    def _confirmed(self, clip: StoredClip, video: Video) -> Iterator[FrameArray]:
        """The frames of a video by recipe; at their end it is sure that they are those of the record."""
        pieces, digest = frames_digest(video.spec, video.open())
        yield from pieces
        if digest.hexdigest() != clip.sidecar.video_sha256:
            path = self.place(leaf_of(clip.sidecar.frames))
            raise self._discarded(clip, path, expected="the frames that were read before", found="other frames")

    def _read_audio(self, clip: StoredClip) -> Audio:
        path = self.objects.path(clip.sidecar.audio)
        with suppress(OSError, ValueError, EOFError, ClipError):
            audio = Audio(np.asarray(np.load(path, allow_pickle=False), np.float32), clip.sidecar.audio_rate)
            if audio.samples.ndim == 1 and _audio_digest(audio) == clip.sidecar.audio_sha256:
                return audio
        raise self._discarded(clip, path, expected="the clip's samples", found="other bytes")

    def _discarded(self, clip: StoredClip, file: Path, *, expected: str, found: str) -> DamagedClipError:
        # By the place where it was found, never by what its record says.
        if clip.path == self.path(clip.path.stem):
            self.remove(clip.path.stem)
        own = file.name in (object_of(clip.sidecar.frames), clip.sidecar.audio) and file == self.objects.path(file.name)
        if own:
            file.unlink(missing_ok=True)
        self.damaged.append(file.name)
        what = f"the stored clip {file.name} was damaged and has been removed"
        return DamagedClipError(
            what if own else f"{file.name} was changed, moved or removed since it was read: {file}",
            expected=expected,
            found=found,
            fix="run the same command again",
        )

    def let_go(self, clip: StoredClip, *, shared: Collection[str] = ()) -> None:
        """Deletes a clip's frames and keeps its record: what was computed from them stays usable.

        Args:
            clip: From ``get`` or ``put``.
            shared: Names of stored files that others need.
        """
        name = object_of(clip.sidecar.frames)
        if name and name not in shared:
            self.write(clip.sidecar.model_copy(update={"frames": NoFrames()}))
            self.objects.remove(name)

    def remove(self, key: str) -> None:
        """Removes a clip's record; files that no other record names are left to ``emo-bench store prune``."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        path.with_suffix(".mkv").unlink(missing_ok=True)


def _is_text(path: str) -> bool:
    """Whether a record can hold a path; names in other encodings than UTF-8 reach Python with lone surrogates."""
    return path.encode("utf-8", "replace").decode() == path


def _digest_or_none(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None


def _audio_digest(audio: Audio) -> str:
    if not np.isfinite(audio.samples).all():
        raise ClipError("the audio holds NaN or infinite samples", expected="finite samples in [-1, 1]", found="NaN")
    return hashlib.sha256(f"{audio.rate}".encode() + audio.samples.astype("<f4").tobytes()).hexdigest()
