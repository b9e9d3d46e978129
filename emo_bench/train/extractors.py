"""Trains the small networks of the synth family and puts them into the package.

The networks are made from the train split of HDTF-Synth alone. ``configs/train/extractors.yaml`` is the configuration
of the shipped ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.train.fit import Fitting, Progress, fit, repeatable
from emo_core.atomic import write_bytes, write_json, write_text
from emo_core.hashing import digest_of, sha256_bytes

if TYPE_CHECKING:
    from torch import nn

    from emo_bench.train.extractor_data import TrainingClip


class ExtractorTraining(Frozen):
    """What is trained, on what, for how long."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    kind: Literal["synth-extractors"] = Field(default="synth-extractors", description="What this file trains")
    seed: int = Field(default=0, ge=0, description="Of first weights, order and damage")
    data: str = Field(default="data/hdtf-synth", description="Folder of HDTF-Synth, one folder a slice; made if absent")
    work: str = Field(default="runs/.train/extractors", description="Folder of checkpoints and decoded clips")
    max_clips: int | None = Field(default=None, ge=4, description="Use only the first so many clips of the train split")
    portraits: int = Field(default=30, ge=0, description="Portraits in random states of each person, for the reader")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of each operation")
    half: bool = Field(default=True, description="bfloat16 in forward passes")
    locator: Fitting
    reader: Fitting
    appearance: Fitting
    video: Fitting
    sync: Fitting


FILES: Mapping[str, tuple[str, ...]] = {
    "face.safetensors": ("locator", "reader"),
    "appearance.safetensors": ("appearance",),
    "video.safetensors": ("video",),
    "sync.safetensors": ("sync",),
}
"""Which networks lie in which file; names of tensors start with the network's name and a point."""


def train_from_config(path: Path, out: Path | None = None, *, progress: Progress | None = None) -> Mapping[str, str]:
    """Trains as a YAML file says; see ``train_extractors``.

    Raises:
        ConfigError: naming file, line and key of what is wrong.
    """
    from emo_bench.config.load import read_yaml, validate

    config = validate(ExtractorTraining, read_yaml(path))
    return train_extractors(config, out or Path(config.work) / "weights", progress=progress)


def train_extractors(config: ExtractorTraining, out: Path, *, progress: Progress | None = None) -> Mapping[str, str]:
    """Trains every network that is not finished yet and writes the weight files.

    An interrupted training goes on where it was. The same configuration, data, machine and versions give the same
    bytes.

    Args:
        config: What to train.
        out: Folder of the safetensors files.
        progress: Told (done, total, text).

    Returns:
        SHA-256 of each file by name, as also written to ``weights.json``.
    """
    import torch

    from emo_bench.train.extractor_data import load_slice

    torch.set_num_threads(config.threads)
    plain = config.model_dump(mode="json")
    clips = load_slice(
        Path(config.data), "train", cache=Path(config.work) / "clips", max_clips=config.max_clips, progress=progress
    )
    digests = {}
    for file, parts in FILES.items():
        tensors: dict[str, torch.Tensor] = {}
        for part in parts:
            network = _train(part, config, clips, progress)
            tensors |= {
                f"{part}.{name}": value.half().contiguous()
                for name, value in network.state_dict().items()
                if not name.endswith("num_batches_tracked")
            }
        digests[file] = _write(out / file, tensors)
    write_json(out / "weights.json", {"config": plain, "sha256": digests})
    return digests


def install(weights: Path, package: Path) -> None:
    """Copies trained weights into the package and pins their digests there.

    Args:
        weights: Folder that ``train_extractors`` wrote.
        package: Folder of ``emo_metrics.synth``.
    """
    pins = {}
    for file in FILES:
        data = (weights / file).read_bytes()
        write_bytes(package / "weights" / file, data)
        pins[file] = sha256_bytes(data)
    rows = "".join(f'    "{name}": "{digest}",\n' for name, digest in pins.items())
    text = (package / "pins.py").read_text(encoding="utf-8")
    head = text[: text.index("PINS: Final")]
    write_text(package / "pins.py", f"{head}PINS: Final[Mapping[str, str]] = {{\n{rows}}}\n")


def _train(part: str, config: ExtractorTraining, clips: list[TrainingClip], progress: Progress | None) -> nn.Module:
    from emo_bench.train.lessons import lesson

    fitting: Fitting = getattr(config, part)
    portraits = _portraits(config, clips) if part == "reader" else []
    # What a network depends on names its checkpoints, so that a changed setting never resumes an old one.
    digests = [clip.digest for clip in (*clips, *portraits)]
    key = digest_of([config.seed, fitting.model_dump(mode="json"), config.half, digests])
    work = Path(config.work) / "checkpoints" / key[:16]
    teaching = repeatable(
        lambda: lesson(part, clips, fitting.batch, portraits=portraits), seed=config.seed, purpose=part
    )
    fit(part, teaching, teaching, fitting, seed=config.seed, half=config.half, work=work, progress=progress)
    network: nn.Module = teaching.network  # type: ignore[assignment]
    return network


def _portraits(config: ExtractorTraining, clips: list[TrainingClip]) -> list[TrainingClip]:
    """Portraits of everyone in the clips."""
    from emo_bench.train.posed_portraits import posed_portraits

    if not config.portraits:
        return []
    first = {clip.identity: clip for clip in reversed(clips)}
    cache = Path(config.work) / "clips"
    return [posed_portraits(first[name], config.portraits, seed=config.seed, cache=cache) for name in sorted(first)]


def _write(path: Path, tensors: Mapping[str, object]) -> str:
    from safetensors.torch import save

    data = save(dict(sorted(tensors.items())))  # type: ignore[arg-type]
    write_bytes(path, data)
    return sha256_bytes(data)
