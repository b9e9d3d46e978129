"""Attention that prefers near places."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model, random_inputs

from emo_models.emo.attention import Attention, ScoreBias, no_bias
from emo_models.emo.conditions import BackboneContext, SegmentConditions
from emo_models.emo.extensions.distance_bias import DistanceBias


def scores(bias: ScoreBias) -> torch.Tensor:
    """The bias as a table ``[b, heads, queries, keys]``."""
    query, key = bias.channels(torch.float32)
    return (query @ key.transpose(-2, -1)).detach()


def test_bias_falls_with_the_squared_distance_in_cells() -> None:
    bias = scores(DistanceBias(2)(9))[0]
    assert bias.shape == (2, 9, 9)
    relative = bias - bias.diagonal(dim1=1, dim2=2)[:, :, None]
    # From the middle of a 3x3 grid: itself, a neighbour, a corner; from a corner: the other corner.
    assert relative[0, 4, [4, 5, 8]].tolist() == pytest.approx([0.0, -2.0, -4.0], abs=1e-5)
    assert relative[1, 4, [4, 5, 8]].tolist() == pytest.approx([0.0, -1 / 32, -2 / 32], abs=1e-5)
    assert relative[0, 0, 8].item() == pytest.approx(-16.0, abs=1e-4)


def test_bias_is_as_exact_in_bfloat16() -> None:
    bias = DistanceBias(4)(256)
    query, key = bias.channels(torch.bfloat16)
    coarse = (query.float() @ key.float().transpose(-2, -1)).detach()
    # Scores reach hundreds; without the second part the error would be about one.
    torch.testing.assert_close(coarse, scores(bias), rtol=0, atol=4e-3)


def test_bias_needs_a_square_grid() -> None:
    with pytest.raises(ValueError, match="square grid, found 6"):
        DistanceBias(1)(6)


@pytest.mark.parametrize("gated", [False, True])
def test_attention_equals_its_definition_with_and_without_gradient(gated: bool) -> None:
    torch.manual_seed(0)
    attention, near = Attention(16, heads=2), DistanceBias(2)(9)
    bias = near.beside(near.closed(torch.tensor([1.0, 0.0, 1.0]) if gated else None))
    x, context = torch.randn(3, 9, 16), torch.randn(3, 18, 16)
    keys = attention.project(context)
    table = (attention._split(attention.to_q(x)) @ keys.key.transpose(-2, -1)) * 8**-0.5 + scores(bias)
    if gated:
        table[1, :, :, 9:] = float("-inf")
    expected = attention.to_out[0]((table.softmax(-1) @ keys.value).transpose(1, 2).flatten(2))
    slow = attention(x.clone().requires_grad_(), keys, bias=bias)
    with torch.no_grad():
        fast = attention(x, keys, bias=bias)
    torch.testing.assert_close(slow, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-5)


def test_a_closed_gate_hides_keys_exactly() -> None:
    torch.manual_seed(0)
    attention = Attention(16, heads=2)
    x, seen, hidden = torch.randn(2, 9, 16), torch.randn(2, 9, 16), 50 * torch.randn(2, 9, 16)
    open_keys = no_bias(9, 9, device=x.device)
    bias = open_keys.beside(open_keys.closed(torch.tensor([0.0, 0.0])))
    with torch.no_grad():
        alone = attention(x, attention.project(seen), bias=open_keys)
        both = attention(x, attention.project(torch.cat([seen, hidden], 1)), bias=bias)
    torch.testing.assert_close(both, alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("variant", ["cross", "concat"])
def test_a_near_change_of_the_reference_matters_more_than_a_far_one(variant: str) -> None:
    model = awake_model(reference={"variant": variant}, extensions={"distance_bias": True})
    block = model.backbone.blocks()[0]
    torch.manual_seed(0)
    width = block.norm1.normalized_shape[0]
    x, feature = torch.randn(2, 64, width), torch.randn(1, 64, width)
    changed = [feature.clone(), feature.clone()]
    changed[0][:, 9] += 3.0
    changed[1][:, 63] += 3.0

    def answer(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            conditions = SegmentConditions(reference=(block.project_reference(tokens),))
            out, _ = block(x, BackboneContext(conditions=conditions, frames=2))
        return torch.as_tensor(out)[:, 9]

    base = answer(feature)
    near, far = ((answer(tokens) - base).norm() for tokens in changed)
    assert near > 10 * far


def test_gradients_reach_the_slopes() -> None:
    model = awake_model(reference={"variant": "concat"}, extensions={"distance_bias": True})
    model(**random_inputs()).square().mean().backward()
    slopes = [p.grad for name, p in model.named_parameters() if name.endswith("log_slope")]
    assert slopes
    assert all(grad is not None and grad.abs().sum() > 0 for grad in slopes)
