"""EMO where its weights do not lie on the CPU: nothing is left behind, and nothing else comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from emo_scenes import TINY, MovingSquares, awake_model, awake_refiner, speech_like
from fake_device import DEVICE, FakeDevice

from emo_models.emo import attention
from emo_models.emo.building import build_pipeline
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.pipeline import SamplingOptions
from emo_models.emo.training import run, trainer
from emo_models.emo.training.config import TrainConfig
from emo_models.emo.weights import read_tensors

# float32 everywhere: a processor with bfloat16 would use it, and the fake device has none.
CONFIG = TrainConfig.model_validate_json(
    json.dumps(
        {
            "preset": "tiny",
            "optimizer": "muon",
            "checkpoint_every": 2,
            "reader_steps": 0,
            "diagnostics_every": 0,
            "autoencoder": {"steps": 2, "decoder_steps": 1, "batch": 2, "crop": 32, "bf16": False},
            "refiner": {"steps": 1, "batch": 2, "clips": 2, "rounds": 1},
            "stages": [
                {"name": "image", "steps": 1, "clips": 2, "frames": 2, "lr": 0.001},
                {"name": "audio", "steps": 1, "clips": 2, "frames": 2, "lr": 0.001, "eye_weight": 0.5},
                {"name": "video", "steps": 1, "clips": 2, "lr": 0.001, "motion_noise": 0.4},
                {"name": "speed", "steps": 1, "clips": 2, "lr": 0.001, "min_snr_gamma": 5.0},
                {
                    "name": "guidance",
                    "steps": 1,
                    "clips": 2,
                    "lr": 0.001,
                    "self_forcing": 1.0,
                    "guidance_distillation": 2.0,
                },
            ],
        }
    ),
    strict=True,
)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The fake device, which accelerate takes for the one at hand."""
    AcceleratorState._reset_state(True)
    made = trainer.make_accelerator

    def on_far_device(config: TrainConfig) -> Any:
        accelerator = made(config)
        accelerator.state.device = PartialState().device = DEVICE
        return accelerator

    monkeypatch.setattr("emo_models.emo.training.entry.make_accelerator", on_far_device)
    monkeypatch.setattr("emo_models.emo.training.entry.GUIDANCE_BATCHES", 2)
    with FakeDevice():
        yield DEVICE
    AcceleratorState._reset_state(True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.parent.name}.{name}": tensor
        for path in sorted(folder.rglob("diffusion_pytorch_model.safetensors"))
        for name, tensor in read_tensors(path).items()
    }


def test_a_forgotten_tensor_is_found() -> None:
    model = awake_model()
    with FakeDevice():
        torch.nn.Module.to(model, DEVICE)
        with pytest.raises(RuntimeError, match="on one device"):
            model.face_locator(torch.ones(1, 1, 64, 64))


@pytest.fixture(scope="module")
def one_attention() -> Iterator[None]:
    """Attention computes in the same order on both devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "fusing_pays", lambda query: False)
        yield


@pytest.fixture(scope="module")
def on_cpu(one_attention: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(CONFIG, MovingSquares(), tmp_path_factory.mktemp("cpu"))


@pytest.mark.slow
def test_all_of_training_runs_there_and_ends_with_the_same_weights(
    on_cpu: Path, one_attention: None, far: Any, tmp_path: Path
) -> None:
    before = weights(on_cpu)
    there = weights(run(CONFIG, MovingSquares(), tmp_path))
    assert before.keys() == there.keys()
    assert [name for name in before if not torch.equal(before[name], there[name])] == []


@pytest.mark.slow
def test_a_pipeline_there_draws_the_same_video() -> None:
    pipeline = build_pipeline(TINY)
    pipeline.model, pipeline.refiner = awake_model(), awake_refiner()
    options = SamplingOptions(steps=2, speed=0.7, guidance=Guidance(audio=2.0, reference=1.5, speed=1.2))
    given = (MovingSquares()[0].frames[0], speech_like(0.3))
    here = pipeline(*given, seed=1, options=options).frames
    with FakeDevice():
        pipeline.to(DEVICE)
        there = pipeline(*given, seed=1, options=options).frames
    assert np.abs(here.astype(int) - there.astype(int)).max() <= 1
