"""Finds and checks what an external program left behind: one video, by a stated rule, as long as the audio."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo_bench.media.notes import Note
from emo_bench.media.types import FrameArray, Video, VideoSpec
from emo_bench.systems.conform import conform_length, size_notes
from emo_bench.systems.external.card import OutputRule
from emo_bench.systems.external.workspace import OUTPUT_NAME, Workspace
from emo_bench.systems.system import GenerationRequest
from emo_core.errors import GenerationError, NoFaceError

FaceLocator = Callable[[FrameArray], "tuple[float, float, float, float] | None"]
"""Finds the face in one ``uint8 RGB [H, W, 3]``: left, top, right, bottom in pixels, or None."""

_RATE_TOLERANCE = 0.01
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class CheckedOutput:
    """A result that passed.

    Attributes:
        video: Exactly as many frames as asked for, at the wanted rate.
        notes: What was done to it.
    """

    video: Video
    notes: tuple[str, ...]


def find_output(space: Workspace, rule: OutputRule, *, not_before: float) -> Path:
    """The one file that the rule names.

    Links are not followed (what a repository brought along is no result), and files older than the run do not count.

    Args:
        space: Where the program ran.
        rule: The card's rule.
        not_before: Time (seconds since the epoch) at which the program was started.

    Raises:
        GenerationError: when there is none, or there are several and the rule does not choose.
    """
    root, pattern = _root_and_pattern(space, rule.glob)
    found = [path for path in sorted(root.glob(pattern)) if path.is_file() and not _is_linked(path, root)]
    fresh = [path for path in found if path.stat().st_mtime >= not_before - 1.0]
    kept = [path for path in fresh if not any(fnmatch.fnmatch(path.name, skip) for skip in rule.exclude)]
    if not kept:
        raise GenerationError(
            "the program left no video",
            expected=f"a new file that matches {rule.glob}",
            found=_listing(space) or "no files at all",
        )
    if len(kept) > 1 and rule.choose == "only":
        names = ", ".join(path.name for path in kept[:_SHOWN])
        raise GenerationError(
            "the program left several videos and the card does not say which one counts",
            expected=f"one file that matches {rule.glob}",
            found=f"{len(kept)}: {names}",
            fix="narrow 'output.glob', add 'output.exclude', or set 'output.choose: newest'",
        )
    return max(kept, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _root_and_pattern(space: Workspace, glob: str) -> tuple[Path, str]:
    if glob.startswith("{output_dir}/"):
        return space.output_dir, glob.removeprefix("{output_dir}/")
    if glob.startswith("{output}"):
        return space.output_dir, OUTPUT_NAME + glob.removeprefix("{output}")
    return space.cwd, glob


def _is_linked(path: Path, root: Path) -> bool:
    return not path.resolve().is_relative_to(root.resolve())


def _listing(space: Workspace) -> str:
    files = [
        path.relative_to(space.folder.path).as_posix()
        for folder in (space.output_dir, space.cwd)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_linked(path, folder)
    ]
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more


def check_output(
    path: Path,
    rule: OutputRule,
    request: GenerationRequest,
    *,
    locate_face: FaceLocator | None = None,
) -> CheckedOutput:
    """Decodes a result in a limited child process, converts its rate, checks its length and optionally its face.

    Raises:
        DecodeError: when it is no readable video.
        GenerationError: when it is not as long as the audio, or too small for the card's crop.
        NoFaceError: when a face is asked for and none is seen at the beginning, middle and end.
    """
    from emo_bench.media.decode import load_video

    loaded = load_video(path, fps=request.fps)
    video, info, notes = loaded.video, loaded.info, list(loaded.notes)
    source_rate = float(info.average_fps or 0)
    if rule.fps is not None and source_rate and abs(source_rate / rule.fps - 1) > _RATE_TOLERANCE:
        text = f"the card expects {rule.fps:g} frames per second, found {source_rate:g}"
        notes.append(Note("unexpected_rate", text, {"found": source_rate, "expected": rule.fps}))
    if rule.has_audio and info.n_audio_streams == 0:
        notes.append(Note("no_own_audio", "the program wrote no audio; the driving audio is used"))
    if rule.crop is not None:
        video = _cropped(video, rule.crop)
    if rule.lead_s:
        lead = round(rule.lead_s * request.fps)
        video = _without_lead(video, lead)
        notes.append(Note("lead_cut", f"{lead} frames before the audio were cut", {"frames": lead}))
    video, changed = conform_length(
        video,
        n_frames=request.n_frames,
        tolerance_s=rule.length_tolerance_s,
        option="output.length_tolerance_s of the card",
    )
    notes += changed
    notes += size_notes(video, request)
    if locate_face is not None:
        _require_face(video, locate_face)
    return CheckedOutput(video, tuple(notes))


def _without_lead(video: Video, n_frames: int) -> Video:
    spec = video.spec
    if n_frames >= spec.n_frames:
        raise GenerationError(
            "the video ends before its audio begins",
            expected=f"more than {n_frames} frames",
            found=f"{spec.n_frames}",
            fix="check 'output.lead_s' of the card",
        )
    rest = VideoSpec(width=spec.width, height=spec.height, fps=spec.fps, n_frames=spec.n_frames - n_frames)

    def pieces() -> Iterator[FrameArray]:
        to_skip = n_frames
        for piece in video.open():
            if to_skip < len(piece):
                yield piece[to_skip:]
            to_skip = max(0, to_skip - len(piece))

    return Video(rest, pieces)


def _cropped(video: Video, crop: tuple[int, int, int, int]) -> Video:
    left, top, right, bottom = crop
    spec = video.spec
    if right > spec.width or bottom > spec.height:
        raise GenerationError(
            "the video is smaller than the part of it that the card names",
            expected=f"at least {right}x{bottom} pixels",
            found=f"{spec.width}x{spec.height}",
        )
    part = VideoSpec(width=right - left, height=bottom - top, fps=spec.fps, n_frames=spec.n_frames)

    def pieces() -> Iterator[FrameArray]:
        for piece in video.open():
            yield np.ascontiguousarray(piece[:, top:bottom, left:right])

    return Video(part, pieces)


def _require_face(video: Video, locate: FaceLocator) -> None:
    wanted = {0, video.spec.n_frames // 2, video.spec.n_frames - 1}
    index = 0
    for piece in video.open():
        for frame in piece:
            if index in wanted and locate(frame) is not None:
                return
            index += 1
    raise NoFaceError(
        "no face in the generated video", expected="a face at the beginning, middle or end", found="none in 3 frames"
    )
