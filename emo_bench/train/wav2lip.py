"""Trains Wav2Lip: prepares faces, runs expert and generator, measures on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo_bench.train.config import Wav2LipTraining
from emo_bench.train.training_clips import open_training_clips
from emo_bench.train.unseen_people import tell_known_people
from emo_core.atomic import write_text
from emo_core.hashing import digest_of

if TYPE_CHECKING:
    from emo_models.baselines.wav2lip.config import Wav2LipConfig
    from emo_models.baselines.wav2lip.sync_expert import SyncExpert
    from emo_models.baselines.wav2lip.training import ExpertTrainer, GeneratorTrainer
    from emo_models.baselines.wav2lip.windows import FaceClip
    from emo_models.training.clips import TrainingClips
    from emo_models.training.loop import AfterStep, Losses
    from emo_models.training.mouth_reader import MouthReader

Say = Callable[[str], None]
READER_JITTER = 2.0
"""Pixels by which the reader's crops move, in face crops; half a lip's height."""


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What came of it.

    Attributes:
        weights: The generator as safetensors.
        steps: Steps of the generator.
        minutes: Time of this call.
        log: One JSON object a line: steps, losses, measurements.
    """

    weights: Path
    steps: int
    minutes: float
    log: Path


def train_wav2lip(config: Wav2LipTraining, folder: Path, *, say: Say = lambda text: None) -> TrainingReport:
    """Trains, or resumes, what a training file describes.

    Args:
        config: The training file.
        folder: Of checkpoints, log and weights.
        say: Called with one line of text now and then.

    Raises:
        DataError: when a manifest or a split is missing, or a clip has no labels.
    """
    from emo_models.baselines.wav2lip.checkpoints import save_generator
    from emo_models.baselines.wav2lip.config import Wav2LipConfig
    from emo_models.baselines.wav2lip.training import GeneratorTrainer
    from emo_models.baselines.wav2lip.windows import WindowSampler

    started = time.monotonic()
    network = Wav2LipConfig(**config.network.model_dump())
    folder.mkdir(parents=True, exist_ok=True)
    clips = _faces(config, network, say=say)
    say(f"{len(clips)} training clips, {sum(len(clip.faces) for clip in clips)} frames")
    log = TrainingLog(folder / "log.jsonl")
    expert = _train_expert(config, network, clips, folder, log, say)
    options = config.generator
    sampler = WindowSampler(clips, network, seed=options.seed, mirror=options.mirror)
    trainer = GeneratorTrainer(network, options, sampler, expert=expert)
    meter = _meter(config, network, clips, folder, say)

    def after_step(step: int, losses: Losses) -> None:
        if step % 50 == 0:
            log.add(kind="generator", step=step, **losses)
        if meter is not None and config.measure is not None and step % config.measure.every == 0:
            measured = meter(trainer.generator)
            log.add(kind="measure", step=step, **measured)
            say(f"step {step}: l1 {losses['l1']:.4f}, " + ", ".join(f"{k} {v:.3f}" for k, v in measured.items()))

    begun = time.monotonic()
    limit = config.max_minutes * 60 if config.max_minutes else float("inf")
    steps = _run(trainer, config, folder / "generator", say, after_step, lambda: time.monotonic() - begun > limit)
    weights = folder / "wav2lip.safetensors"
    save_generator(trainer.generator.eval(), weights)
    return TrainingReport(
        weights=weights, steps=steps, minutes=(time.monotonic() - started) / 60, log=folder / "log.jsonl"
    )


def _run(
    trainer: ExpertTrainer | GeneratorTrainer,
    config: Wav2LipTraining,
    folder: Path,
    say: Say,
    after_step: AfterStep,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    from emo_models.training.loop import Loop, LoopConfig

    settings = LoopConfig(
        name=folder.name,
        steps=trainer.options.steps,
        checkpoint_every=config.checkpoint_every,
        log_every=250,
        identity={
            **trainer.identity(),
            # Faces are cut out of frames of this size, with this padding.
            "size": config.size,
            "padding": list(config.padding),
            "data": _data_digest(trainer.sampler.clips),
            "labels": digest_of([clip.clip.beside for clip in trainer.sampler.clips]),
        },
    )
    loop = Loop(trainer, settings, folder, report=say, after_step=after_step, should_stop=should_stop)
    loop.run()
    return loop.step


def _data_digest(clips: Sequence[FaceClip]) -> str:
    return digest_of([[clip.clip.id, clip.clip.digest, clip.clip.weight, *clip.faces.shape] for clip in clips])


class TrainingLog:
    """A file with one JSON object a line; steps that a resumed training does again stand there once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun: set[str] = set()

    def add(self, *, kind: str, step: int, **values: float) -> None:
        """Appends one line."""
        if kind not in self._begun:
            self._begun.add(kind)
            self._forget(kind, step)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "step": step, **{k: round(v, 6) for k, v in values.items()}}) + "\n")

    def _forget(self, kind: str, step: int) -> None:
        """What was logged of these steps before the training was stopped, and lines that were cut off."""
        lines = self._path.read_text("utf-8").split("\n") if self._path.is_file() else []
        kept = [line for line in lines if (row := _row(line)) and (row["kind"] != kind or row["step"] < step)]
        write_text(self._path, "".join(line + "\n" for line in kept))


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"kind", "step"} <= set(row) else None


def _faces(config: Wav2LipTraining, network: Wav2LipConfig, *, say: Say, held_out: int | None = None) -> list[FaceClip]:
    """The training clips, or so many of those held out, as face crops with mel spectrograms."""
    from emo_models.baselines.wav2lip.windows import face_clip
    from emo_models.training.clips import every_clip, moving

    clips: TrainingClips = open_training_clips(
        config.data if held_out is None else config.held_out,
        split="train" if held_out is None else "validation",
        cache=Path(config.cache),
        size=config.size,
        max_clips=config.max_clips if held_out is None else held_out,
        say=say,
    )
    spoken = every_clip(moving(clips, sound=True))
    return [face_clip(clip, padding=config.padding, size=network.image_size) for clip in spoken]


def _train_expert(
    config: Wav2LipTraining, network: Wav2LipConfig, clips: list[FaceClip], folder: Path, log: TrainingLog, say: Say
) -> SyncExpert | None:
    from emo_models.baselines.wav2lip.training import ExpertTrainer
    from emo_models.baselines.wav2lip.windows import WindowSampler

    if config.expert is None:
        return None
    options = config.expert
    trainer = ExpertTrainer(network, options, WindowSampler(clips, network, seed=options.seed, mirror=options.mirror))
    right: list[float] = []

    def after_step(step: int, losses: Losses) -> None:
        right.append(losses["accuracy"])
        if step % 50 == 0:
            log.add(kind="expert", step=step, sync=losses["sync"], accuracy=float(np.mean(right[-50:])))

    _run(trainer, config, folder / "expert", say, after_step)
    return trainer.expert


def _meter(
    config: Wav2LipTraining, network: Wav2LipConfig, clips: list[FaceClip], folder: Path, say: Say
) -> Callable[[Any], dict[str, float]] | None:
    """A function that measures a generator on unseen identities."""
    if config.measure is None or not config.held_out:
        return None
    from emo_models.training.mouth_reader import correlation, train_mouth_reader

    records = [clip.clip for clip in clips]
    reader = train_mouth_reader(records, steps=config.measure.reader_steps, jitter=READER_JITTER)
    unseen = _faces(config, network, say=say, held_out=config.measure.clips)
    tell_known_people(records, [clip.clip for clip in unseen], say=say)
    read = [correlation(_read(reader, clip, clip.faces), _opening(clip)) for clip in unseen]
    say(f"the mouth reader reads unseen real frames with a correlation of {np.mean(read):.3f}")
    write_text(folder / "reader.json", json.dumps({"correlation_on_ground_truth": float(np.mean(read))}) + "\n")
    return lambda generator: measure_lip_motion(generator, reader, unseen)


def _read(reader: MouthReader, clip: FaceClip, faces: Any) -> Any:
    from emo_models.training.mouth_reader import box_middle, read_opening

    return read_opening(reader, faces, box_middle(clip.clip.mouth_boxes).mean(0, keepdims=True))


def _opening(clip: FaceClip) -> Any:
    return np.asarray(clip.clip.mouth_opening, np.float64)


def measure_lip_motion(generator: Any, reader: MouthReader, clips: list[FaceClip]) -> dict[str, float]:
    """How well the painted mouths follow the labels, from one still image of each clip.

    Returns:
        ``correlation``: mean over clips of the correlation of read openings with the known ones; ``shuffled``: the
        same with the audio of the next clip, where there is one (should be near 0); ``lower_l1``: difference of the
        lower halves in [0, 1].
    """
    from emo_models.baselines.wav2lip.inference import paint
    from emo_models.baselines.wav2lip.mel import mel_windows
    from emo_models.training.mouth_reader import correlation

    generator.eval()
    start = generator.config.window_start
    right: list[float] = []
    wrong: list[float] = []
    differences: list[float] = []
    for index, clip in enumerate(clips):
        opening, n_frames = _opening(clip), len(clip.faces)
        still = np.repeat(clip.faces[int(np.argmin(opening))][None], n_frames, axis=0)
        others = [(clips[(index + 1) % len(clips)], wrong)] if len(clips) > 1 else []
        for other, results in ((clip, right), *others):
            windows = mel_windows(other.mel, range(n_frames), fps=clip.fps, window_start=start)
            results.append(correlation(_read(reader, clip, paint(generator, still, windows)), opening))
        windows = mel_windows(clip.mel, range(n_frames), fps=clip.fps, window_start=start)
        half = clip.faces.shape[1] // 2
        painted = paint(generator, clip.faces, windows)[:, half:].astype(np.float64)
        differences.append(np.abs(painted - clip.faces[:, half:]).mean() / 255.0)
    return {
        "correlation": float(np.mean(right)),
        **({"shuffled": float(np.mean(wrong))} if wrong else {}),
        "lower_l1": float(np.mean(differences)),
    }
