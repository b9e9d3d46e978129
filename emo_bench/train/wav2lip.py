"""Trains Wav2Lip on the clips of a manifest: reads the training file, prepares faces, runs expert and generator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from emo_bench.config.load import apply_overrides, read_yaml, validate
from emo_bench.config.schema import Frozen
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_core.atomic import atomic_path, write_text
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import digest_of

if TYPE_CHECKING:
    from emo_models.baselines.wav2lip.config import Wav2LipConfig
    from emo_models.baselines.wav2lip.mouth_reader import MouthReader
    from emo_models.baselines.wav2lip.sync_expert import SyncExpert
    from emo_models.baselines.wav2lip.windows import TrainingClip

Say = Callable[[str], None]


class Network(Frozen):
    """Size of the networks; see ``Wav2LipConfig``."""

    width: float = Field(default=1.0, gt=0, le=4)
    image_size: Literal[48, 96] = 96
    window_start: int = Field(default=-1, ge=-8, le=8)


class Stage(Frozen):
    """How one network is trained; see ``TrainOptions``."""

    steps: int = Field(ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    final_rate: float = Field(default=1.0, ge=0, le=1)
    window_frames: int = Field(default=5, ge=1)
    sync_weight: float = Field(default=0.0, ge=0, le=1)
    sync_from: int = Field(default=0, ge=0)
    quality_weight: float = Field(default=0.0, ge=0, le=1)
    lower_weight: float = Field(default=0.0, ge=0)
    mirror: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0


class Measure(Frozen):
    """How lip motion is measured during training, on data whose mouth openings are known."""

    every: int = Field(default=500, ge=1, description="Steps between measurements")
    clips: int = Field(default=20, ge=1, description="Clips of the validation split")
    reader_steps: int = Field(default=1200, ge=1, description="Training steps of the network that reads openings")


class Wav2LipTraining(Frozen):
    """A training file: data, networks, stages, output."""

    version: Literal[1] = 1
    manifest: str = Field(description="Manifest of the training data, relative to the working folder")
    validation_manifest: str | None = Field(default=None, description="Another manifest for validation")
    train_split: str = "train"
    validation_split: str = "validation"
    max_clips: int | None = Field(default=None, ge=1, description="Use only the first so many training clips")
    padding: tuple[int, int, int, int] = Field(default=(0, 10, 0, 0), description="Added to the data's face boxes")
    network: Network = Network()
    expert: Stage | None = Field(default=None, description="Train a sync expert first; needed for sync_weight > 0")
    generator: Stage
    measure: Measure | None = Field(default=None, description="Only for data with known mouth openings")
    checkpoint_every: int = Field(default=250, ge=1)
    max_minutes: float | None = Field(default=None, gt=0, description="Stop the generator early; it can be continued")
    output: str = Field(description="Folder of checkpoints, log and weights, relative to the working folder")


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


def train_wav2lip(config: Path, *, overrides: Iterable[str] = (), say: Say = lambda text: None) -> TrainingReport:
    """Trains, or continues, what a training file describes.

    Args:
        config: The YAML file.
        overrides: ``key=value`` changes to it.
        say: Called with one line of text now and then.

    Raises:
        ConfigError: for mistakes in the file.
        DataError: when the manifest or a split is missing.
    """
    from emo_models.baselines.wav2lip.checkpoints import save_generator
    from emo_models.baselines.wav2lip.config import Wav2LipConfig
    from emo_models.baselines.wav2lip.training import GeneratorTrainer, TrainOptions, train
    from emo_models.baselines.wav2lip.windows import WindowSampler

    started = time.monotonic()
    plan = validate(Wav2LipTraining, apply_overrides(read_yaml(config), list(overrides)))
    network = Wav2LipConfig(**plan.network.model_dump())
    folder = Path(plan.output)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(Path(plan.manifest))
    clips = list(load_clips(manifest, plan.train_split, plan, network, cache=folder / "faces", limit=plan.max_clips))
    say(f"{len(clips)} training clips, {sum(len(clip.faces) for clip in clips)} frames")
    log = TrainingLog(folder / "log.jsonl")
    expert = _train_expert(plan, network, clips, folder, log, say)
    options = TrainOptions(**plan.generator.model_dump())
    sampler = WindowSampler(clips, network, seed=options.seed, mirror=options.mirror)
    trainer = GeneratorTrainer(network, options, sampler, expert=expert)
    unseen = read_manifest(Path(plan.validation_manifest)) if plan.validation_manifest else manifest
    meter = _meter(plan, network, unseen, clips, folder, say)
    limit = plan.max_minutes * 60 if plan.max_minutes else float("inf")
    begun = time.monotonic()
    for steps, losses in train(
        trainer,
        checkpoint=folder / "generator.pt",
        checkpoint_every=plan.checkpoint_every,
        should_stop=lambda: time.monotonic() - begun > limit,
    ):
        if steps % 50 == 0:
            log.add(kind="generator", step=steps, **losses)
        if meter is not None and plan.measure is not None and steps % plan.measure.every == 0:
            measured = meter(trainer.generator)
            log.add(kind="measure", step=steps, **measured)
            say(f"step {steps}: l1 {losses['l1']:.4f}, " + ", ".join(f"{k} {v:.3f}" for k, v in measured.items()))
    weights = folder / "wav2lip.safetensors"
    save_generator(trainer.generator.eval(), weights)
    return TrainingReport(
        weights=weights, steps=trainer.step, minutes=(time.monotonic() - started) / 60, log=folder / "log.jsonl"
    )


class TrainingLog:
    """A file with one JSON object a line; a line is whole or absent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, **values: float | str) -> None:
        """Appends one line."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({key: _short(value) for key, value in values.items()}) + "\n")


def _short(value: float | str) -> float | str:
    return round(value, 6) if isinstance(value, float) else value


def load_clips(
    manifest: Manifest,
    split: str,
    plan: Wav2LipTraining,
    network: Wav2LipConfig,
    *,
    cache: Path,
    limit: int | None = None,
) -> Iterator[TrainingClip]:
    """The clips of a split as face crops and mel spectrograms, decoded once and then kept below ``cache``.

    Raises:
        DataError: when the split is empty or a clip has no face box.
    """
    entries = [entry for entry in manifest.entries if entry.split == split][:limit]
    if not entries:
        raise DataError(f"no clips of split {split!r}", expected=f"some in {manifest.root}", fix="make the data first")
    for entry in entries:
        key = digest_of({"sha256": entry.sha256, "padding": plan.padding, "size": network.image_size, "version": 1})
        path = cache / f"{key[:32]}.npz"
        if not path.is_file():
            _write_cache(path, _prepared(manifest, entry, plan, network))
        yield _read_cache(path, entry.id)


def _prepared(
    manifest: Manifest, entry: ManifestEntry, plan: Wav2LipTraining, network: Wav2LipConfig
) -> dict[str, Any]:
    from emo_bench.media.decode import load_pair
    from emo_models.baselines.wav2lip.faces import crop_face, padded_box, whole_pixels
    from emo_models.baselines.wav2lip.mel import mel_spectrogram

    if entry.face_box is None:
        raise DataError(f"clip {entry.id!r} has no face box", expected="face boxes in the manifest")
    pair = load_pair(manifest.path(entry.video), manifest.path(entry.audio) if entry.audio else None)
    spec = pair.video.spec
    padded = padded_box(entry.face_box, padding=plan.padding, height=spec.height, width=spec.width)
    box = whole_pixels(padded, height=spec.height, width=spec.width)
    faces = [crop_face(frame, box, size=network.image_size) for piece in pair.video.open() for frame in piece]
    result: dict[str, Any] = {
        "faces": np.stack(faces),
        "mel": mel_spectrogram(pair.audio.samples),
        "fps": np.array([spec.fps.numerator, spec.fps.denominator]),
    }
    if entry.truth is not None:
        from safetensors.numpy import load_file

        opening = load_file(manifest.path(entry.truth)).get("mouth_opening")
        if opening is not None and len(opening) == len(faces):
            result["opening"] = opening.astype(np.float32)
    return result


def _write_cache(path: Path, arrays: dict[str, Any]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def _read_cache(path: Path, name: str) -> TrainingClip:
    from emo_models.baselines.wav2lip.windows import TrainingClip

    with np.load(path, allow_pickle=False) as stored:
        numerator, denominator = (int(value) for value in stored["fps"])
        return TrainingClip(
            name=name,
            faces=stored["faces"],
            mel=stored["mel"],
            fps=Fraction(numerator, denominator),
            opening=stored.get("opening"),
        )


def _train_expert(
    plan: Wav2LipTraining, network: Wav2LipConfig, clips: list[TrainingClip], folder: Path, log: TrainingLog, say: Say
) -> SyncExpert | None:
    from emo_models.baselines.wav2lip.training import ExpertTrainer, TrainOptions, train
    from emo_models.baselines.wav2lip.windows import WindowSampler

    if plan.expert is None:
        if plan.generator.sync_weight > 0:
            raise ConfigError("generator.sync_weight is above 0", expected="an 'expert' stage", found="none")
        return None
    options = TrainOptions(**plan.expert.model_dump())
    trainer = ExpertTrainer(network, options, WindowSampler(clips, network, seed=options.seed, mirror=options.mirror))
    right = []
    for step, losses in train(trainer, checkpoint=folder / "expert.pt", checkpoint_every=plan.checkpoint_every):
        right.append(losses["accuracy"])
        if step % 50 == 0:
            log.add(kind="expert", step=step, sync=losses["sync"], accuracy=float(np.mean(right[-50:])))
            say(f"expert step {step}: loss {losses['sync']:.3f}, right {np.mean(right[-50:]):.3f}")
    return trainer.expert


def _meter(
    plan: Wav2LipTraining,
    network: Wav2LipConfig,
    manifest: Manifest,
    clips: list[TrainingClip],
    folder: Path,
    say: Say,
) -> Callable[[Any], dict[str, float]] | None:
    """A function that measures a generator on unseen identities."""
    if plan.measure is None:
        return None
    from emo_models.baselines.wav2lip.mouth_reader import correlation, train_mouth_reader

    reader: MouthReader = train_mouth_reader(clips, steps=plan.measure.reader_steps)
    unseen = list(
        load_clips(manifest, plan.validation_split, plan, network, cache=folder / "faces", limit=plan.measure.clips)
    )
    known = [clip.opening for clip in unseen if clip.opening is not None]
    if len(known) != len(unseen):
        raise DataError("mouth openings are not known for every clip", fix="leave out 'measure'")
    read = [correlation(reader.openings(clip.faces), truth) for clip, truth in zip(unseen, known, strict=True)]
    say(f"the mouth reader reads unseen real frames with a correlation of {np.nanmean(read):.3f}")
    write_text(folder / "reader.json", json.dumps({"correlation_on_ground_truth": float(np.nanmean(read))}) + "\n")
    return lambda generator: measure_lip_motion(generator, reader, unseen)


def measure_lip_motion(generator: Any, reader: MouthReader, clips: list[TrainingClip]) -> dict[str, float]:
    """How well the painted mouths follow the true ones, from one still picture of each clip.

    Returns:
        ``correlation``: mean over clips of the correlation of read openings with the known ones; ``shuffled``: the
        same with the sound of the next clip (should be near 0); ``lower_l1``: difference of the lower halves in [0, 1].
    """
    from emo_models.baselines.wav2lip.inference import paint
    from emo_models.baselines.wav2lip.mel import mel_windows
    from emo_models.baselines.wav2lip.mouth_reader import correlation

    generator.eval()
    start = generator.config.window_start
    right: list[float] = []
    wrong: list[float] = []
    differences: list[float] = []
    for index, clip in enumerate(clips):
        opening = np.asarray(clip.opening)
        n_frames = len(clip.faces)
        still = np.repeat(clip.faces[int(np.argmin(opening))][None], n_frames, axis=0)
        for sound, results in ((clip, right), (clips[(index + 1) % len(clips)], wrong)):
            windows = mel_windows(sound.mel, range(n_frames), fps=clip.fps, window_start=start)
            results.append(correlation(reader.openings(paint(generator, still, windows)), opening))
        windows = mel_windows(clip.mel, range(n_frames), fps=clip.fps, window_start=start)
        half = clip.faces.shape[1] // 2
        painted = paint(generator, clip.faces, windows)[:, half:].astype(np.float64)
        differences.append(np.abs(painted - clip.faces[:, half:]).mean() / 255.0)
    return {
        "correlation": float(np.nanmean(right)),
        "shuffled": float(np.nanmean(wrong)),
        "lower_l1": float(np.mean(differences)),
    }
