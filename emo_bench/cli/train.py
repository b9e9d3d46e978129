"""``emo-bench train``: EMO, Wav2Lip, or the small networks of the synth family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from emo_bench.cli.options import QuietOption, SetOption

Say = Callable[[str], None]


def train(
    config: Annotated[Path, typer.Option("--config", "-c", help="Training file (YAML).", metavar="FILE")],
    overrides: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; runs/train/NAME by default.")] = None,
    data: Annotated[
        Path, typer.Option("--data", help="HDTF-Synth, for EMO (made by `emo-bench data make hdtf-synth`).")
    ] = Path("data/hdtf-synth"),
    quiet: QuietOption = False,
) -> int:
    """Train what a file describes; the same command goes on where it stopped.

    Examples: configs/train/emo_synth.yaml, configs/train/wav2lip_synth.yaml, configs/train/extractors.yaml
    """
    from emo_bench.config.load import apply_overrides, read_yaml
    from emo_core.errors import ConfigError

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    source = apply_overrides(read_yaml(config), overrides or [])
    folder = output or Path("runs/train") / config.stem
    if source.values.get("kind") == "synth-extractors":
        _extractors(config, folder, overrides, say)
    elif "preset" in source.values:
        _emo(source.values, folder, data, say)
    elif "generator" in source.values:
        _wav2lip(config, overrides, say)
    else:
        raise ConfigError(
            f"{config}: not a training file", expected="'preset' (EMO), 'generator' (Wav2Lip) or kind: synth-extractors"
        )
    return 0


def _extractors(config: Path, folder: Path, overrides: list[str] | None, say: Say) -> None:
    from emo_bench.train.extractors import train_from_config
    from emo_core.errors import ConfigError

    if overrides:
        raise ConfigError("--set does not change the training of extractors", fix="edit a copy of the file")
    for name, digest in train_from_config(config, folder, progress=lambda d, t, x: say(f"{d}/{t} {x}")).items():
        typer.echo(f"{digest}  {name}")


def _emo(values: dict[str, Any], folder: Path, data: Path, say: Say) -> None:
    from emo_bench.train.training_clips import open_training_clips
    from emo_core.errors import ConfigError
    from emo_models.emo.training import run
    from emo_models.emo.training.config import TrainConfig

    try:
        plan = TrainConfig.from_mapping(values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the training file is wrong: {error}") from None
    clips = {
        split: open_training_clips(data / split / "manifest.jsonl", split=split, cache=data / ".cache" / split)
        for split in ("train", "validation")
    }
    typer.echo(str(run(plan, clips["train"], folder, held_out=clips["validation"], report=say)))


def _wav2lip(config: Path, overrides: list[str] | None, say: Say) -> None:
    from emo_bench.train.wav2lip import train_wav2lip

    typer.echo(str(train_wav2lip(config, overrides=overrides or [], say=say)))
