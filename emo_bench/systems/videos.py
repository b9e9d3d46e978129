"""Already generated videos: a folder with one video per clip, for methods whose code is not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from emo_bench.config.schema import Frozen
from emo_bench.data.naming import ClipVideos, listed
from emo_bench.systems.conform import conform_length, size_notes
from emo_bench.systems.system import FrameSource, GeneratedClip, GenerationRequest, SystemContext, SystemKind
from emo_core.errors import ConfigError, GenerationError
from emo_core.hashing import sha256_file


class VideosOptions(Frozen):
    """Where the videos lie and how they are named."""

    folder: str = Field(description="Folder of the videos, relative to the suite file")
    pattern: str = Field(
        default="{id}",
        description="Path below the folder without extension; '{id}' stands for the clip's id",
        min_length=1,
    )
    length_tolerance_s: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Seconds that a video may be longer (it is cut) or shorter (its last frame is held) than its audio",
    )

    @field_validator("pattern")
    @classmethod
    def _names_the_clip(cls, value: str) -> str:
        if "{id}" not in value:
            raise ValueError("expected '{id}' in the pattern; without it every clip would get the same video")
        return value


class Videos(SystemKind):
    """Reads one finished video per clip, brings it to the suite's frame rate and checks its length.

    Which file belongs to which clip follows ``emo_bench.data.naming``, as for ``data import``.
    """

    options_model: ClassVar[type[Frozen]] = VideosOptions
    code_version: ClassVar[int] = 3
    files_last: ClassVar[bool] = True
    frames: ClassVar[FrameSource] = "file"

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._known: ClipVideos | None = None

    def load(self, context: SystemContext) -> None:
        """Lists the folder."""
        self._videos(context)

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """Nothing for the system as a whole: each clip depends on its own file.

        Raises:
            ConfigError: when there is no such folder, when several files fit one clip, or no file fits any clip.
        """
        videos = self._videos(context)
        several = [clip for clip in context.clip_ids if len(videos.candidates(clip)) > 1]
        if several:
            text = "; ".join(
                f"{clip}: {', '.join(videos.relative(path) for path in videos.candidates(clip))}"
                for clip in several[:5]
            )
            raise ConfigError(
                f"several videos fit one clip, {len(several)} times",
                expected="one video a clip",
                found=text,
                fix="remove or rename all but one, or say with 'pattern' how the right ones are named",
            )
        if context.clip_ids and len(videos.missing()) == len(set(context.clip_ids)):
            found = listed(videos.relative(path) for path in videos.files.videos) or "no videos"
            raise ConfigError(
                f"no video below {self._folder(context)} fits any clip",
                expected=f"names such as {self._expected(context.clip_ids[0])}",
                found=found,
                fix="name the videos after the clips, or say with 'pattern' how they are named",
            )
        return {}

    def notices(self, context: SystemContext) -> tuple[str, ...]:
        """Files that fit no clip, clips that no file fits, and audio files, which are not used."""
        videos = self._videos(context)
        unmatched, missing = videos.unmatched(), videos.missing()
        audio = [videos.relative(path) for path in videos.files.audio]
        checks = [
            (
                unmatched,
                f"videos that fit no clip, {len(unmatched)}: {listed(map(videos.relative, unmatched))}",
            ),
            (missing, f"clips without a video, {len(missing)}: {listed(missing)}"),
            (audio, f"audio files are not used, clips are scored with the reference's audio: {listed(audio)}"),
        ]
        return tuple(text for names, text in checks if names)

    def clip_dependencies(self, clip_id: str, context: SystemContext) -> Mapping[str, Any]:
        """The digest of this clip's video; of all candidates where several fit, which ``generate`` refuses."""
        digests = [sha256_file(path) for path in self._videos(context).candidates(clip_id)]
        return {"video": digests[0] if len(digests) == 1 else digests or None}

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Decodes the clip's video in a limited child process.

        Raises:
            GenerationError: when it is missing or its length is wrong.
            AmbiguousNameError: when several files fit the clip.
            DecodeError: when it is broken.
        """
        from emo_bench.media.decode import load_video

        if self._known is None:
            raise RuntimeError("load() comes before generate()")
        path = self._known.find(request.clip_id)
        if path is None:
            raise GenerationError(
                f"no video for clip {request.clip_id!r}",
                expected=self._expected(request.clip_id),
                found=f"no such file in {self.options.folder}",
            )
        loaded = load_video(path, fps=request.fps)
        video, tolerance = loaded.video, self.options.length_tolerance_s
        conformed, changed = conform_length(video, n_frames=request.n_frames, tolerance_s=tolerance)
        return GeneratedClip(
            video=conformed,
            audio=request.audio,
            notes=(*loaded.notes, *changed, *size_notes(video, request)),
        )

    def _videos(self, context: SystemContext) -> ClipVideos:
        """The folder's videos, listed once."""
        if self._known is None:
            folder = self._folder(context)
            if not folder.is_dir():
                raise ConfigError(f"no folder {folder}", expected="a folder of generated videos", fix="check 'folder'")
            self._known = ClipVideos(folder, pattern=self.options.pattern, clip_ids=context.clip_ids)
        return self._known

    def _folder(self, context: SystemContext) -> Path:
        folder: Path = context.base / self.options.folder
        return folder

    def _expected(self, clip_id: str) -> str:
        return f"{self.options.pattern.replace('{id}', clip_id)}.mp4 or with another ending of videos"
