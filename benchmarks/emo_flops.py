"""Counts the work of EMO's sampling: the naive form against ours, and how it grows with length.

The naive form reads the method's figure literally at every denoising step: ReferenceNet over [reference; n motion
frames], keys and values of reference (repeated for each frame) and audio, all for each guidance pass. Ours does these
once per clip and runs the guidance passes as one batch. Both give the same frames up to rounding, which is checked.

    python benchmarks/emo_flops.py --preset tiny --seconds 2 10
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from emo_models.emo.building import build_pipeline, preset_named
from emo_models.emo.conditions import ClipConditions
from emo_models.emo.guidance import Guidance
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions
from emo_models.emo.schedulers import make_scheduler, schedule_of


def clip_inputs(pipeline: EMOPipeline) -> dict[str, Tensor]:
    """Everything that steers one clip, random."""
    config, g = pipeline.model.config, torch.Generator().manual_seed(0)
    size, c = config.latent_size, config.in_channels
    return {
        "reference": torch.randn(1, c, size, size, generator=g),
        "motion": torch.randn(1, config.motion_frames, c, size, size, generator=g),
        "audio": torch.randn(
            1, config.frames + 2 * config.window, config.audio_blocks, config.audio_width, generator=g
        ),
        "mask": torch.ones(1, 1, pipeline.size, pipeline.size),
        "speed": torch.full((1, config.frames + 2 * config.window), 0.7),
    }


@torch.no_grad()
def ours(pipeline: EMOPipeline, inputs: dict[str, Tensor], options: SamplingOptions) -> Tensor:
    """As the pipeline does it."""
    return pipeline.denoise(pipeline.noise([0], 0), pipeline.model.prepare(**inputs), options)


@torch.no_grad()
def naive(pipeline: EMOPipeline, inputs: dict[str, Tensor], options: SamplingOptions) -> Tensor:
    """Everything again at every step and for every guidance pass; the reference repeated for each frame."""
    scheduler = make_scheduler(schedule_of(pipeline.scheduler), sampler=options.sampler)
    scheduler.set_timesteps(options.steps)
    latents = pipeline.noise([0], 0)
    for when in scheduler.timesteps:
        predictions = []
        for with_reference, with_audio in options.guidance.passes:
            conditions = naive_conditions(pipeline, inputs, with_audio=with_audio)
            if not with_reference:
                gate = torch.zeros(1)
                conditions = ClipConditions(
                    reference=conditions.reference, audio=conditions.audio, motion=conditions.motion,
                    speed=conditions.speed, locator=conditions.locator,
                    gates=type(conditions.gates)(reference=gate),
                )  # fmt: skip
            predictions.append(pipeline.model.backbone(latents, when[None], conditions))
        latents = scheduler.step(options.guidance.combine(torch.cat(predictions)), when, latents).prev_sample
    return latents


def naive_conditions(pipeline: EMOPipeline, inputs: dict[str, Tensor], *, with_audio: bool) -> ClipConditions:
    """ReferenceNet and all projections, the reference's for every frame."""
    given = dict(inputs) if with_audio else {**inputs, "audio": None}
    conditions = pipeline.model.prepare(**given)
    features = pipeline.model.reference_net(inputs["reference"], inputs["motion"])
    frames = pipeline.model.config.frames
    repeated = pipeline.model.backbone.project_reference(tuple(t.repeat(frames - 1, 1, 1) for t in features.sites))
    assert len(repeated) == len(conditions.reference)
    return conditions


def count(function: object, *arguments: object) -> tuple[float, float]:
    """GFLOPs and CPU seconds."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)  # type: ignore[operator]
    begin = time.process_time()
    function(*arguments)  # type: ignore[operator]
    return counter.get_total_flops() / 1e9, time.process_time() - begin


def main() -> None:
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="emo-synth")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seconds", type=float, nargs="*", default=[2.0, 10.0, 60.0])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = build_pipeline(preset_named(chosen.preset))
    inputs = clip_inputs(pipeline)
    print(f"{chosen.preset}, one clip of {pipeline.model.config.frames} frames, {chosen.steps} DDIM steps")
    print(f"{'guidance':34} {'naive GFLOP':>12} {'ours GFLOP':>11} {'ratio':>6} {'naive s':>8} {'ours s':>7}")
    for guidance in (Guidance(), Guidance(audio=2.0), Guidance(audio=2.0, reference=1.5)):
        options = SamplingOptions(steps=chosen.steps, guidance=guidance)
        torch.testing.assert_close(
            naive(pipeline, inputs, options), ours(pipeline, inputs, options), atol=1e-3, rtol=1e-3
        )
        a, a_seconds = count(naive, pipeline, inputs, options)
        b, b_seconds = count(ours, pipeline, inputs, options)
        name = f"audio {guidance.audio:g}, reference {guidance.reference:g} ({len(guidance.passes)} passes)"
        print(f"{name:34} {a:12.2f} {b:11.2f} {b / a:6.2f} {a_seconds:8.2f} {b_seconds:7.2f}")
    print(f"\n{'seconds':>8} {'frames':>7} {'GFLOP':>10} {'per second':>11} {'CPU s per s':>12} {'peak MB':>8}")
    portrait = np.zeros((pipeline.size, pipeline.size, 3), np.uint8)
    for seconds in chosen.seconds:
        audio = np.zeros(round(seconds * 16_000), np.float32)
        begin, frames = time.process_time(), 0
        with FlopCounterMode(display=False) as counter:
            for piece in pipeline.animate(portrait, audio, 16_000, options=SamplingOptions(steps=chosen.steps)):
                frames += len(piece)
        spent = (time.process_time() - begin) / seconds
        flops = counter.get_total_flops() / 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{seconds:8.1f} {frames:7d} {flops:10.1f} {flops / seconds:11.2f} {spent:12.2f} {peak:8.0f}")


if __name__ == "__main__":
    main()
