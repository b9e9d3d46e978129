"""Attention that prefers near places."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model, random_inputs

from emo_models.emo.attention import Attention, DistanceBias


def test_bias_falls_with_the_squared_distance_in_cells() -> None:
    bias = DistanceBias(2)(9).detach()
    assert bias.shape == (2, 9, 9)
    # From the middle of a 3x3 grid: itself, a neighbour, a corner.
    assert bias[0, 4, [4, 5, 8]].tolist() == pytest.approx([0.0, -2.0, -4.0])
    assert bias[1, 4, [4, 5, 8]].tolist() == pytest.approx([0.0, -0.5, -1.0])


def test_bias_needs_a_square_grid() -> None:
    with pytest.raises(ValueError, match="square grid, found 6"):
        DistanceBias(1)(6)


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_equals_the_two_products(masked: bool) -> None:
    torch.manual_seed(0)
    attention, bias = Attention(8, heads=2), DistanceBias(2)(9)
    x = torch.randn(3, 9, 8)
    mask = torch.rand(3, 1, 9, 9) > 0.3 if masked else None
    if mask is not None:
        mask |= torch.eye(9, dtype=torch.bool)
    slow = attention(x.requires_grad_(), attention.project(x), mask=mask, bias=bias)
    with torch.no_grad():
        fast = attention(x, attention.project(x), mask=mask, bias=bias)
    torch.testing.assert_close(slow, fast, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", ["cross", "concat"])
def test_a_near_change_of_the_reference_matters_more_than_a_far_one(variant: str) -> None:
    model = awake_model(reference_variant=variant, distance_bias=True)
    block = next(site.block for site in model.backbone.sites())
    torch.manual_seed(0)
    width = block.norm1.normalized_shape[0]
    x, feature = torch.randn(2, 64, width), torch.randn(1, 64, width)
    changed = [feature.clone(), feature.clone()]
    changed[0][:, 9] += 3.0
    changed[1][:, 63] += 3.0

    def answer(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out: torch.Tensor = block(
                x, frames=2, reference=block.project_reference(tokens), audio=None, gates=model_gates()
            )
        return out[:, 9]

    base = answer(feature)
    near, far = ((answer(tokens) - base).norm() for tokens in changed)
    assert near > 10 * far


def model_gates() -> object:
    from emo_models.emo.conditions import Gates

    return Gates()


def test_gradients_reach_the_slopes() -> None:
    model = awake_model(reference_variant="concat", distance_bias=True)
    model(**random_inputs()).square().mean().backward()
    slopes = [p.grad for name, p in model.named_parameters() if name.endswith("log_slope")]
    assert slopes
    assert all(grad is not None and grad.abs().sum() > 0 for grad in slopes)
