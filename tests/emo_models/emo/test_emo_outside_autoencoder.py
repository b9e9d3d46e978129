"""Stable Diffusion's autoencoder is loaded whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from emo_models.emo.codec import load_autoencoder
from emo_models.emo.weights import WeightsError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    AutoencoderKL(block_out_channels=(8,), norm_num_groups=4).save_pretrained(tmp_path)
    return tmp_path


def changed(folder: Path, *, leave_out: str = "", add: str = "") -> None:
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if name != leave_out}
    save_file({**tensors, **({add: torch.zeros(1)} if add else {})}, path, metadata={"format": "pt"})


def test_a_complete_autoencoder_is_loaded(folder: Path) -> None:
    loaded = load_autoencoder(AutoencoderKL, folder)
    for name, value in load_file(folder / "diffusion_pytorch_model.safetensors").items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert not loaded.training


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"leave_out": "decoder.conv_out.weight"}, r"1 missing .*decoder\.conv_out\.weight"),
        ({"add": "decoder.another.weight"}, r"1 unknown .*decoder\.another\.weight"),
    ],
)
def test_tensors_that_are_missing_or_unknown_are_refused(folder: Path, change: dict[str, str], found: str) -> None:
    changed(folder, **change)
    with pytest.raises(WeightsError, match=found):
        load_autoencoder(AutoencoderKL, folder)


def test_a_folder_without_an_autoencoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected .*config\.json"):
        load_autoencoder(AutoencoderKL, tmp_path / "vae")
