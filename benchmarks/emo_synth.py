"""What `emo-synth` reaches on people and sentences it has never seen: speech, boundaries, head, blinks, speed, region.

Everything is read from the generated frames by ``face/synth@1`` and compared with the truth of HDTF-Synth's test split
or with what the same reader sees on the real frames.

    python benchmarks/emo_synth.py --clips 12 --workers 2 --sheet docs/figures/emo-synth.png
    python benchmarks/emo_synth.py --split validation --audio-guidance 3     # settings are chosen on validation clips
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from emo_bench.systems.emo import EMBEDDED, weights_folder
from emo_bench.train.training_clips import load_slice
from emo_metrics.synth.face import EXPRESSION_NAMES, FaceNetworks
from emo_models.emo.extensions.segment_noise import SegmentNoise
from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions, recommended_sampling
from emo_models.emo.training.diagnostics import boundary_score
from emo_models.training.clips import CLOSED, TrainingClip
from emo_models.training.mouth_reader import correlation, lag_curve

SPEEDS = (0.1, 0.7, 1.3, 1.9)
STYLES = ("photo", "painting", "anime", "sketch", "cg")
Frames = NDArray[np.uint8]
Reading = dict[str, NDArray[np.generic]]
_ready: list[EMOPipeline] = []
"""What a worker process has loaded."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """One video to make."""

    portrait: Frames
    sound: NDArray[np.float32]
    options: SamplingOptions
    seed: int = 0
    region: tuple[float, float, float, float] | None = None


class Studio:
    """Makes videos in worker processes of one thread each; which one makes a video does not matter to it.

    The processes end with the block of ``with``.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(workers, _load, (folder,))
        self.processor_seconds = 0.0

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.terminate()

    def make(self, jobs: Iterable[Job]) -> list[Frames]:
        """The frames of each job, in order."""
        found = self._pool.map(_make, list(jobs), chunksize=1)
        self.processor_seconds = sum(seconds for _, seconds in found)
        return [frames for frames, _ in found]


def _load(folder: Path) -> None:
    torch.set_num_threads(1)
    _ready[:] = [EMOPipeline.from_pretrained(folder)]


def _make(job: Job) -> tuple[Frames, float]:
    began = time.process_time()
    made = _ready[0](job.portrait, job.sound, options=job.options, seed=job.seed, face_region=job.region)
    return made.frames, time.process_time() - began


def portrait_of(clip: TrainingClip) -> Frames:
    """The reference image of a clip."""
    return clip.frames[clip.reference_index]


def face_region(clip: TrainingClip) -> tuple[float, float, float, float]:
    """The union of the clip's face boxes as fractions of the image."""
    boxes, side = clip.labels["box"], clip.frames.shape[1]
    low, high = boxes[:, :2].min(0) / side, boxes[:, 2:].max(0) / side
    return float(max(low[0], 0)), float(max(low[1], 0)), float(min(high[0], 1)), float(min(high[1], 1))


def opening(reading: Reading) -> NDArray[np.float64]:
    """Mouth opening per frame, head units."""
    return np.nan_to_num(np.asarray(reading["mouth"], np.float64)[:, 0])


def head_speed(reading: Reading) -> float:
    """Mean rotation from frame to frame in degrees (yaw, pitch, roll together)."""
    steps = np.diff(np.asarray(reading["pose"], np.float64), axis=0)
    return float(np.nanmean(np.sqrt(np.square(steps).sum(axis=1))))


def head_spread(reading: Reading) -> float:
    """How far the head turns away from its mean pose, root mean square in degrees (yaw, pitch, roll together).

    Unlike `head_speed` it hardly sees the reader's own noise, half a degree from frame to frame.
    """
    pose = np.asarray(reading["pose"], np.float64)
    return float(np.sqrt(np.nanvar(pose, axis=0).sum()))


def likeness(readings: Sequence[Reading], portraits: Sequence[Reading], *, last: float = 1.0) -> float:
    """F-SIM: mean cosine of frames' and portraits' identity times 100, over the last share of the frames of each."""
    found = []
    for reading, portrait in zip(readings, portraits, strict=True):
        rows = np.asarray(reading["embedding"], np.float64)
        rows = rows[len(rows) - max(round(last * len(rows)), 1) :]
        found.append(100 * np.nanmean(rows @ np.asarray(portrait["embedding"], np.float64)[0]))
    return float(np.mean(found))


def eye_closure(reading: Reading) -> NDArray[np.float64]:
    """Per frame how far the eyes are closed, 0 to about 1."""
    columns = [EXPRESSION_NAMES.index("blink_left"), EXPRESSION_NAMES.index("blink_right")]
    closed: NDArray[np.float64] = np.asarray(reading["expression"], np.float64)[:, columns].mean(axis=1)
    return closed


def share_closed(readings: Sequence[Reading]) -> float:
    """Share of frames whose eyes are more closed than open."""
    return float((np.concatenate([eye_closure(reading) for reading in readings]) > CLOSED).mean())


def blinks(reading: Reading) -> int:
    """How often the eyes close; that they open again shows in `share_closed`."""
    closed = eye_closure(reading) > CLOSED
    return int((np.diff(closed.astype(np.int8)) == 1).sum() + closed[0])


def kept_inside(
    reading: Reading, region: tuple[float, float, float, float], side: int, *, slack: float = 0.03
) -> float:
    """Share of frames whose landmarks all lie in the region, give or take ``slack`` of the image's side."""
    points = np.asarray(reading["points68"], np.float64) / side
    low, high = np.asarray(region[:2]) - slack, np.asarray(region[2:]) + slack
    return float(((points >= low) & (points <= high)).all(axis=(1, 2)).mean())


def spread(clips: Sequence[TrainingClip], count: int) -> list[TrainingClip]:
    """``count`` clips spread evenly."""
    return [clips[int(i)] for i in np.linspace(0, len(clips) - 1, min(count, len(clips)))]


def row(name: str, value: str) -> str:
    """A line of the table."""
    return f"| {name} | {value} |\n"


def mouth_correlations(clips: Sequence[TrainingClip], seen: Sequence[Reading]) -> list[float]:
    """Per clip the correlation of the mouth's opening in the generated frames with the truth."""
    return [
        correlation(opening(a), clip.labels["mouth_opening"].astype(np.float64)[: len(a["mouth"])])
        for clip, a in zip(clips, seen, strict=True)
    ]


def style_of(clip: TrainingClip) -> str:
    """Identities go round the styles."""
    return STYLES[int(clip.identity.rsplit("-", 1)[1]) % len(STYLES)]


def mouth_width(clip: TrainingClip) -> float:
    """Median width of the mouth in pixels."""
    lips = clip.labels["landmarks68"][:, 48:68, 0]
    return float(np.median(lips.max(1) - lips.min(1)))


def table_per_clip(clips: Sequence[TrainingClip], made: Sequence[Frames], reader: FaceNetworks, path: Path) -> None:
    """One line a clip, so that what a mean hides can be found."""
    seen = [reader.read(frames) for frames in made]
    lines = ["clip,style,mouth_correlation,mouth_width_pixels,head_degrees_per_frame,blinks"]
    for clip, reading, found in zip(clips, seen, mouth_correlations(clips, seen), strict=True):
        lines.append(
            f"{clip.id},{style_of(clip)},{found:.3f},{mouth_width(clip):.1f},{head_speed(reading):.3f},{blinks(reading)}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def speech_rows(
    clips: Sequence[TrainingClip], made: Sequence[Frames], wrong: Sequence[Frames], reader: FaceNetworks, length: int
) -> str:
    """Mouth, head, blinks and boundaries of segments of ``length`` frames, and the mouth from another clip's audio."""
    truth = [clip.labels["mouth_opening"].astype(np.float64) for clip in clips]
    own = [reader.read(clip.frames) for clip in clips]
    portraits = [reader.read(portrait_of(clip)[None]) for clip in clips]
    seen = [reader.read(frames) for frames in made]
    other = [opening(reader.read(frames)) for frames in wrong]
    each = mouth_correlations(clips, seen)
    real = [correlation(opening(a), b) for a, b in zip(own, truth, strict=True)]
    lags = lag_curve([opening(a) for a in seen], truth)
    peak = max(lags, key=lambda lag: lags[lag])
    found = np.concatenate([np.asarray(a["found"]) for a in seen])
    shuffled = [correlation(a, b[: len(a)]) for a, b in zip(other, truth, strict=True)] if other else []
    jumps = [boundary_score(frames, segment_frames=length) for frames in made]
    real_jumps = [boundary_score(clip.frames, segment_frames=length) for clip in clips]
    return (
        row("mouth opening against the labels, mean correlation", f"{np.mean(each):.3f}")
        + row("… median, least", f"{np.median(each):.3f}, {np.min(each):.3f}")
        + row("… the reader's own on the real frames", f"{np.mean(real):.3f}")
        + (row("… with another clip's audio", f"{np.mean(shuffled):.3f}") if shuffled else "")
        + row("… lag of the peak (frames, positive is late)", f"{peak:+d}")
        + row("… at lags -2, -1, 0, +1, +2", ", ".join(f"{lags[k]:.3f}" for k in (-2, -1, 0, 1, 2)))
        + row("frames with a face", f"{found.mean():.4f}")
        + row("F-SIM to the portrait (real)", f"{likeness(seen, portraits):.1f} ({likeness(own, portraits):.1f})")
        + row(
            "… in the last quarter",
            f"{likeness(seen, portraits, last=0.25):.1f} ({likeness(own, portraits, last=0.25):.1f})",
        )
        + row(
            "boundary score (real frames at the same places)",
            f"{np.mean(jumps):.3f} ({np.mean(real_jumps):.3f})",
        )
        + row(
            "head rotation, degrees a frame (real)",
            f"{np.mean([head_speed(a) for a in seen]):.3f} ({np.mean([head_speed(a) for a in own]):.3f})",
        )
        + row(
            "head away from its mean pose, degrees (real)",
            f"{np.mean([head_spread(a) for a in seen]):.2f} ({np.mean([head_spread(a) for a in own]):.2f})",
        )
        + row("blinks in all clips (real)", f"{sum(map(blinks, seen))} ({sum(map(blinks, own))})")
        + row("frames with closed eyes (real)", f"{share_closed(seen):.3f} ({share_closed(own):.3f})")
    )


def control_rows(studio: Studio, clips: Sequence[TrainingClip], reader: FaceNetworks, base: SamplingOptions) -> str:
    """Speed and face region."""
    jobs = [
        Job(portrait=portrait_of(clip), sound=clip.audio, options=replace(base, speed=speed), seed=1)
        for speed in SPEEDS
        for clip in clips
    ]
    turned = np.array([head_speed(reader.read(frames)) for frames in studio.make(jobs)]).reshape(len(SPEEDS), -1)
    means = turned.mean(1)
    shown = ", ".join(f"{speed}: {value:.3f}" for speed, value in zip(SPEEDS, means, strict=True))
    text = row("head rotation at speed", shown + (" (monotone)" if (np.diff(means) > 0).all() else " (not monotone)"))
    regions = [face_region(clip) for clip in clips]
    jobs = [
        Job(portrait=portrait_of(clip), sound=clip.audio, options=base, seed=2, region=region)
        for clip, region in zip(clips, regions, strict=True)
    ]
    inside = [
        kept_inside(reader.read(frames), region, frames.shape[1])
        for frames, region in zip(studio.make(jobs), regions, strict=True)
    ]
    return text + row(
        f"frames with all landmarks in the face region (this and speed: {len(clips)} clips)", f"{np.mean(inside):.3f}"
    )


def heard_row(pipeline: EMOPipeline, clips: Sequence[TrainingClip]) -> str:
    """What the small speech encoder predicts of the mouth; nothing is known of others."""
    encoder = pipeline.audio_encoder
    if not isinstance(encoder, SpeechNetEncoder):
        return ""
    found = [
        correlation(
            encoder.heard_opening(clip.audio, len(clip.frames)), clip.labels["mouth_opening"].astype(np.float64)
        )
        for clip in clips
    ]
    return row(
        "mouth opening as the speech encoder predicts it, mean and least", f"{np.mean(found):.3f}, {np.min(found):.3f}"
    )


def contact_sheet(clips: Sequence[TrainingClip], made: Sequence[Frames], path: Path, *, columns: int = 9) -> None:
    """For a clip of each style: portrait, then generated frames over the real ones."""
    from PIL import Image

    rows = []
    for clip, frames in zip(clips, made, strict=True):
        chosen = np.linspace(0, len(frames) - 1, columns).astype(int)
        gap = np.full((clip.frames.shape[1], 4, 3), 255, np.uint8)
        rows += [
            np.concatenate([portrait_of(clip), gap, *[source[i] for i in chosen]], axis=1)
            for source in (frames, clip.frames)
        ]
        rows.append(np.full((6, rows[-1].shape[1], 3), 255, np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


def sampling_asked_for(pipeline: EMOPipeline, arguments: argparse.Namespace) -> SamplingOptions:
    """What the weights recommend, changed where the command line says so."""
    base = recommended_sampling(pipeline.facts)
    asked = {name: getattr(arguments, name) for name in ("steps", "sampler", "segment_noise", "shift")}
    scales = {"audio": arguments.audio_guidance, "speed": arguments.speed_guidance}
    interval = arguments.guidance_interval
    guidance = replace(base.guidance, **{name: value for name, value in scales.items() if value is not None})
    if interval is not None:
        guidance = replace(guidance, interval=tuple(interval))
    return base.changed(guidance=guidance, **{name: value for name, value in asked.items() if value is not None})


def arguments_given() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default=EMBEDDED)
    parser.add_argument("--data", type=Path, default=Path("data/hdtf-synth"))
    parser.add_argument("--cache", type=Path, default=Path("runs/.train/extractors/clips"))
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--control-clips", type=int, default=3, help="for speed and face region; 0 leaves them out")
    parser.add_argument("--other-sound", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--steps", type=int, help="by default, as all of these, what the weights recommend")
    parser.add_argument("--sampler", choices=("ddim", "dpmsolver++", "unipc"))
    parser.add_argument("--audio-guidance", type=float)
    parser.add_argument("--speed-guidance", type=float)
    parser.add_argument("--guidance-interval", type=float, nargs=2, metavar=("LOW", "HIGH"))
    parser.add_argument("--segment-noise", choices=get_args(SegmentNoise))
    parser.add_argument("--shift", type=float)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--sheet", type=Path, help="a picture: portrait and frames of a clip of each style")
    parser.add_argument("--per-clip", type=Path, help="a CSV file with a line for each clip")
    return parser.parse_args()


def main() -> None:
    """Measures and prints; see the module's text."""
    arguments = arguments_given()
    torch.set_num_threads(1)
    folder = weights_folder(arguments.pipeline, Path())
    with Studio(folder, arguments.workers) as studio:
        measure(EMOPipeline.from_pretrained(folder), studio, arguments)


def measure(pipeline: EMOPipeline, studio: Studio, arguments: argparse.Namespace) -> None:
    """Makes the videos and prints the table."""
    reader = FaceNetworks()
    clips = spread(load_slice(arguments.data, arguments.split, cache=arguments.cache), arguments.clips)
    base = sampling_asked_for(pipeline, arguments)

    def videos(sounds: Sequence[TrainingClip]) -> list[Frames]:
        jobs = (
            Job(portrait=portrait_of(clip), sound=sound.audio, options=base)
            for clip, sound in zip(clips, sounds, strict=True)
        )
        return [made[: len(clip.frames)] for made, clip in zip(studio.make(jobs), clips, strict=True)]

    made = videos(clips)
    used = studio.processor_seconds / (sum(len(frames) for frames in made) / pipeline.fps)
    wrong = videos([*clips[1:], clips[0]]) if arguments.other_sound else []
    text = "| what | value |\n| --- | --- |\n"
    text += row(f"clips of the {arguments.split} split (people, sentences unseen)", f"{len(clips)} of 3 s")
    low, high = base.guidance.interval
    guided = f"audio guidance {base.guidance.audio:g}" + (f" from {low:g} to {high:g}" if high - low < 1 else "")
    text += row(
        "sampling",
        f"{base.sampler}, {base.steps} steps, shift {base.shift:g}, {guided}, {base.segment_noise} noise per segment",
    )
    text += speech_rows(clips, made, wrong, reader, pipeline.model.architecture.segment.frames)
    text += heard_row(pipeline, clips)
    if arguments.control_clips:
        text += control_rows(studio, spread(clips, arguments.control_clips), reader, base)
    text += row("processor seconds a second of video", f"{used:.2f}")
    print(text)
    if arguments.into:
        arguments.into.write_text(text, encoding="utf-8")
    if arguments.per_clip:
        table_per_clip(clips, made, reader, arguments.per_clip)
    if arguments.sheet:
        styles = [style_of(clip) for clip in clips]
        first = [styles.index(style) for style in sorted(set(styles))]
        contact_sheet([clips[i] for i in first], [made[i] for i in first], arguments.sheet)


if __name__ == "__main__":
    main()
