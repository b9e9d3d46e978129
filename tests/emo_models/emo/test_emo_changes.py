"""Diffusing the residual against the portrait instead of the latents."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model

from emo_models.emo.building import build_pipeline, preset_named
from emo_models.emo.extensions.guidance import Guidance

SCALE = (0.5, 1.0, 2.0, 4.0)


def test_residual_and_latents_are_each_others_inverse() -> None:
    model = awake_model(extensions={"residual_std": SCALE})
    latents, portrait = torch.randn(2, 3, 4, 8, 8), torch.randn(2, 4, 8, 8)
    residual = model.to_residual(latents, portrait)
    torch.testing.assert_close(model.from_residual(residual, portrait), latents)
    assert torch.equal(model.to_residual(portrait[:, None], portrait), torch.zeros(2, 1, 4, 8, 8))
    torch.testing.assert_close(residual[:, :, 3], (latents - portrait[:, None])[:, :, 3] / 4)


def test_latents_stay_latents_by_default() -> None:
    model = awake_model()
    latents, portrait = torch.randn(1, 2, 4, 8, 8), torch.randn(1, 4, 8, 8)
    assert model.to_residual(latents, portrait) is latents
    assert model.from_residual(latents, portrait) is latents
    assert model.prepare(reference=portrait).portrait is None


def test_the_backbone_sees_the_portrait_unless_it_is_masked() -> None:
    model = awake_model(extensions={"residual_std": SCALE})
    assert model.backbone.conv_in.in_channels == 2 * model.reference_net.conv_in.in_channels
    noisy, time = torch.randn(1, 2, 4, 8, 8), torch.tensor([500])
    conditions = model.prepare(reference=torch.randn(1, 4, 8, 8))
    passes = conditions.for_passes(Guidance(audio=2.0, reference=2.0).passes)
    with torch.no_grad():
        both = model.backbone(noisy.repeat(2, 1, 1, 1, 1), time.repeat(2), passes)
        other = model.prepare(reference=torch.randn(1, 4, 8, 8)).for_passes(Guidance(audio=2.0, reference=2.0).passes)
        again = model.backbone(noisy.repeat(2, 1, 1, 1, 1), time.repeat(2), other)
    torch.testing.assert_close(both[0], again[0])
    assert not torch.allclose(both[1], again[1], atol=1e-3)


def test_a_residual_of_zero_is_the_portrait() -> None:
    pipeline = build_pipeline(preset_named("emo-synth"))
    portrait = torch.randn(1, 12, 16, 16)
    still = pipeline.model.from_residual(torch.zeros(1, 12, 12, 16, 16), portrait)
    assert torch.equal(still, portrait[:, None].expand(-1, 12, -1, -1, -1))


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.0, 1.0, 0.0, 1.0)])
def test_a_scale_that_cannot_be_divided_by_is_refused(scale: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected 4 positive numbers in extensions\.residual_std"):
        awake_model(extensions={"residual_std": scale})
