"""Trains the small networks of the synth family and puts them into the package.

The networks are made from the train split of HDTF-Synth alone. ``configs/train/extractors.yaml`` is the configuration
of the shipped ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.train.config import ExtractorTraining, NetworkTraining
from emo_bench.train.training_clips import open_training_clips
from emo_core.atomic import write_bytes, write_json, write_text
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import digest_of, sha256_bytes
from emo_core.rng import derive_seed
from emo_models.training.clips import TrainingClip, TrainingClips, every_clip

Say = Callable[[str], None]
LABELS = ("mouth_opening", "mouth_width", "mouth_rounding", "expression", "blink")
"""What the networks learn besides landmarks, boxes and pose."""

if TYPE_CHECKING:
    from torch import nn

    from emo_models.training.clips import TrainingClip


FILES: Mapping[str, tuple[str, ...]] = {
    "face.safetensors": ("locator", "reader"),
    "appearance.safetensors": ("appearance",),
    "video.safetensors": ("video",),
    "sync.safetensors": ("sync",),
}
"""Which networks lie in which file; names of tensors start with the network's name and a point."""


def train_extractors(config: ExtractorTraining, out: Path, *, say: Say = lambda text: None) -> Mapping[str, str]:
    """Trains every network that is not finished yet and writes the weight files.

    An interrupted training resumes. The same configuration, data, machine and versions give the same
    bytes.

    Args:
        config: What to train.
        out: Folder of the safetensors files.
        say: Called with lines for the user.

    Returns:
        SHA-256 of each file by name, as also written to ``weights.json``.

    Raises:
        ConfigError: A data set has a weight.
        DataError: A clip does not know what the networks learn.
    """
    import torch

    torch.set_num_threads(config.threads)
    if any(source.weight != 1 for source in config.data):
        raise ConfigError("weights of data sets", expected="1: this training takes all frames alike", found="others")
    plain = config.model_dump(mode="json")
    clips = open_training_clips(
        config.data, cache=Path(config.cache), size=config.size, max_clips=config.max_clips, least=2, say=say
    )
    _require_labels(clips)
    digests = {}
    for file, parts in FILES.items():
        tensors: dict[str, torch.Tensor] = {}
        for part in parts:
            network = _train(part, config, list(every_clip(clips)), say)
            tensors |= {
                f"{part}.{name}": value.half().contiguous()
                for name, value in network.state_dict().items()
                if not name.endswith("num_batches_tracked")
            }
        digests[file] = write_tensors(out / file, tensors)
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


def _require_labels(clips: TrainingClips) -> None:
    """What only HDTF-Synth knows of its frames.

    Raises:
        DataError: A clip does not know it.
    """
    for clip in every_clip(clips):
        missing = [name for name in LABELS if name not in clip.labels]
        if missing:
            raise DataError(
                f"clip {clip.id} lacks the labels {', '.join(missing)}",
                expected="clips of HDTF-Synth",
                fix="emo-bench data make hdtf-synth --slice train",
            )


def _train(part: str, config: ExtractorTraining, clips: list[TrainingClip], say: Say) -> nn.Module:
    from emo_bench.train.objectives import objective

    settings: NetworkTraining = getattr(config, part)
    portraits = _portraits(config, clips) if part == "reader" else []
    # What a network depends on names its checkpoints, so that a changed setting never resumes an old one.
    digests = [[clip.digest, clip.beside, clip.identity] for clip in (*clips, *portraits)]
    key = digest_of([config.seed, settings.model_dump(mode="json"), config.half, config.size, digests])
    with_heads = repeatable(
        lambda: objective(part, clips, settings.batch, portraits=portraits), seed=config.seed, purpose=part
    )
    folder = Path(config.work) / "checkpoints" / key[:16] / part
    fit(part, with_heads, settings, folder, seed=config.seed, half=config.half, say=say)
    network: nn.Module = with_heads.network  # type: ignore[assignment]
    return network


def repeatable(network: Callable[[], nn.Module], *, seed: int, purpose: str) -> nn.Module:
    """Builds a network whose first weights depend on (seed, purpose) only; the global generator stays as it was."""
    from emo_models.initial_weights import initial_weights

    with initial_weights(derive_seed(seed, f"initial weights of {purpose}")):
        return network()


def fit(
    name: str, with_heads: nn.Module, settings: NetworkTraining, folder: Path, *, seed: int, half: bool, say: Say
) -> None:
    """Trains an objective, a module with all heads, in place.

    The randomness of a step depends on (seed, name, step) only, so that a resumed training equals an uninterrupted one.
    """
    import torch

    from emo_core.rng import torch_generator
    from emo_models.precision import bfloat16_where_fast
    from emo_models.training.loop import Loop, LoopConfig
    from emo_models.training.network import NetworkTrainee

    optimizer = torch.optim.AdamW(with_heads.parameters(), lr=settings.rate, weight_decay=settings.decay)
    # PyTorch divides by the length of the rise less one step.
    rise = 0.1 if 0.1 * settings.steps != 1 else 0.2
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.rate, total_steps=settings.steps, pct_start=rise
    )

    def loss_of(step: int) -> torch.Tensor:
        with bfloat16_where_fast(wanted=half):
            loss: torch.Tensor = with_heads(torch_generator(seed, f"{name} step {step}"))
        return loss

    trainee = NetworkTrainee(with_heads, loss_of, optimizer, schedule=schedule, grad_clip=5.0)
    every = settings.checkpoint_every
    loop = LoopConfig(name=name, steps=settings.steps, checkpoint_every=every, log_every=every)
    Loop(trainee, loop, folder, report=say).run()
    trainee.finish()


def _portraits(config: ExtractorTraining, clips: list[TrainingClip]) -> list[TrainingClip]:
    """Portraits of everyone in the clips."""
    from emo_bench.train.posed_portraits import posed_portraits

    if not config.portraits:
        return []
    first = {clip.identity: clip for clip in reversed(clips)}
    cache = Path(config.work) / "portraits"
    return [posed_portraits(first[name], config.portraits, seed=config.seed, cache=cache) for name in sorted(first)]


def write_tensors(path: Path, tensors: Mapping[str, object]) -> str:
    """Writes a safetensors file, the same bytes for the same tensors; returns its SHA-256."""
    from safetensors.torch import save

    data = save(dict(sorted(tensors.items())))  # type: ignore[arg-type]
    write_bytes(path, data)
    return sha256_bytes(data)
