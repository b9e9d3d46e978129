"""The shipped networks where their weights do not lie on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import pytest
import torch
from fake_device import DEVICE, FakeDevice

from emo_metrics.contract import ClipFeatures, Extractor
from emo_metrics.registered import EXTRACTORS

FACE = "face/synth@1"


def _built(name: str, device: str) -> Sequence[Extractor]:
    """An extractor and what it reads, all on one device."""
    wanted = [name] if name == FACE else [FACE, name]
    made = []
    for part in wanted:
        module, _, kind = EXTRACTORS[part].partition(":")
        made.append(getattr(import_module(module), kind)({}, device=device))
    return made


@pytest.mark.parametrize("name", sorted(name for name in EXTRACTORS if "/synth@" in name))
def test_features_are_those_of_the_cpu(name: str, clips: list, extract: Callable[..., ClipFeatures]) -> None:
    frames, audio = clips[0].frames[:40], clips[0].audio[: 40 * 640]
    here = extract(_built(name, "cpu"), clips[0], frames=frames, audio=audio).arrays[name]
    with FakeDevice():
        there = extract(_built(name, str(DEVICE)), clips[0], frames=frames, audio=audio).arrays[name]
    assert here.keys() == there.keys()
    for key, values in here.items():
        np.testing.assert_allclose(there[key], values, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", sorted(name for name in EXTRACTORS if "/synth@" in name))
def test_no_network_rounds_its_inputs_on_a_gpu(name: str, clips: list, extract: Callable[..., ClipFeatures]) -> None:
    seen: set[bool] = set()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *_: seen.add(torch.backends.cudnn.allow_tf32)
    )
    try:
        extract(_built(name, "cpu"), clips[0], frames=clips[0].frames[:40], audio=clips[0].audio[: 40 * 640])
    finally:
        hook.remove()
    assert seen == {False}
