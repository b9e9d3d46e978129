"""Already generated videos: a folder with one video per clip, for methods whose code is not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from emo_bench.config.schema import Frozen
from emo_bench.media.types import Video
from emo_bench.systems.conform import fit_length
from emo_bench.systems.system import GeneratedClip, GenerationRequest, SystemContext, SystemKind
from emo_core.errors import ConfigError, GenerationError
from emo_core.hashing import sha256_file

EXTENSIONS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg")


class VideosOptions(Frozen):
    """Where the videos lie and how they are named."""

    folder: str = Field(description="Folder of the videos, relative to the suite file")
    pattern: str = Field(
        default="{id}", description="File name without extension; '{id}' stands for the clip's id", min_length=1
    )
    length_tolerance_s: float = Field(
        default=0.2, ge=0, le=10, description="A video that much shorter or longer than its audio is cut or held"
    )

    @field_validator("pattern")
    @classmethod
    def _names_the_clip(cls, value: str) -> str:
        if "{id}" not in value:
            raise ValueError("expected '{id}' in the pattern; without it every clip would get the same video")
        return value


class Videos(SystemKind):
    """Reads one finished video per clip, brings it to the suite's frame rate and checks its length."""

    options_model: ClassVar[type[Frozen]] = VideosOptions

    def load(self, context: SystemContext) -> None:
        """Remembers where the folder is."""
        self._folder = self._existing_folder(context)

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """Nothing for the system as a whole: each clip depends on its own file."""
        self._existing_folder(context)
        return {}

    def clip_dependencies(self, clip_id: str, context: SystemContext) -> Mapping[str, Any]:
        """The digest of this clip's video."""
        path = self._find(self._existing_folder(context), clip_id)
        return {"video": sha256_file(path) if path else None}

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Decodes the clip's video in a limited child process.

        Raises:
            GenerationError: when it is missing or its length is wrong.
            DecodeError: when it is broken.
        """
        from emo_bench.media.decode import open_video

        path = self._find(self._folder, request.clip_id)
        if path is None:
            raise GenerationError(
                f"no video for clip {request.clip_id!r}",
                expected=f"{self.options.pattern.replace('{id}', request.clip_id)}{{{','.join(EXTENSIONS)}}}",
                found=f"no such file in {self._folder}",
            )
        video = open_video(path, fps=request.fps)
        return GeneratedClip(
            video=self._to_length(video, request.n_frames), audio=request.audio, notes=self._notes(video, request)
        )

    def _to_length(self, video: Video, n_frames: int) -> Video:
        tolerance = round(self.options.length_tolerance_s * video.spec.fps)
        if abs(video.spec.n_frames - n_frames) > tolerance:
            raise GenerationError(
                "the video is not as long as the audio",
                expected=f"{n_frames} frames, give or take {tolerance}",
                found=f"{video.spec.n_frames} frames",
                fix="generate it again from the whole audio",
            )
        return fit_length(video, n_frames=n_frames)

    def _notes(self, video: Video, request: GenerationRequest) -> tuple[str, ...]:
        notes = []
        if video.spec.n_frames != request.n_frames:
            notes.append(f"length {video.spec.n_frames} -> {request.n_frames} frames")
        if (video.spec.width, video.spec.height) != (request.width, request.height):
            notes.append(f"size {video.spec.width}x{video.spec.height} -> {request.width}x{request.height}")
        return tuple(notes)

    def _existing_folder(self, context: SystemContext) -> Path:
        folder: Path = context.base / self.options.folder
        if not folder.is_dir():
            raise ConfigError(f"no folder {folder}", expected="a folder of generated videos", fix="check 'folder'")
        return folder

    def _find(self, folder: Path, clip_id: str) -> Path | None:
        stem = self.options.pattern.replace("{id}", clip_id)
        for extension in EXTENSIONS:
            path = folder / f"{stem}{extension}"
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
        return None
