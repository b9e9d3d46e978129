"""The networks have the published names and shapes, and load checkpoints however they are wrapped."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emo_models.baselines.wav2lip.checkpoints import (
    load_generator,
    load_published,
    published_state,
    save_generator,
)
from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.discriminator import (
    QualityDiscriminator,
    discriminator_loss,
    generator_quality_loss,
)
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.baselines.wav2lip.sync_expert import SyncExpert, lower_halves, sync_loss, sync_probability
from emo_models.strict_loading import load_state

PUBLISHED = json.loads((Path(__file__).parent / "published_tensors.json").read_text(encoding="utf-8"))
NETWORKS = {"generator": Generator, "sync_expert": SyncExpert, "discriminator": QualityDiscriminator}
SMALL = Wav2LipConfig(width=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name]()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == PUBLISHED[name]


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_checkpoint_loads_however_it_is_wrapped(tmp_path: Path, prefix: str, wrapped: bool) -> None:
    source = Generator(SMALL)
    state = {prefix + key: value for key, value in source.state_dict().items()}
    content = {"state_dict": state, "optimizer": None, "global_step": 7} if wrapped else state
    torch.save(content, tmp_path / "a.pth")
    loaded = load_published(Generator(SMALL), tmp_path / "a.pth")
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in source.state_dict().items())


def test_the_old_file_format_of_the_published_files_loads(tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in SyncExpert(SMALL).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert set(published_state(tmp_path / "old.pth")) == set(SyncExpert(SMALL).state_dict())


class _Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("attacked"),))


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "bad.pth").open("wb") as stream:
        pickle.dump({"state_dict": _Attack()}, stream)
    torch.save({"state_dict": _Attack()}, tmp_path / "bad2.pth")
    for name in ("bad.pth", "bad2.pth"):
        with pytest.raises(ValueError, match="cannot be loaded safely"):
            published_state(tmp_path / name)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("data", [b"", b"<html>", b"PK\x03\x04 broken"])
def test_a_broken_file_is_refused_with_its_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.pth"):
        published_state(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("old", [True, False])
def test_every_damaged_file_is_refused_in_words(tmp_path: Path, old: bool) -> None:
    """What PyTorch raises depends on the bytes: KeyError, AssertionError, IndexError, struct.error ..."""
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {"module.a": torch.zeros(3)}}, path, _use_new_zipfile_serialization=not old)
    data, random = path.read_bytes(), np.random.default_rng(0)
    refused: list[str] = []
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(0, min(len(data), 700), 3):
            damaged[place] = int(random.integers(256))
        path.write_bytes(bytes(damaged))
        try:
            published_state(path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 15
    assert all(str(path) in text for text in refused)


@pytest.mark.parametrize(
    "config", ["[]", "null", "3", '{"width": "a"}', '{"width": null}', '{"window_start": 0.5}', "{"]
)
def test_own_files_with_another_configuration_are_refused_in_words(tmp_path: Path, config: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "g.safetensors", metadata={"config": config})
    with pytest.raises(ValueError, match=r"g\.safetensors: .*describes no generator"):
        load_generator(tmp_path / "g.safetensors")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(SyncExpert(SMALL).state_dict(), tmp_path / "e.pth")
    with pytest.raises(ValueError, match=r"tensors of Generator in e\.pth, found"):
        load_published(Generator(SMALL), tmp_path / "e.pth")
    torch.save(Generator(Wav2LipConfig(width=0.3)).state_dict(), tmp_path / "g.pth")
    with pytest.raises(ValueError, match=r"of shape \(.*\) in g\.pth, found"):
        load_published(Generator(SMALL), tmp_path / "g.pth")


def test_nan_in_a_checkpoint_is_refused() -> None:
    state = Generator(SMALL).state_dict()
    state["output_block.1.bias"][0] = float("nan")
    with pytest.raises(ValueError, match=r"finite values of output_block\.1\.bias in x, found NaN"):
        load_state(Generator(SMALL), state, source="x")


def test_own_format_keeps_configuration_and_output(tmp_path: Path) -> None:
    config = Wav2LipConfig(width=0.1, image_size=48, window_start=-2)
    generator = Generator(config).eval()
    save_generator(generator, tmp_path / "g.safetensors")
    loaded = load_generator(tmp_path / "g.safetensors")
    assert loaded.config == config
    mel, faces = torch.randn(2, 1, 80, 16), torch.rand(2, 6, 48, 48)
    with torch.inference_mode():
        assert torch.allclose(generator(mel, faces), loaded(mel, faces), atol=2e-3)
    (tmp_path / "g.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_generator(tmp_path / "g.safetensors")


@pytest.mark.parametrize("size", [48, 96])
def test_sizes_and_ranges(size: int) -> None:
    config = Wav2LipConfig(width=0.05, image_size=size)
    mel, faces = torch.randn(2, 5, 1, 80, 16), torch.rand(2, 6, 5, size, size)
    painted = Generator(config).forward_windows(mel, faces)
    assert painted.shape == (2, 3, 5, size, size)
    assert 0 <= painted.min() <= painted.max() <= 1
    audio, face = SyncExpert(config)(mel[:, 0], lower_halves(painted))
    probability = sync_probability(audio, face)
    assert ((probability >= 0) & (probability <= 1.0001)).all()
    assert torch.isfinite(sync_loss(audio, audio, torch.ones(2)))
    discriminator = QualityDiscriminator(config)
    assert discriminator(painted).shape == (10,)
    assert generator_quality_loss(discriminator, painted) > 0
    assert discriminator_loss(discriminator, painted.detach(), painted.detach()) > 0


def test_windows_are_painted_frame_by_frame() -> None:
    generator = Generator(SMALL).eval()
    mel, faces = torch.randn(2, 3, 1, 80, 16), torch.rand(2, 6, 3, 96, 96)
    with torch.inference_mode():
        together = generator.forward_windows(mel, faces)
        alone = generator(mel[1, 2][None], faces[1, :, 2][None])
    assert torch.allclose(together[1, :, 2], alone[0], atol=1e-5)


def test_the_lower_half_is_stacked_frame_by_frame() -> None:
    frames = torch.arange(2 * 3 * 5 * 4 * 4).float().reshape(2, 3, 5, 4, 4)
    stacked = lower_halves(frames)
    assert stacked.shape == (2, 15, 2, 4)
    assert torch.equal(stacked[1, 3 * 4 + 2], frames[1, 2, 4, 2:])


@pytest.mark.parametrize("values", [{"width": 0.0}, {"image_size": 64}, {"window_start": 99}])
def test_impossible_sizes_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Wav2LipConfig.from_dict(values)
    with pytest.raises(ValueError, match="unknown keys"):
        Wav2LipConfig.from_dict({"depth": 3})
