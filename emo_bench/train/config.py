"""Training files: one discriminated configuration for everything that can be trained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator, model_validator

from emo_bench.config.load import Source, apply_overrides, read_yaml, validate
from emo_core.errors import ConfigError
from emo_core.frozen import Frozen
from emo_models.baselines.wav2lip.config import SYNC_FRAMES
from emo_models.baselines.wav2lip.training_config import TrainOptions
from emo_models.emo.training.config import TrainConfig

SYNTH = "data/hdtf-synth"


class DataSource(Frozen):
    """One prepared set. Its clips may be videos or stills; all need labels."""

    manifest: str = Field(min_length=1, description="Manifest of a prepared set, relative to the working folder")
    weight: float = Field(default=1.0, gt=0, description="How often clips of this set are chosen, relative to others")
    split: str | None = Field(
        default=None, description="Use only clips of this split; when absent 'train' for data, 'validation' held out"
    )


class TrainingFile(Frozen):
    """What all training files have in common."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    data: tuple[DataSource, ...] = Field(
        default=(DataSource(manifest=f"{SYNTH}/train/manifest.jsonl"),),
        min_length=1,
        description="What is trained on; HDTF-Synth when absent",
    )
    held_out: tuple[DataSource, ...] = Field(
        default=(DataSource(manifest=f"{SYNTH}/validation/manifest.jsonl"),),
        description="Clips of other people, to measure progress on; [] measures none",
    )
    size: int | None = Field(
        default=None, ge=32, le=2048, multiple_of=2, description="Side in pixels that clips are brought to"
    )
    max_clips: int | None = Field(default=None, ge=1, description="Use at most this many clips of each set")
    cache: str = Field(default="runs/.train/clips", description="Folder of decoded clips, shared between trainings")
    output: str | None = Field(default=None, description="Folder of what is made; runs/train/NAME when absent")


class EMOTraining(TrainingFile, TrainConfig):
    """EMO."""

    kind: Literal["emo"] = Field(description="What this file trains")
    detail_data: tuple[DataSource, ...] = Field(
        default=(), description="Re-enacted sets of twice the model's size, for 'detail'"
    )


class Network(Frozen):
    """Size of Wav2Lip's networks; see ``Wav2LipConfig``."""

    width: float = Field(default=1.0, gt=0, le=4, description="Multiplies every number of channels")
    image_size: Literal[48, 96] = Field(default=96, description="Side of the face crop in pixels")
    window_start: int = Field(default=-1, ge=-8, le=8, description="First frame of a frame's audio window")


class Measure(Frozen):
    """How lip motion is measured during training."""

    every: int = Field(default=500, ge=1, description="Steps between measurements")
    clips: int = Field(default=20, ge=1, description="Of the clips held out")
    reader_steps: int = Field(default=1200, ge=1, description="Training steps of the network that reads openings")


GENERATOR_ONLY = ("window_frames", "sync_weight", "sync_from", "quality_weight", "lower_weight", "precision")
"""Options that say nothing to the expert."""


class Wav2LipTraining(TrainingFile):
    """Wav2Lip: networks and stages."""

    kind: Literal["wav2lip"] = Field(description="What this file trains")
    padding: tuple[int, int, int, int] = Field(default=(0, 10, 0, 0), description="Added to the data's face boxes")
    network: Network = Field(default=Network(), description="Size of the networks")
    expert: TrainOptions | None = Field(
        default=None, description="Train a sync expert first; needed for sync_weight > 0"
    )
    generator: TrainOptions = Field(description="How the generator is trained")
    measure: Measure | None = Field(default=None, description="Measure lip motion on the clips held out")
    checkpoint_every: int = Field(default=250, ge=1, description="Steps between checkpoints")
    max_minutes: float | None = Field(default=None, gt=0, description="Stop the generator early; it can be continued")

    @model_validator(mode="after")
    def _can_be_trained(self) -> Wav2LipTraining:
        if self.generator.sync_weight > 0 and self.expert is None:
            raise ValueError("generator.sync_weight is above 0: expected an 'expert' stage, found none")
        if self.expert is not None and self.expert.batch_size < 2:
            raise ValueError("expected expert.batch_size >= 2: batch normalisation needs more than one pair")
        plain = TrainOptions(steps=1)
        unused = [name for name in GENERATOR_ONLY if self.expert and getattr(self.expert, name) != getattr(plain, name)]
        if unused:
            raise ValueError(f"expected no {', '.join(unused)} in 'expert': only the generator uses it")
        if self.generator.quality_weight and self.generator.window_frames != SYNC_FRAMES:
            raise ValueError(f"expected generator.window_frames {SYNC_FRAMES}: the discriminator judges so many")
        return self


class NetworkTraining(Frozen):
    """How long and how fast one network learns."""

    steps: int = Field(ge=1, description="Steps of the optimizer")
    batch: int = Field(ge=2, description="Samples a step")
    rate: float = Field(default=2e-3, gt=0, description="Largest learning rate; one cycle, cosine down to zero")
    decay: float = Field(default=1e-2, ge=0, description="Weight decay of AdamW")
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between checkpoints")


class _UnmeasuredTraining(TrainingFile):
    """A training that measures no progress; clips held out in its file would be left aside without a word."""

    @field_validator("held_out")
    @classmethod
    def _holds_nothing_out(cls, sources: tuple[DataSource, ...]) -> tuple[DataSource, ...]:
        if sources:
            raise ValueError(
                "expected []: this training measures nothing (for people kept for tests, kind sync has leave_out)"
            )
        return sources


class ExtractorTraining(_UnmeasuredTraining):
    """The small networks of the synth family."""

    kind: Literal["extractors"] = Field(default="extractors", description="What this file trains")
    seed: int = Field(default=0, ge=0, description="Of first weights, order and damage")
    work: str = Field(default="runs/.train/extractors", description="Folder of checkpoints and rendered portraits")
    portraits: int = Field(default=30, ge=0, description="Portraits in random states of each person, for the reader")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of each operation")
    half: bool = Field(default=True, description="bfloat16 in forward passes")
    locator: NetworkTraining
    reader: NetworkTraining
    appearance: NetworkTraining
    video: NetworkTraining
    sync: NetworkTraining


class SyncTraining(_UnmeasuredTraining):
    """The open sync network."""

    kind: Literal["sync"] = Field(description="What this file trains")
    data: tuple[DataSource, ...] = Field(default=(), description="Labelled sets, such as re-enacted portraits")
    talking: tuple[str, ...] = Field(
        default=(), description="Talking clips with face points: tables (CSV) as for re-enacted portraits"
    )
    leave_out: str | None = Field(
        default=None, description="Text file: ids of clips or speakers kept for tests, one a line"
    )
    reenacted: float = Field(default=0.4, ge=0, le=1, description="Share of a step's clips that is from 'data'")
    frames: int = Field(default=40, ge=32, le=250, description="Length of a training clip in frames")
    seed: int = Field(default=0, ge=0, description="Of first weights, order and damage")
    work: str = Field(default="runs/.train/sync", description="Folder of checkpoints and mouth crops")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of each operation")
    half: bool = Field(default=True, description="bfloat16 in forward passes")
    network: NetworkTraining = Field(description="How the network is trained")

    @model_validator(mode="after")
    def _has_clips(self) -> SyncTraining:
        if not self.data and not self.talking:
            raise ValueError("expected clips in 'data', 'talking' or both, found none")
        return self


Training = EMOTraining | Wav2LipTraining | ExtractorTraining | SyncTraining
KINDS: Mapping[str, type[Training]] = {
    "emo": EMOTraining,
    "wav2lip": Wav2LipTraining,
    "extractors": ExtractorTraining,
    "sync": SyncTraining,
}


def training_schema() -> dict[str, Any]:
    """JSON Schema of training files."""
    return TypeAdapter(Annotated[Training, Field(discriminator="kind")]).json_schema()


def load_training(path: Path, overrides: Sequence[str] = (), *, data: Sequence[str] = ()) -> Training:
    """Reads and checks a training file.

    Args:
        path: YAML.
        overrides: ``key.path=value``.
        data: Prepared sets that replace those of the file; see `sources_of`.

    Raises:
        ConfigError: naming file and line of every problem and the nearest valid name.
    """
    return check_training(apply_overrides(read_yaml(path), overrides), data=data)


def check_training(source: Source, *, data: Sequence[str] = ()) -> Training:
    """Checks a training file that was read already; see `load_training`."""
    kind = str(source.values.get("kind"))
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
        where = source.place(("kind",)) if "kind" in source.values else f"{source.place(())}: missing key 'kind'"
        hint = f"; did you mean '{near[0]}'?" if near else ""
        found = f"found {kind!r}, " if "kind" in source.values else ""
        raise ConfigError(f"{where}: {found}expected one of: {', '.join(KINDS)}{hint}")
    config = validate(KINDS[kind], source)
    if not data:
        return config
    train, held_out = sources_of(data)
    return config.model_copy(update={"data": train, "held_out": held_out})


def sources_of(places: Sequence[str]) -> tuple[tuple[DataSource, ...], tuple[DataSource, ...]]:
    """Training data and clips held out, as ``--data PATH`` or ``--data PATH=WEIGHT`` names them.

    A path is a manifest; a folder with one; or a folder of slices, as HDTF-Synth is laid out. Held out are the slice
    ``validation`` and the entries of that split.

    Raises:
        ConfigError: A weight is no number above 0, or there is no manifest.
    """
    from emo_bench.data.manifest import read_manifest

    train, held_out = [], []
    for place in places:
        text, _, weight = place.rpartition("=") if "=" in place else (place, "", "1")
        try:
            share = DataSource(manifest="-", weight=float(weight)).weight
        except ValueError:
            raise ConfigError(f"--data {place}", expected="PATH or PATH=WEIGHT with a weight above 0") from None
        path = Path(text)
        slices = [path / name / "manifest.jsonl" for name in ("train", "validation")]
        if slices[0].is_file():
            train.append(DataSource(manifest=str(slices[0]), weight=share))
            held_out += [DataSource(manifest=str(slices[1]))] if slices[1].is_file() else []
            continue
        manifest = path / "manifest.jsonl" if path.is_dir() else path
        if not manifest.is_file():
            raise ConfigError(f"--data {place}", expected="a manifest, or a folder with one", found="none")
        train.append(DataSource(manifest=str(manifest), weight=share))
        if any(entry.split == "validation" for entry in read_manifest(manifest).entries):
            held_out.append(DataSource(manifest=str(manifest)))
    return tuple(train), tuple(held_out)
