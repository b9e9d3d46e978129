"""First weights depend on their seed, and nothing else notices."""

from __future__ import annotations

import torch

from emo_models.face_detector.network import FaceDetector
from emo_models.initial_weights import initial_weights


def first_values(seed: int) -> torch.Tensor:
    with initial_weights(seed):
        return torch.nn.utils.parameters_to_vector(FaceDetector().parameters()).detach()


def test_equal_seeds_give_equal_weights() -> None:
    assert torch.equal(first_values(1), first_values(1))
    assert not torch.equal(first_values(1), first_values(2))


def test_no_generator_is_changed_for_others(monkeypatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", asked.append)
    torch.rand(3)
    before = torch.get_rng_state()
    first_values(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not asked, "generators of GPUs were set"
