"""bfloat16 is used where the device has instructions for it, and nowhere else unless asked."""

from __future__ import annotations

import pytest
import torch

from emo_models.emo.training import trainer
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.precision import fast_bfloat16


def test_the_processor_is_asked() -> None:
    assert fast_bfloat16() is torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "no")])
def test_auto_follows_the_device(monkeypatch: pytest.MonkeyPatch, fast: bool, expected: str) -> None:
    monkeypatch.setattr(trainer, "fast_bfloat16", lambda device: fast)
    assert trainer.precision_on("cpu", "auto") == expected
    assert trainer.precision_on("cpu", "fp16") == "fp16"


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mixed_precision\n.*'no', 'auto', 'bf16' or 'fp16'.*'bf61'"):
        TrainConfig(preset="tiny", stages=(StageConfig(name="image", steps=1),), mixed_precision="bf61")
