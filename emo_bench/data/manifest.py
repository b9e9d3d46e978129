"""A manifest lists the clips of a test set, one JSON object a line; its paths stay inside its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from emo_bench.config.schema import Frozen
from emo_core.atomic import write_text
from emo_core.errors import DataError
from emo_core.hashing import digest_of, sha256_file

MAX_ID_LENGTH = 120
MAX_BYTES = 256 << 20
"""Of a manifest."""
FORBIDDEN_IN_ID = frozenset('/\\:*?"<>|')


REFERENCE_FPS = 25
"""Frames a second of the timeline on which manifests name the reference frame."""

FILE_KINDS = ("video", "portrait", "audio", "truth")
"""What a clip may list, in the order in which its files are named."""


class ManifestEntry(Frozen):
    """One clip: a video (the ground truth), or a portrait and an audio file (a wild clip, without ground truth).

    Attributes:
        id: Unique in the manifest; printable, without path separators.
        video: Path of the video relative to the manifest's folder; None for a wild clip.
        portrait: Path of the image of a wild clip; None when there is a video.
        audio: Path of the audio when it lies beside the video; inside the video when absent. A wild clip needs it.
        truth: Path of per-frame truth (synthetic sets only).
        identity: Who is seen; clips of one identity are resampled together.
        split: For example 'train' or 'test'.
        reference_frame: Index, on the 25 fps timeline, of the frame that systems get as their portrait.
        face_box: Where the face stays during the clip: x0, y0, x1, y1 in pixels of the source.
        sha256: Hex digests under the keys 'video', 'portrait', 'audio', 'truth'; one for every file that is listed.
        meta: Anything else worth keeping (style, voice, language, licence ...).
    """

    id: str = Field(min_length=1, max_length=MAX_ID_LENGTH)
    video: str | None = None
    portrait: str | None = None
    audio: str | None = None
    truth: str | None = None
    identity: str = Field(min_length=1, max_length=MAX_ID_LENGTH)
    split: str = "test"
    reference_frame: int = Field(default=0, ge=0)
    face_box: tuple[float, float, float, float] | None = None
    sha256: dict[str, str]
    meta: dict[str, Any] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _id_is_plain(cls, value: str) -> str:
        if not value.isprintable() or FORBIDDEN_IN_ID & set(value) or value.strip(". ") != value:
            raise ValueError("expected a printable id without path separators, leading or trailing dots and spaces")
        return value

    @field_validator("sha256")
    @classmethod
    def _digests_are_whole(cls, value: dict[str, str]) -> dict[str, str]:
        if not {"video", "portrait"} & set(value):
            raise ValueError("expected at least the digest of the video or of the portrait")
        for kind, digest in value.items():
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                raise ValueError(f"expected 64 hexadecimal digits for {kind!r}")
        return value

    @field_validator("video", "portrait", "audio", "truth", "identity", "split")
    @classmethod
    def _is_unicode(cls, value: str | None) -> str | None:
        # Names of files in other encodings reach Python with lone surrogates, which no manifest can hold.
        if value is not None and value != value.encode("utf-8", "replace").decode("utf-8"):
            raise ValueError("expected text in Unicode; rename the file")
        return value

    @field_validator("video", "portrait", "audio", "truth")
    @classmethod
    def _path_stays_inside(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = PurePosixPath(value)
        if not value or "\0" in value or "\\" in value or path.is_absolute() or ".." in path.parts or ":" in value:
            raise ValueError("expected a relative POSIX path that stays inside the manifest's folder")
        return value

    @property
    def listed(self) -> dict[str, str]:
        """The digests of the files that are listed; one without its file has no effect on anything."""
        return {kind: self.sha256[kind] for kind in self.files}

    @property
    def files(self) -> dict[str, str]:
        """Kind -> path of the files that are listed."""
        return {kind: path for kind in FILE_KINDS if (path := getattr(self, kind)) is not None}

    def reference_frame_at(self, fps: Fraction) -> int:
        """Index of the reference frame in the same clip at another frame rate: the nearest in time, the earlier of two.

        >>> clip = ManifestEntry(id="a", video="a.mp4", identity="p", reference_frame=51, sha256={"video": "0" * 64})
        >>> [clip.reference_frame_at(Fraction(fps)) for fps in (25, 50, 30)]
        [51, 102, 61]
        """
        return -int(-(self.reference_frame * fps / REFERENCE_FPS - Fraction(1, 2)) // 1)

    @property
    def wild(self) -> bool:
        """Whether there is a portrait and an audio file only, and no ground truth."""
        return self.video is None

    @model_validator(mode="after")
    def _is_film_or_portrait(self) -> ManifestEntry:
        if (self.video is None) == (self.portrait is None):
            found = "neither" if self.video is None else "both"
            raise ValueError(f"expected either 'video' or 'portrait', found {found}")
        if self.portrait is not None:
            if self.audio is None:
                raise ValueError("expected 'audio' beside 'portrait': a portrait alone says nothing")
            if self.truth is not None or self.reference_frame:
                raise ValueError("expected no 'truth' and no 'reference_frame' beside 'portrait', which is one image")
        return self

    @model_validator(mode="after")
    def _every_file_has_a_digest(self) -> ManifestEntry:
        # Clips are kept under these digests: a file without one could change and go unnoticed.
        for kind in self.files:
            if kind not in self.sha256:
                raise ValueError(f"expected the digest of {kind!r} in sha256, since the file is listed")
        return self


class Manifest:
    """The entries of a manifest file, in order of id, and the folder that their paths are relative to."""

    def __init__(self, root: Path, entries: Iterable[ManifestEntry]) -> None:
        self.root = root
        self.entries = tuple(sorted(entries, key=lambda entry: entry.id))
        repeated = [name for name, count in Counter(entry.id for entry in self.entries).items() if count > 1]
        if repeated:
            raise DataError(
                f"duplicate ids in the manifest of {root}", expected="unique ids", found=", ".join(repeated[:5])
            )

    @property
    def digest(self) -> str:
        """SHA-256 over all that can change a result; not over paths, nor over ``meta``, which is for people.

        That is: ids, identities, splits, reference frames, face boxes and the hashes of all listed files.
        """
        return digest_of([_identity_of(entry) for entry in self.entries])

    def path(self, relative: str) -> Path:
        """The real file behind a manifest path.

        Raises:
            DataError: when it leaves the manifest's folder, through a symbolic link for example.
        """
        root = self.root.resolve()
        resolved = (root / relative).resolve()
        if not resolved.is_relative_to(root):
            raise DataError(
                f"the path {relative!r} leaves the manifest's folder",
                expected=f"a file below {root}",
                found=f"{resolved}",
            )
        return resolved

    def with_videos(self) -> Manifest:
        """The clips with a video, for work that needs a ground truth.

        Raises:
            DataError: when every clip has a portrait and an audio file only.
        """
        kept = [entry for entry in self.entries if not entry.wild]
        if not kept and self.entries:
            raise DataError(
                f"no clip of {self.root} has a video", expected="clips with ground truth", found="portraits with audio"
            )
        return Manifest(self.root, kept)

    def select(self, *, split: str | None = None, max_clips: int | None = None) -> Manifest:
        """The clips of one split, at most so many.

        Raises:
            DataError: when nothing is left.
        """
        chosen = [entry for entry in self.entries if split is None or entry.split == split]
        if not chosen:
            known = ", ".join(sorted({entry.split for entry in self.entries})) or "none: the manifest is empty"
            raise DataError(f"no clips in split {split!r}" if split else "the manifest has no clips", found=known)
        return Manifest(self.root, chosen[:max_clips])


def _identity_of(entry: ManifestEntry) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": entry.id,
        "identity": entry.identity,
        "split": entry.split,
        "reference_frame": entry.reference_frame,
        "sha256": entry.listed,
    }
    if entry.face_box is not None:
        values["face_box"] = entry.face_box
    return values


def read_manifest(path: Path) -> Manifest:
    """Reads and checks a manifest.

    Raises:
        DataError: naming file and line of every wrong entry.
    """
    if not path.is_file():
        raise DataError(f"no manifest at {path}", expected="a JSONL file", fix="make one: emo-bench data import FOLDER")
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} is too large for a manifest", expected=f"at most {MAX_BYTES} bytes", found="more")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no manifest", expected="JSON lines in UTF-8", found=str(error)) from None
    entries, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() also cuts at U+2028, which JSON allows
        if not line.strip():
            continue
        try:
            entries.append(ManifestEntry.model_validate_json(line, strict=True))
        except ValidationError as error:
            problems += [
                f"{path}:{number}: {'.'.join(map(str, item['loc'])) or 'line'}: {item['msg']}"
                for item in error.errors()
            ]
    if problems:
        shown = "\n".join(problems[:20])
        raise DataError(shown + (f"\n... and {len(problems) - 20} more" if len(problems) > 20 else ""))
    return Manifest(path.parent, entries)


def write_manifest(path: Path, entries: Iterable[ManifestEntry]) -> None:
    """Writes a manifest atomically, in order of id."""
    manifest = Manifest(path.parent, entries)
    lines = [
        json.dumps(entry.model_dump(mode="json", exclude_none=True), sort_keys=True, ensure_ascii=False)
        for entry in manifest.entries
    ]
    write_text(path, "".join(line + "\n" for line in lines))


def people_of_several_splits(entries: Iterable[ManifestEntry]) -> dict[str, tuple[str, ...]]:
    """Identity -> splits of those with clips in more than one: what is trained on knows whom it is tested on."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        found.setdefault(entry.identity, set()).add(entry.split)
    return {name: tuple(sorted(splits)) for name, splits in sorted(found.items()) if len(splits) > 1}


def file_hashes(
    root: Path,
    *,
    video: str | None = None,
    portrait: str | None = None,
    audio: str | None = None,
    truth: str | None = None,
) -> dict[str, str]:
    """SHA-256 of a clip's files, as the manifest holds them."""
    named = {"video": video, "portrait": portrait, "audio": audio, "truth": truth}
    return {kind: sha256_file(root / relative) for kind, relative in named.items() if relative is not None}


def video_of(entry: ManifestEntry) -> str:
    """The path of a clip's video, for work that needs one.

    Raises:
        DataError: for a wild clip.
    """
    if entry.video is None:
        raise DataError(
            f"clip {entry.id!r} has a portrait and an audio file, no video",
            expected="clips with videos",
            fix="leave such lines out of this manifest; suites, score and animate take them",
        )
    return entry.video
