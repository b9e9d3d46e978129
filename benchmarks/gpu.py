"""Seconds and memory on a GPU: scoring of fifty clips, and a segment of EMO at 512 px, both with random weights.

What is counted is time by the clock with the device's queue empty at either end, and the most memory that PyTorch held
there. Values scored on the device are held against the same clips scored on the processor. The paper names 15 s for 12
frames at 512 px with 40 DDIM steps. It runs on a processor too, which shows only that it runs:

    python -m benchmarks gpu                                              # where there is a GPU
    python -m benchmarks.gpu --device cuda:1 --n-clips 50 --seconds 2
    python -m benchmarks.gpu --device cpu --preset tiny --n-clips 2 --seconds 0.64 --size 64 --steps 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.parts import Row, write_films

COMPARED_CLIPS = 4
"""Scored on the processor as well."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is measured where.

    Attributes:
        device: 'cuda', 'cuda:1', or 'cpu' to try the script.
        preset: Size of EMO.
        steps: Denoising steps with DDIM and with the fast sampler.
        n_clips: How many clips are scored.
        seconds: Length of each.
        size: Side of each in pixels.
    """

    device: str = "cuda"
    preset: str = "emo-sd15"
    steps: tuple[int, int] = (40, 4)
    n_clips: int = 50
    seconds: float = 2.0
    size: int = 512


def gpu(folder: Path) -> list[Row]:
    """Everything, or one line that says that there is no GPU."""
    if not torch.cuda.is_available():
        return [Row("gpu", "device", "none: nothing was measured")]
    return measured(folder, Asked())


def measured(folder: Path, asked: Asked) -> list[Row]:
    """Scoring, then EMO."""
    cuda = torch.device(asked.device).type == "cuda"
    name = torch.cuda.get_device_name(asked.device) if cuda else "the processor"
    return [Row("gpu", "device", name), *_scoring(folder, asked), *_emo(asked)]


# ---------------------------------------------------------------------------------------------------------- the clock


@dataclass
class Spent:
    """Seconds, and the most memory in MiB; None on a processor."""

    seconds: float = 0.0
    memory: float | None = None


@contextmanager
def spent_on(device: str) -> Iterator[Spent]:
    """Measures what is done within."""
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    spent, started = Spent(), time.perf_counter()
    yield spent
    if cuda:
        torch.cuda.synchronize(device)
        spent.memory = torch.cuda.max_memory_allocated(device) / (1 << 20)
    spent.seconds = time.perf_counter() - started


def _rows(what: str, spent: Spent, *, per: float, unit: str) -> list[Row]:
    rows = [Row("gpu", what, spent.seconds / per, unit)]
    return rows if spent.memory is None else [*rows, Row("gpu", f"{what}: memory", spent.memory, "MiB")]


# -------------------------------------------------------------------------------------------------------------- scoring


def _scoring(folder: Path, asked: Asked) -> list[Row]:
    from benchmarks.score_vs_reference import emo_bench, make_weights, prepare

    source = folder / "source"
    write_films(source, n_clips=asked.n_clips, seconds=asked.seconds, side=asked.size, crf=18)
    make_weights(folder / "weights", inception=None, official=None)
    values: dict[tuple[str, int], dict[str, float]] = {}
    rows = []
    few = min(COMPARED_CLIPS, asked.n_clips)
    for device, count in dict.fromkeys([(asked.device, asked.n_clips), (asked.device, few), ("cpu", few)]):
        place = folder / f"{device.replace(':', '-')}-{count}"
        prepare(place, clips=source, n_clips=count, seconds=asked.seconds, size=asked.size, crf=35)
        (place / "weights").symlink_to(folder / "weights")
        with spent_on(device) as spent:
            values[device, count] = emo_bench(place, device=device)
        if count == asked.n_clips:
            rows += _rows(f"scoring {count} clips of {asked.seconds:g} s", spent, per=count, unit="s a clip")
    theirs, ours = values["cpu", few], values[asked.device, few]
    apart = max(abs(ours[key] - theirs[key]) / max(abs(theirs[key]), 1e-12) for key in theirs)
    return [*rows, Row("gpu", f"scoring {few} clips: largest difference from the processor", apart, "relative")]


# ------------------------------------------------------------------------------------------------------------------ EMO


def _emo(asked: Asked) -> list[Row]:
    from benchmarks.emo_flops import clip_inputs
    from emo_models.emo.codec import decode_latents
    from emo_models.emo.extensions.guidance import Guidance
    from emo_models.emo.pipeline import SamplingOptions

    pipeline = _pipeline(asked.preset).to(asked.device)
    inputs = clip_inputs(pipeline.model, device=asked.device)
    slow, fast = asked.steps
    ways = {
        f"{slow} DDIM steps": SamplingOptions(steps=slow, guidance=Guidance(audio=2.0)),
        f"{fast} steps of DPM-Solver++": SamplingOptions(
            steps=fast, sampler="dpmsolver++", guidance=Guidance(audio=2.0)
        ),
    }

    @torch.no_grad()
    def segment(options: SamplingOptions) -> torch.Tensor:
        conditions = pipeline.model.prepare(**inputs)
        latents = pipeline.denoise(pipeline.noise([0], 0), conditions, options)
        return decode_latents(pipeline.vae, pipeline.model.from_residual(latents, inputs["reference"]).flatten(0, 1))

    rows, frames = [], pipeline.model.architecture.segment.frames
    for precision, autocast in _precisions(asked.device).items():
        for label, options in ways.items():
            with autocast():
                segment(replace(options, steps=2))  # the first call chooses kernels
                with spent_on(asked.device) as spent:
                    segment(options)
            what = f"{asked.preset}, {frames} frames of {pipeline.size} px, {label}, {precision}"
            rows += _rows(what, spent, per=1, unit="s")
    return rows


def _precisions(device: str) -> dict[str, Callable[[], Any]]:
    kind = torch.device(device).type
    if kind != "cuda":
        return {"float32": nullcontext}
    return {"float32": nullcontext, "bfloat16": lambda: torch.autocast(kind, torch.bfloat16)}


@dataclass(frozen=True)
class _NoSpeech:
    """Stands where a speech encoder belongs; the features here are random."""

    fps: float
    layers: int
    width: int


def _pipeline(name: str) -> Any:
    from emo_models.emo.building import build_model, build_pipeline, preset_named
    from emo_models.emo.pipeline import EMOPipeline
    from emo_models.emo.schedulers import make_scheduler

    preset = preset_named(name)
    if preset.autoencoder == "small":
        return build_pipeline(preset)
    parts = preset.architecture
    speech: Any = _NoSpeech(parts.segment.fps, parts.audio.blocks, parts.audio.width)
    return EMOPipeline(build_model(preset), _sd_autoencoder(), make_scheduler(preset.schedule), speech)


def _sd_autoencoder() -> torch.nn.Module:
    """Stable Diffusion's autoencoder by its published sizes, with random weights."""
    from diffusers import AutoencoderKL

    made: torch.nn.Module = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    return made


def main() -> None:
    """Prints the table."""
    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Asked()
    parser.add_argument("--device", default=default.device)
    parser.add_argument("--preset", default=default.preset)
    parser.add_argument("--steps", type=int, nargs="+", default=list(default.steps), help="DDIM's, the fast sampler's")
    parser.add_argument("--n-clips", type=int, default=default.n_clips)
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--size", type=int, default=default.size)
    given = vars(parser.parse_args())
    asked = Asked(**{**given, "steps": (given["steps"][0], given["steps"][-1])})
    with tempfile.TemporaryDirectory(prefix="emo-bench-gpu-") as folder:
        sys.stdout.write(table(measured(Path(folder), asked)) + "\n")


if __name__ == "__main__":
    main()
