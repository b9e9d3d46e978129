"""A manifest from portraits and audio files: clips without ground truth, paired by name or by a seeded plan."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emo_bench.data.carry_over import EarlierManifest
from emo_bench.data.import_folder import (
    ImportReport,
    Refused,
    copy_beside,
    identities_of,
    paths_listed,
    write_beside,
)
from emo_bench.data.manifest import ManifestEntry, file_hashes
from emo_bench.data.naming import (
    IMAGE_EXTENSIONS,
    FilesById,
    clip_id,
    files_below,
    images_below,
    joint_id,
    listed,
)
from emo_bench.media.containers import AUDIO_EXTENSIONS
from emo_bench.media.notes import ROUTINE, most_telling
from emo_core.errors import ClipError, ConfigError, DataError, EmoBenchError, NoFaceError
from emo_core.progress import Display, Silent
from emo_core.rng import numpy_generator

if TYPE_CHECKING:
    from emo_bench.media.types import FrameArray

CROPPED = "cropped"
"""Folder beside the manifest for the squares around faces."""
COPIED = ("portraits", "audio")
"""Folders beside the manifest for copies of files from elsewhere."""

Pairing = Literal["name", "all"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class WildOptions:
    """How portraits and audio files become clips.

    Attributes:
        pairs: 'name' gives each portrait the audio file of its name; 'all' gives every portrait every audio file.
        clips: With 'all' at most so many pairs, spread evenly over portraits and audio files; every one when None.
        seed: Decides which.
        crop: Cut portraits to the square around the face; copies, the originals stay as they are.
        face: 'require' refuses portraits without a face; 'any' takes them as they are, for faces that the detector
            does not know.
        identity: As for videos: 'stem', 'folder' or a regular expression over the portrait's path.
        split: Split of all clips.
    """

    pairs: Pairing = "name"
    clips: int | None = None
    seed: int = 0
    crop: bool = False
    face: Literal["require", "any"] = "require"
    identity: str = "stem"
    split: str = "test"


@dataclass(frozen=True, kw_only=True)
class _File:
    """A portrait or an audio file that can be used."""

    id: str
    path: str
    box: Box | None = None


def import_wild(
    portraits: Path,
    audio: Path,
    *,
    options: WildOptions | None = None,
    manifest: Path | None = None,
    display: Display | None = None,
) -> ImportReport:
    """Lists pairs of a portrait and an audio file as clips.

    Args:
        portraits: Folder of images, searched recursively.
        audio: Folder of audio files, searched recursively; may be the same folder.
        options: How they become clips.
        manifest: Where to write; ``portraits/manifest.jsonl`` when absent and both folders are one. Files outside its
            folder are copied below it, since a manifest lists nothing outside its folder.
        display: Shows progress.

    Raises:
        DataError: when a folder is missing or empty, or nothing can be paired; names what lies near.
        ConfigError: when options contradict each other.
    """
    options, display = options or WildOptions(), display or Silent()
    if options.clips is not None and options.pairs == "name":
        raise ConfigError("--clips is for --pairs all", expected="--pairs all --clips N", found="--pairs name")
    target = manifest or (portraits / "manifest.jsonl" if portraits.resolve() == audio.resolve() else None)
    if target is None:
        raise ConfigError("no place for the manifest", expected="-o FOLDER/manifest.jsonl", found="two folders")
    images, sounds = _files(portraits, audio, root=target.parent)
    people, unnamed = identities_of(images, portraits, options.identity)
    work = _Import(target, options)
    display.stage("import", len(images) + len(sounds))
    named, alone = _named_pairs(portraits, audio, images, sounds) if options.pairs == "name" else ([], [])
    work.refused += alone
    for path in images:
        work.add_portrait(path, portraits)
        display.step(path.name)
    for path in sounds:
        work.add_audio(path, audio)
        display.step(path.name)
    pairs = [pair for pair in named if work.has(*pair)] if options.pairs == "name" else work.every_pair(images, sounds)
    made = [work.entry(*pair, people[pair[0].relative_to(portraits)]) for pair in pairs]
    if not made:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in work.refused[:3])
        raise DataError("no pair of a portrait and an audio file can be used", found=reasons)
    earlier = EarlierManifest(target)
    entries = earlier.write(made)
    notices = [*earlier.notes(entries), *work.notices, *most_telling(work.notes, at_most=len(work.notes))[0]]
    if others := _other_files(portraits, audio, target):
        notices.append(f"files that are named neither like an image nor like audio: {listed(others)}")
    if unnamed:
        notices.append(f"--identity fits not every portrait; each is an identity of its own: {listed(unnamed)}")
    return ImportReport(target, entries, tuple(work.refused), tuple(notices))


def _files(portraits: Path, audio: Path, *, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    for folder, what in ((portraits, "portraits"), (audio, "audio files")):
        if not folder.is_dir():
            raise DataError(f"no folder {folder}", expected=f"a folder of {what}")
    images = _without_copies(images_below(portraits), portraits, root)
    sounds = _without_copies(files_below(audio).audio, audio, root)
    if not images:
        raise DataError(f"no images below {portraits}", expected=f"files ending in {', '.join(IMAGE_EXTENSIONS)}")
    if not sounds:
        raise DataError(f"no audio files below {audio}", expected=f"files ending in {', '.join(AUDIO_EXTENSIONS)}")
    return images, sounds


def _other_files(portraits: Path, audio: Path, manifest: Path) -> list[Path]:
    """What lies below the folders and is not used for its ending: HEIC photographs, for example, or videos."""
    found: dict[Path, Path] = {}
    for folder in (portraits, audio):
        below = files_below(folder)
        images = set(images_below(folder))
        for path in _without_copies([*below.videos, *below.others], folder, manifest.parent):
            if path not in images and path.resolve() != manifest.resolve():
                found.setdefault(path.resolve(), path.relative_to(folder))
    return sorted(found.values())


def _without_copies(files: Sequence[Path], folder: Path, root: Path) -> tuple[Path, ...]:
    """The files of a folder that no earlier import wrote beside a manifest in it."""
    place, written = root.resolve(), [CROPPED]
    if place != folder.resolve() and place.is_relative_to(folder.resolve()):
        written += COPIED  # beside a manifest in the folder itself they are the user's own, since nothing is copied
    outputs = [place / name for name in written]
    return tuple(path for path in files if not any(path.absolute().is_relative_to(output) for output in outputs))


def _named_pairs(
    portraits: Path, audio: Path, images: Sequence[Path], sounds: Sequence[Path]
) -> tuple[list[tuple[Path, Path]], list[Refused]]:
    by_id = FilesById(audio, sounds)
    pairs, alone = [], []
    own = {clip_id(image.relative_to(portraits)) for image in images}
    for image in images:
        relative = image.relative_to(portraits)
        name = clip_id(relative)
        try:
            sound = by_id.find(name)
        except EmoBenchError as error:
            alone.append(Refused(str(relative), error.code, "; ".join(str(error).split("\n  "))))
            continue
        # An audio file that is named exactly like another portrait is that one's.
        if sound is None or (clip_id(sound.relative_to(audio)) != name and clip_id(sound.relative_to(audio)) in own):
            near = by_id.near(name)
            hint = f"; near: {', '.join(near)}" if near else ""
            alone.append(Refused(str(relative), "no_audio", f"no audio file is named {name!r}{hint}"))
        else:
            pairs.append((image, sound))
    used = {sound for _, sound in pairs}
    alone += list(_audio_alone(portraits, audio, images, [sound for sound in sounds if sound not in used]))
    if not pairs:
        raise DataError(
            "no portrait has an audio file of its name",
            expected="anna.png and anna.wav",
            found="; ".join(f"{item.file}: {item.reason}" for item in alone[:4]),
            fix="rename the files, or give every portrait every audio file: --pairs all",
        )
    return pairs, alone


def _audio_alone(portraits: Path, audio: Path, images: Sequence[Path], sounds: Sequence[Path]) -> Iterator[Refused]:
    by_id = FilesById(portraits, images)
    for sound in sounds:
        name = clip_id(sound.relative_to(audio))
        near = by_id.near(name)
        hint = f"; near: {', '.join(near)}" if near else ""
        yield Refused(str(sound.relative_to(audio)), "no_portrait", f"no portrait is named {name!r}{hint}")


def pair_plan(n_portraits: int, n_audio: int, clips: int | None, seed: int) -> list[tuple[int, int]]:
    """Which portrait speaks which audio: every pair, or so many that portraits and audio files occur evenly.

    Args:
        n_portraits: Number of portraits.
        n_audio: Number of audio files.
        clips: Number of pairs; all when None.
        seed: Decides which.

    Returns:
        Distinct pairs (portrait, audio) in order; numbers of occurrences of portraits differ by at most one, and so
        do those of audio files.

    >>> pair_plan(2, 2, None, 0)
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    total = n_portraits * n_audio
    if clips is None or clips >= total:
        return [(i, j) for i in range(n_portraits) for j in range(n_audio)]
    generator = numpy_generator(seed, "wild pairs")
    rows, columns = generator.permutation(n_portraits), generator.permutation(n_audio)
    # Both go round; when both are at their beginning again, the audio skips one, so that no pair comes twice.
    again = math.lcm(n_portraits, n_audio)
    order = ((rows[k % n_portraits], columns[(k + k // again) % n_audio]) for k in range(clips))
    return sorted((int(portrait), int(sound)) for portrait, sound in order)


class _Import:
    """The files so far."""

    def __init__(self, target: Path, options: WildOptions) -> None:
        self.refused: list[Refused] = []
        self.notices: list[str] = []
        self.notes: list[tuple[str, str, str]] = []
        self._root, self._options = target.parent, options
        self._listed = paths_listed(target)
        self._usable: dict[Path, _File] = {}
        self._ids: Counter[tuple[str, str]] = Counter()

    def has(self, portrait: Path, audio: Path) -> bool:
        """Whether both files can be used."""
        return portrait in self._usable and audio in self._usable

    def every_pair(self, images: Sequence[Path], sounds: Sequence[Path]) -> list[tuple[Path, Path]]:
        """All pairs of files that can be used, or so many as were asked for."""
        faces, voices = ([path for path in paths if path in self._usable] for paths in (images, sounds))
        plan = pair_plan(len(faces), len(voices), self._options.clips, self._options.seed)
        return [(faces[i], voices[j]) for i, j in plan]

    def add_portrait(self, path: Path, folder: Path) -> None:
        """Reads a portrait, looks for its face, crops it if asked; or says why it cannot be used."""
        from emo_bench.media.image import read_still_image

        relative = path.relative_to(folder)
        try:
            picture = read_still_image(path)
            box = self._face(picture.pixels, relative)
            _require_plain(relative)
            name = self._own_id("portrait", relative)
            if self._options.crop and box is not None:
                text, box = self._cropped(picture.pixels, box, name)
            else:
                text = self._place(path, folder, "portraits")
            self._usable[path] = _File(id=name, path=text, box=box)
        except ClipError as error:
            self.refused.append(Refused(str(relative), error.code, "; ".join(str(error).split("\n  "))))

    def add_audio(self, path: Path, folder: Path) -> None:
        """Decodes an audio file, or says why it cannot be used."""
        from emo_bench.media.audio_file import load_audio
        from emo_bench.media.decode import DEFAULT_RATE

        relative = path.relative_to(folder)
        try:
            loaded = load_audio(path, rate=DEFAULT_RATE)
            if len(loaded.audio.samples) == 0:
                raise ClipError(f"{path.name} has no samples", expected="at least one", found="none")
            _require_plain(relative)
            name = self._own_id("audio", relative)
            self._usable[path] = _File(id=name, path=self._place(path, folder, "audio"))
            unusual = [note for note in loaded.notes if note.code not in ROUTINE]
            self.notes += [(note.code, str(note), str(relative)) for note in unusual]
        except ClipError as error:
            self.refused.append(Refused(str(relative), error.code, "; ".join(str(error).split("\n  "))))

    def entry(self, portrait: Path, audio: Path, identity: str) -> ManifestEntry:
        """The line of a pair."""
        image, sound = self._usable[portrait], self._usable[audio]
        name = image.id if self._options.pairs == "name" else joint_id(image.id, sound.id)
        values: dict[str, Any] = {"face_box": image.box} if image.box is not None else {}
        return ManifestEntry(
            id=name,
            portrait=image.path,
            audio=sound.path,
            identity=identity,
            split=self._options.split,
            sha256=file_hashes(self._root, portrait=image.path, audio=sound.path),
            meta={"portrait": image.id, "audio": sound.id},
            **values,
        )

    def _own_id(self, kind: str, relative: Path) -> str:
        name = clip_id(relative)
        self._ids[kind, name] += 1
        if self._ids[kind, name] > 1:
            raise ClipError(
                f"another {kind} has the id {name!r} too", expected="names that differ before the ending",
                fix="rename one of them",
            )  # fmt: skip
        return name

    def _face(self, image: FrameArray, relative: Path) -> Box | None:
        """Where the face is.

        Raises:
            ClipError: when there is none, it is too small, or it is not clear which; not with ``face='any'``.
        """
        from emo_bench.data.portrait import largest_face

        if self._options.face == "any" and not self._options.crop:
            return None  # taken as it is, without a look
        try:
            box, notes = largest_face(image)
        except ClipError as error:
            if self._options.face == "any":
                self.notices.append(f"{relative}: {error.message}; taken as it is")
                return None
            fix = "crop the image to the face that is to speak"
            raise ClipError(error.message, expected=error.expected, found=error.found, fix=fix) from None
        self.notices += [f"{relative}: {note}" for note in notes]
        if box is None and self._options.face == "require":
            raise NoFaceError(
                "no face was found in the portrait", expected="one clearly visible face", found="none",
                fix="use another image; --face any takes faces that the detector does not know, such as drawings",
            )  # fmt: skip
        if box is None:
            self.notices.append(f"{relative}: no face was found; not cropped")
        return box

    def _cropped(self, image: FrameArray, box: Box, name: str) -> tuple[str, Box]:
        """Writes the square around a face; its path and the face's place in it."""
        from PIL import Image

        from emo_bench.data.portrait import Framing, square_around

        square = square_around(box, Framing(), height=image.shape[0], width=image.shape[1])
        text = f"{CROPPED}/{name}.png"
        picture = io.BytesIO()
        Image.fromarray(square.cut(image)).save(picture, format="PNG")
        write_beside(picture.getvalue(), self._root / text, is_own=text in self._listed)
        left, top, right, bottom = box
        moved = (left - square.left, top - square.top, right - square.left, bottom - square.top)
        return text, moved

    def _place(self, file: Path, folder: Path, name: str) -> str:
        """The path of a file in the manifest; copies it below the manifest first where it lies outside."""
        root = self._root.resolve()
        if file.resolve().is_relative_to(root):
            return file.resolve().relative_to(root).as_posix()
        text = f"{name}/{file.relative_to(folder).as_posix()}"
        copy = self._root / text
        copy_beside(file, copy, is_own=text in self._listed)
        return text


def _require_plain(relative: Path) -> None:
    """A manifest cannot hold every name that a file system can."""
    text = str(relative)
    if ":" in text or "\\" in text or text != text.encode("utf-8", "replace").decode("utf-8"):
        raise ClipError("a manifest cannot hold this name", expected="no ':' or '\\', and Unicode", fix="rename it")
