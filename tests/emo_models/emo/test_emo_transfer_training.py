"""Refiner and decoder on true flow: the flow's geometry, what is learnt, that a resumed run ends alike, portraits as
references."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import SMALL_REFINER, TINY, MovingSquares

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.portrait_refiner import CELL, PortraitRefiner, warp
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import StageConfig, TransferTraining
from emo_models.emo.training.transfer_training import (
    clips_with_flow,
    flow_of_cells,
    train_transfer,
    transfer_batch,
    transfer_loss,
)
from emo_models.training.clips import TrainingClip

SIDE = 64
SHIFT = 8
CONFIG = TransferTraining(steps=4, batch=3, warmup=1, checkpoint_every=2, noise=0.1)


def shifted_clip(seed: int = 0, shift: int = SHIFT) -> TrainingClip:
    """A still, and the same still a few pixels to the right: frame(x) = portrait(x - shift)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    still = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    frames = np.stack([np.roll(still, shift, axis=1)] * 6)
    flow = np.zeros((6, 5, 5, 2), np.float16)
    flow[..., 0] = -shift
    return replace(MovingSquares(1, 6)[0], frames=frames, portrait=still, labels={"flow": flow})


def autoencoder() -> SmallAutoencoder:
    return build_autoencoder(TINY, seed=0)


def refiner(seed: int = 0) -> PortraitRefiner:
    torch.manual_seed(seed)
    return PortraitRefiner(**SMALL_REFINER)


def test_the_flow_of_a_batch_takes_the_portrait_to_the_frame_mirrored_or_not() -> None:
    batch = transfer_batch([shifted_clip()], TransferTraining(batch=6), 0)
    moved = warp(batch.portraits, torch.nn.functional.interpolate(batch.flow, scale_factor=CELL, mode="bilinear"))
    inner = slice(2 * SHIFT, -2 * SHIFT)
    assert {round(float(value)) for value in batch.flow[:, 0].flatten()} == {-SHIFT // CELL, SHIFT // CELL}
    torch.testing.assert_close(moved[..., inner], batch.frames[..., inner], atol=1e-4, rtol=0)


def test_frames_are_chosen_by_the_weights_of_their_clips() -> None:
    clips = [replace(shifted_clip(shift=shift), weight=weight) for shift, weight in ((8, 1e-9), (16, 1.0))]
    batch = transfer_batch(clips, TransferTraining(batch=12), 0)
    assert {abs(round(float(value))) for value in batch.flow[:, 0].flatten()} == {16 // CELL}


def test_flow_lies_on_a_grid_from_border_to_border() -> None:
    rising = torch.linspace(0, SIDE - 1, 5).expand(1, 5, 5)
    found = flow_of_cells(torch.stack([rising, 0 * rising], -1), size=SIDE)
    middles = CELL * torch.arange(SIDE // CELL).float() + 1.5
    torch.testing.assert_close(found[0, 0, 0] * CELL, middles, atol=1e-4, rtol=0)


def test_it_learns_the_flow_and_the_decoder_but_not_the_encoder(tmp_path: Path) -> None:
    clips = [shifted_clip(seed) for seed in range(3)]
    vae, net = autoencoder(), refiner()
    encoder = {name: value.clone() for name, value in vae.encoder.state_dict().items()}
    decoder = {name: value.clone() for name, value in vae.decoder.state_dict().items()}
    config = TransferTraining(steps=40, batch=4, lr=4e-3, warmup=2, ema=0.5, flow_weight=1.0, noise=0.0)
    batch = transfer_batch(clips, config, 999)
    before = transfer_loss(net, vae, batch, config).item()
    train_transfer(net, vae, config, clips, tmp_path, report=lambda line: None)
    assert transfer_loss(net, vae, batch, config).item() < 0.9 * before
    assert all(torch.equal(value, vae.encoder.state_dict()[name]) for name, value in encoder.items())
    assert not all(torch.equal(value, vae.decoder.state_dict()[name]) for name, value in decoder.items())


def test_the_refiner_gets_decoded_frames_in_their_range_as_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, net = autoencoder(), refiner()
    with torch.no_grad():
        vae.decoder[-2].bias.fill_(1.5)
    seen = []
    transfer = net.transfer
    monkeypatch.setattr(net, "transfer", lambda frames, portraits: seen.append(frames) or transfer(frames, portraits))
    loss = transfer_loss(net, vae, transfer_batch([shifted_clip()], CONFIG, 0), CONFIG)
    assert seen[0].max() == 1
    loss.backward()
    assert vae.decoder[-2].bias.grad.abs().min() > 0, "what is beyond the range has to come back"


def test_stopped_and_resumed_it_ends_alike(tmp_path: Path) -> None:
    clips = [shifted_clip()]

    def trained(out: Path) -> dict[str, torch.Tensor]:
        vae, net = autoencoder(), refiner()
        train_transfer(net, vae, CONFIG, clips, out, report=lambda line: None)
        return {**net.state_dict(), **{f"decoder.{k}": v for k, v in vae.decoder.state_dict().items()}}

    whole = trained(tmp_path / "whole")
    for folder in (tmp_path / "whole" / "checkpoints").iterdir():
        if folder.name.endswith("4"):
            shutil.rmtree(folder)
    resumed = trained(tmp_path / "whole")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_clips_without_flow_are_refused(tmp_path: Path) -> None:
    plain = MovingSquares(2, 6)
    assert clips_with_flow(plain) == []
    with pytest.raises(ValueError, match="re-enacted"):
        train_transfer(refiner(), autoencoder(), CONFIG, plain, tmp_path, report=lambda line: None)


def test_the_still_is_the_reference_as_often_as_asked() -> None:
    vae = autoencoder()
    clip = shifted_clip()
    latents = LatentClips([clip], vae, LogMelEncoder(fps=25.0, bands=8, steps=2), window=1, downsample=8)
    still = latents.clips[0].portrait
    assert still is not None

    def share(wanted: float) -> float:
        stage = StageConfig(name="image", steps=1, clips=40, frames=1, portrait_reference=wanted)
        batch = latents.batch(stage, frames=1, motion_frames=0, seed=0, step=0)
        return float(np.mean([torch.equal(row, still.float()) for row in batch.reference]))

    assert share(0.0) == 0.0
    assert share(1.0) == 1.0
    assert 0.2 < share(0.5) < 0.8
