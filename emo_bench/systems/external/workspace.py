"""The folder in which one external run happens: inputs under plain names, a view of the repository, room for output."""

from __future__ import annotations

import fnmatch
import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np

from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec
from emo_bench.systems.external.card import PLACEHOLDER, ImageInput, SystemCard
from emo_bench.systems.system import GenerationRequest
from emo_core.atomic import owner
from emo_core.errors import GenerationError

OUTPUT_NAME = "result.mp4"


class TemporaryFolder:
    """A folder that lives as long as this object does; frames may be read from it long after the run.

    Args:
        parent: Where it is made; the system's place for temporary files when None.
    """

    def __init__(self, parent: Path | None) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"emo-bench-{owner()}-", dir=parent)).resolve()
        except OSError as error:
            raise GenerationError(
                f"no working folder can be made in {parent or tempfile.gettempdir()}",
                expected="a folder that can be written",
                found=str(error),
                fix="set 'work_folder' of this system to another place",
            ) from None
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def remove(self) -> None:
        """Deletes the folder now."""
        self._finalizer()


@dataclass(frozen=True, eq=False, kw_only=True)
class Workspace:
    """Where things lie in one run.

    Attributes:
        folder: Owner of everything.
        cwd: Working folder of the program, a view of the repository.
        output_dir: For results.
        values: What placeholders stand for.
    """

    folder: TemporaryFolder
    cwd: Path
    output_dir: Path
    values: Mapping[str, str | int | float]

    def argument(self, template: str) -> str:
        """Fills in one argument; whatever the values hold, it stays one argument."""
        return _filled(template, {name: str(value) for name, value in self.values.items()})

    def file_text(self, template: str, *, quoted: bool = True) -> str:
        """Fills in a file; quoted values become JSON, which YAML reads as well."""
        if not quoted:
            return self.argument(template)
        return _filled(template, {name: json.dumps(value) for name, value in self.values.items()})


def prepare(
    card: SystemCard,
    request: GenerationRequest,
    *,
    repository: Path | None,
    python: str,
    parent: Path | None = None,
) -> Workspace:
    """Makes the folder of one run and writes the inputs into it.

    All names in it are plain (letters, digits, dots), because many programs hand paths to a shell of their own.

    Args:
        card: The system.
        request: The clip.
        repository: Its checkout; None for programs without one.
        python: What ``{python}`` stands for.
        parent: Where working folders are made.

    Raises:
        GenerationError: when no folder can be made or the card needs a driving video that is not there.
    """
    folder = TemporaryFolder(parent)
    cwd, inputs, output_dir, scratch = (folder.path / name for name in ("run", "in", "out", "tmp"))
    for path in (cwd, inputs, output_dir, scratch):
        path.mkdir()
    if repository is not None:
        # What is written below must not reach the repository through a link to one of its folders.
        written = [card.inputs.image.folder, card.inputs.audio.folder, *(_folder_of(file.path) for file in card.files)]
        own: dict[str, tuple[str, ...]] = {folder: () for folder in written if folder}
        view_of(repository, cwd, private={**own, **{item.path: item.without for item in card.private}})
    image = (cwd / card.inputs.image.folder if card.inputs.image.folder else inputs) / card.inputs.image.file
    audio = (cwd / card.inputs.audio.folder if card.inputs.audio.folder else inputs) / card.inputs.audio.file
    write_image(image, request.reference_image, card.inputs.image)
    write_audio(audio, request.audio, rate=card.inputs.audio.rate)
    values: dict[str, str | int | float] = {
        "image": str(image),
        "audio": str(audio),
        "output": str(output_dir / OUTPUT_NAME),
        "output_dir": str(output_dir),
        "work": str(cwd),
        "repository": str(repository or cwd),
        "weights": str(repository or cwd),
        "python": python,
        "seed": request.seed % (1 << 31),
        "fps": _number(request.fps),
        "frames": request.n_frames,
        "seconds": round(request.audio.seconds, 3),
    }
    if card.inputs.video is not None:
        video = inputs / card.inputs.video.file
        write_video(video, request, driving=card.inputs.video.source == "driving")
        values["video"] = str(video)
    space = Workspace(folder=folder, cwd=cwd, output_dir=output_dir, values=values)
    for file in card.files:
        target = cwd / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # never write through a link into the repository
        target.write_text(space.file_text(file.text, quoted=file.quoted), encoding="utf-8")
    return space


def view_of(repository: Path, target: Path, *, private: Mapping[str, tuple[str, ...]]) -> None:
    """Fills ``target`` with links to what lies in ``repository``; private folders become real ones with links inside.

    Args:
        repository: Stays untouched.
        target: An empty folder.
        private: Folder below the repository -> patterns of names that are left out; missing ones are made.
    """
    folders = {Path(): (".git",), **{Path(name): without for name, without in sorted(private.items())}}
    for name in list(folders):
        for parent in name.parents:
            folders.setdefault(parent, ())
    for name in sorted(folders, key=lambda item: len(item.parts)):
        (target / name).mkdir(exist_ok=True)
        source = repository / name
        for entry in sorted(source.iterdir()) if source.is_dir() else ():
            left_out = any(fnmatch.fnmatch(entry.name, pattern) for pattern in folders[name])
            if not left_out and name / entry.name not in folders:
                (target / name / entry.name).symlink_to(entry.resolve())


def write_image(path: Path, image: FrameArray, wanted: ImageInput) -> None:
    """Writes the portrait as PNG (lossless) or JPEG (quality 98, no chroma subsampling)."""
    from PIL import Image

    picture = Image.fromarray(image)
    if wanted.size is not None:
        picture = picture.resize(wanted.size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if path.suffix == ".jpg":
        picture.save(path, quality=98, subsampling=0)
    else:
        picture.save(path)


def write_audio(path: Path, audio: Audio, *, rate: int) -> None:
    """Writes 16-bit mono WAV at ``rate``."""
    import soundfile

    samples = audio.samples
    if rate != audio.rate:
        import soxr

        samples = np.asarray(soxr.resample(samples, audio.rate, rate, quality="HQ"), dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    soundfile.write(str(path), np.clip(samples, -1.0, 1.0), rate, subtype="PCM_16")


def write_video(path: Path, request: GenerationRequest, *, driving: bool) -> None:
    """Writes the video to speak over, silent H.264 of high quality: the portrait repeated, or the ground truth."""
    from emo_bench.media.preview import write_preview
    from emo_bench.systems.anchors import FrozenReference
    from emo_bench.systems.system import NoOptions

    if driving and request.driving is None:
        raise GenerationError("this system speaks over the ground truth", expected="a driving clip", found="none")
    if driving and request.driving is not None:
        video = request.driving.video
    else:
        video = FrozenReference(NoOptions()).generate(request).video
    write_preview(path, _even(video), None, crf=10)


def _even(video: Video) -> Video:
    """Cuts one row or column off images with odd sides, which H.264 with subsampled colour cannot hold."""
    spec = video.spec
    width, height = spec.width // 2 * 2, spec.height // 2 * 2
    if (width, height) == (spec.width, spec.height):
        return video
    even = VideoSpec(width=width, height=height, fps=spec.fps, n_frames=spec.n_frames)
    return Video(even, lambda: (piece[:, :height, :width] for piece in video.open()))


def _folder_of(path: str) -> str:
    parent = PurePosixPath(path).parent.as_posix()
    return "" if parent == "." else parent


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)


def _filled(template: str, values: Mapping[str, str]) -> str:
    # One pass over the template, so that braces inside a value are never taken for placeholders.
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)
