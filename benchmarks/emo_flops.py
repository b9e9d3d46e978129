"""Counts the work of EMO's sampling: the naive form against ours, and how it grows with length.

The naive form follows the method's figure literally at every denoising step and for every guidance pass: ReferenceNet
over [reference; n motion frames], then keys and values of the audio and of the reference repeated for each frame. Ours
does all of these once per clip and runs the guidance passes as one batch. Counting needs no weights (meta device);
that both give the same frames, and the seconds, are measured with the preset given by ``--run``. Where guidance acts in
an interval of noise levels only, the naive form still spends all passes at every step, which its result needs no more;
those rows compare equal steps and not equal frames. The last row is for weights with guidance built in, against the
naive form that guides by passes.

    python benchmarks/emo_flops.py --run tiny --seconds 2 10 60
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from emo_models.emo.building import build_pipeline, preset_named
from emo_models.emo.conditions import ConditionMask, SegmentConditions
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions, recommended_sampling
from emo_models.emo.schedulers import make_scheduler, schedule_of

GUIDANCES = (Guidance(), Guidance(audio=2.0), Guidance(audio=2.0, reference=1.5))


def guidances_of(name: str) -> tuple[Guidance, ...]:
    """Those above, and what the preset's weights recommend if it is something else."""
    recommended = recommended_sampling({"sampling": preset_named(name).sampling}).guidance
    # No speed is given here, so no pass is spent on it.
    return tuple(dict.fromkeys((*GUIDANCES, replace(recommended, speed=1.0))))


def passes_in_all(name: str, guidance: Guidance, steps: int) -> int:
    """Backbone passes of a clip."""
    scheduler = make_scheduler(preset_named(name).schedule)
    scheduler.set_timesteps(steps)
    shares = [int(time) / scheduler.config.num_train_timesteps for time in scheduler.timesteps]
    return sum(len(guidance.at(share).passes) for share in shares)


def clip_inputs(model: EMOModel, *, device: str) -> dict[str, Tensor]:
    """Everything that steers one clip."""
    latents, segment, audio = model.architecture.latents, model.architecture.segment, model.architecture.audio
    size, around = latents.size, segment.frames + 2 * segment.window
    shapes = {
        "reference": (1, latents.channels, size, size),
        "motion": (1, segment.motion_frames, latents.channels, size, size),
        "audio": (1, around, audio.blocks, audio.width),
        "mask": (1, 1, size * latents.downsample, size * latents.downsample),
        "speed": (1, around),
    }
    g = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=g).to(device) for name, shape in shapes.items()}


def naive_conditions(model: EMOModel, inputs: dict[str, Tensor], *, reference: bool, audio: bool) -> SegmentConditions:
    """ReferenceNet and all projections again, the reference's for every frame."""
    conditions = model.prepare(**(inputs if audio else {**inputs, "audio": None}))
    features = tuple(kv.key.transpose(1, 2).flatten(2) for kv in conditions.reference)
    # What a repeated reference costs beyond the one projection above; its values are the same and not needed.
    model.backbone.project_reference(tuple(f.repeat(model.architecture.segment.frames - 1, 1, 1) for f in features))
    device = inputs["reference"].device
    return (
        conditions
        if reference
        else replace(conditions, condition_mask=ConditionMask(reference=torch.zeros(1, device=device)))
    )


@torch.no_grad()
def naive(pipeline: EMOPipeline, inputs: dict[str, Tensor], options: SamplingOptions) -> Tensor:
    """Everything at every step and for every guidance pass."""
    scheduler = make_scheduler(schedule_of(pipeline.scheduler), sampler=options.sampler)
    scheduler.set_timesteps(options.steps)
    latents = pipeline.noise([0], 0)
    for when in scheduler.timesteps:
        predictions = []
        for reference, audio, *_ in options.guidance.passes:
            conditions = naive_conditions(pipeline.model, inputs, reference=reference, audio=audio)
            predictions.append(pipeline.model.backbone(latents, when[None], conditions))
        latents = scheduler.step(options.guidance.combine(torch.cat(predictions)), when, latents).prev_sample
    return latents


@torch.no_grad()
def ours(pipeline: EMOPipeline, inputs: dict[str, Tensor], options: SamplingOptions) -> Tensor:
    """As the pipeline does it."""
    return pipeline.denoise(pipeline.noise([0], 0), pipeline.model.prepare(**inputs), options)


def gflops(function: object, *arguments: object, **options: object) -> float:
    """Work of one call."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function(*arguments, **options)  # type: ignore[operator]
    return counter.get_total_flops() / 1e9


def count(name: str, steps: int, naive_steps: int) -> None:
    """One table row per guidance: work for one clip."""
    with torch.device("meta"):
        model = EMOModel.from_parts(preset_named(name).model)
    frames, sizes = model.architecture.segment.frames, model.architecture.latents
    inputs = clip_inputs(model, device="meta")
    once = gflops(model.prepare, **inputs)
    prepared = model.prepare(**inputs)
    latents = torch.zeros(1, frames, sizes.channels, sizes.size, sizes.size, device="meta")
    backbone = gflops(model.backbone, latents, torch.zeros(1, device="meta"), prepared)
    again = gflops(naive_conditions, model, inputs, reference=True, audio=True)
    print(
        f"\n{name}: one segment of {frames} frames, {steps} steps (naive {naive_steps}); "
        f"Backbone {backbone:.2f} GFLOP, once {once:.2f} GFLOP"
    )
    print(f"{'guidance':48} {'naive GFLOP':>12} {'ours GFLOP':>12} {'ours/naive':>10}")
    for guidance in guidances_of(name):
        passes, (low, high) = len(guidance.passes), guidance.interval
        a, b = naive_steps * passes * (backbone + again), once + passes_in_all(name, guidance, steps) * backbone
        where = f", {low:g} to {high:g}" if high - low < 1 else ""
        label = f"audio {guidance.audio:g}, reference {guidance.reference:g}{where} ({passes} passes)"
        print(f"{label:48} {a:12.1f} {b:12.1f} {b / a:10.2f}")
    # Weights that have learnt to be guided (stage guidance) need one pass for what the naive form needs two for.
    a, b = naive_steps * 2 * (backbone + again), once + steps * backbone
    print(f"{'audio 2 built into the weights (1 pass)':48} {a:12.1f} {b:12.1f} {b / a:10.2f}")


def measure(name: str, steps: int, lengths: list[float]) -> None:
    """Same frames, seconds, growth with length."""
    pipeline = build_pipeline(preset_named(name))
    inputs = clip_inputs(pipeline.model, device="cpu")
    print(f"\n{name}, measured on one CPU thread, {steps} steps, audio 2, reference 1.5")
    options = SamplingOptions(steps=steps, guidance=GUIDANCES[2])
    results, seconds = [], []
    for function in (naive, ours):
        function(pipeline, inputs, options)
        begin = time.process_time()
        results.append(function(pipeline, inputs, options))
        seconds.append(time.process_time() - begin)
    torch.testing.assert_close(results[0], results[1], atol=1e-3, rtol=1e-3)
    print(
        f"same latents; naive {seconds[0]:.2f} CPU s, ours {seconds[1]:.2f} CPU s, ratio {seconds[1] / seconds[0]:.2f}"
    )
    print(f"{'seconds':>8} {'frames':>7} {'GFLOP':>10} {'per second':>11} {'CPU s per s':>12} {'peak MB':>8}")
    portrait = np.zeros((pipeline.size, pipeline.size, 3), np.uint8)
    for length in lengths:
        audio = np.zeros(round(length * 16_000), np.float32)
        begin, frames = time.process_time(), 0
        with FlopCounterMode(display=False) as counter:
            for piece in pipeline.animate(portrait, audio, 16_000, options=SamplingOptions(steps=steps)):
                frames += len(piece)
        spent = (time.process_time() - begin) / length
        flops = counter.get_total_flops() / 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{length:8.1f} {frames:7d} {flops:10.1f} {flops / length:11.2f} {spent:12.2f} {peak:8.0f}", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", nargs="*", default=["emo-synth", "emo-sd15"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument(
        "--naive-steps", type=int, help="steps of the naive form, where it needs more for equal quality"
    )
    parser.add_argument("--run", default="", help="preset to measure seconds with; empty measures none")
    parser.add_argument("--run-steps", type=int, default=4)
    parser.add_argument("--seconds", type=float, nargs="*", default=[2.0, 10.0, 60.0])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.count:
        count(name, chosen.steps, chosen.naive_steps or chosen.steps)
    if chosen.run:
        measure(chosen.run, chosen.run_steps, chosen.seconds)


if __name__ == "__main__":
    main()
