"""``emo-bench train``: EMO, Wav2Lip, or the small networks of the synth family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import QuietOption, SetOption, TrackOption


def train(
    config: Annotated[Path, typer.Option("--config", "-c", help="Training file (YAML).", metavar="FILE")],
    overrides: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; runs/train/NAME by default.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="A prepared set instead of the file's: a manifest or its folder, with a weight if there are several. "
            "Can be repeated.",
            metavar="PATH[=WEIGHT]",
        ),
    ] = None,
    track: TrackOption = None,
    quiet: QuietOption = False,
) -> int:
    """Train from a training file; the same command resumes where it stopped, and Ctrl-C saves the last step.

    Examples: configs/train/emo_synth.yaml, configs/train/wav2lip_synth.yaml, configs/train/extractors.yaml
    """
    from emo_bench.trackers.tracker import Mirror, numbers_of
    from emo_bench.train.config import load_training
    from emo_bench.train.run import run_training

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    read = load_training(config, overrides or [], data=data or [])
    folder = output or Path(read.output or Path("runs/train") / config.stem)
    settings = numbers_of(read.model_dump(mode="json"))
    with Mirror(track or (), name=folder.name, settings=settings, folder=folder, say=say) as mirror:
        made = run_training(read, folder, say=mirror if track else say)
    for line in made:
        typer.echo(line)
    return 0
