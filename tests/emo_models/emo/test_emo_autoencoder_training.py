"""The last steps of the autoencoder's training: a decoder that bears what a diffusion model leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from emo_scenes import TINY, MovingSquares

from emo_models.autoencoder.small_autoencoder import to_signed
from emo_models.autoencoder.training import AutoencoderTraining, train_autoencoder
from emo_models.emo.building import build_autoencoder
from emo_models.training.checkpoints import complete_checkpoints


def test_the_last_steps_teach_the_decoder_and_leave_the_latents(tmp_path: Path) -> None:
    data = MovingSquares()
    settings = {"batch": 4, "crop": 32, "lr": 3e-3, "warmup": 2, "checkpoint_every": 50, "bf16": False, "ema": 0.9}
    first = AutoencoderTraining(**settings, steps=150)
    both = AutoencoderTraining(**settings, steps=150, decoder_steps=150, decoder_noise=1.5)
    before = train_autoencoder(build_autoencoder(TINY), first, data, tmp_path / "a", report=lambda line: None)
    after = train_autoencoder(build_autoencoder(TINY), both, data, tmp_path / "b", report=lambda line: None)
    images = to_signed(torch.from_numpy(np.asarray(data[0].frames[:4])))
    with torch.no_grad():
        latents = before.encode(images)
        assert torch.equal(after.encode(images), latents)
        noisy = latents + torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        errors = [[(vae.decode(x) - images).abs().mean() for x in (latents, noisy)] for vae in (before, after)]
    harm_before, harm_after = (with_noise - without for without, with_noise in errors)
    assert harm_after < 0.5 * harm_before
    assert errors[1][1] < 1.02 * errors[0][1]
    assert all(parameter.requires_grad for parameter in after.parameters())

    for folder in complete_checkpoints(tmp_path / "b" / "checkpoints")[-1:]:
        shutil.rmtree(folder)
    resumed = train_autoencoder(build_autoencoder(TINY), both, data, tmp_path / "b", report=lambda line: None)
    for name, value in after.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
