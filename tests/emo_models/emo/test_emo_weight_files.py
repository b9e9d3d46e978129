"""Modules on disk: a config says that the weights beside it are whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from emo_scenes import TINY

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.emo import weights
from emo_models.emo.audio_encoders import load_audio_encoder
from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import SpeechNet, SpeechNetEncoder
from emo_models.emo.weights import load_module, save_module


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    vae = build_autoencoder(TINY)
    save_module(vae, tmp_path)
    again = load_module(SmallAutoencoder, tmp_path)
    assert all(torch.equal(value, vae.state_dict()[name]) for name, value in again.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == [weights.CONFIG_NAME, weights.WEIGHTS_NAME]


@pytest.mark.parametrize("stopped_in", ["save_file", "before the config"])
def test_a_save_that_was_stopped_leaves_no_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_in: str
) -> None:
    vae = build_autoencoder(TINY)
    if stopped_in == "save_file":
        monkeypatch.setattr(weights, "save_file", stop)
    else:
        monkeypatch.setattr(vae, "save_config", stop)
    with pytest.raises(KeyboardInterrupt):
        save_module(vae, tmp_path)
    assert not (tmp_path / weights.CONFIG_NAME).exists()


def test_a_speech_encoder_is_there_when_its_network_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SpeechNetEncoder(SpeechNet(in_width=16, width=8, blocks=1), LogMelEncoder(bands=8, steps=2))
    with monkeypatch.context() as killed:
        killed.setattr(weights, "save_file", stop)
        with pytest.raises(KeyboardInterrupt):
            encoder.save(tmp_path)
    assert not (tmp_path / "config.json").exists()
    encoder.save(tmp_path)
    assert load_audio_encoder(tmp_path).width == encoder.width
