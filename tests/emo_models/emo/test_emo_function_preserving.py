"""At the start EMO computes what its pretrained parts compute, compared with diffusers' own classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

from emo_models.emo.architecture import EMOArchitecture
from emo_models.emo.backbone import Backbone
from emo_models.emo.conditions import ConditionMask, SegmentConditions
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.temporal_modules import TemporalModule
from emo_models.emo.weights import WeightsError
from emo_models.emo.weights_sd15 import (
    expected_reasons,
    load_motion_module,
    load_stable_diffusion,
    sd15_model_on_meta,
    sd15_unet_keys,
    start_from_sd15,
)

WIDTHS = (32, 64, 64)
PARTS = {
    "segment": {"motion_frames": 2},
    "unet": {"block_out_channels": WIDTHS, "attention_levels": (True, True, False), "heads": 4, "groups": 8},
    "audio": {"token_dim": 16},
    "temporal": {"heads": 4},
    "speed": {"width": 64},
}


def tiny_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=WIDTHS,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=8,
    ).eval()


def backbone(*, norm: str = "frame") -> Backbone:
    torch.manual_seed(1)
    return Backbone(EMOArchitecture.from_parts({**PARTS, "temporal": {"heads": 4, "norm": norm}})).eval()


def test_backbone_equals_stable_diffusion_without_text_attention() -> None:
    unet, ours = tiny_unet(), backbone()
    load_stable_diffusion(ours, unet.state_dict())
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if ".attn2.to_out." in name:
                parameter.zero_()
        latents = torch.randn(2, 3, 4, 16, 16)
        times = torch.tensor([10, 700])
        theirs = unet(
            latents.flatten(0, 1), times.repeat_interleave(3), encoder_hidden_states=torch.randn(6, 5, 16)
        ).sample
        audio = ours.project_audio(torch.randn(2, 3, 4, 16))
        reference = ours.project_reference(
            tuple(torch.randn(2, 256 // 4**level, WIDTHS[level]) for level in (0, 0, 1, 1, 2, 1, 1, 1, 0, 0, 0))
        )
        same = ours(latents, times, SegmentConditions(audio=audio, reference=reference))
    torch.testing.assert_close(same.flatten(0, 1), theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", ["diffusers", "original"])
def test_temporal_modules_equal_animatediff(layout: str) -> None:
    torch.manual_seed(2)
    adapter = MotionAdapter(
        block_out_channels=WIDTHS,
        motion_layers_per_block=2,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=8,
        motion_max_seq_length=32,
    )
    unet = tiny_unet()
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if ".attn2.to_out." in name:
                parameter.zero_()
    theirs = UNetMotionModel.from_unet2d(unet, adapter).eval()
    ours = backbone(norm="clip")
    load_stable_diffusion(ours, unet.state_dict())
    tensors = dict(adapter.state_dict())
    load_motion_module(ours, tensors if layout == "diffusers" else original_names(tensors))
    for module in ours.temporal_modules():
        assert isinstance(module, TemporalModule)
        module.motion_frames = 0
    latents = torch.randn(2, 4, 4, 16, 16)
    with torch.no_grad():
        expected = theirs(
            latents.transpose(1, 2), torch.tensor(300), encoder_hidden_states=torch.zeros(8, 5, 16)
        ).sample.transpose(1, 2)
        torch.testing.assert_close(
            ours(latents, torch.tensor([300, 300]), SegmentConditions(condition_mask=ConditionMask())),
            expected,
            atol=2e-5,
            rtol=1e-4,
        )


def original_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of AnimateDiff's own files."""
    renamed = {}
    for name, value in tensors.items():
        head, _, tail = name.partition(".motion_modules.")
        number, _, tail = tail.partition(".")
        for new, old in (
            ("attn1.", "attention_blocks.0."),
            ("attn2.", "attention_blocks.1."),
            ("norm1.", "norms.0."),
            ("norm2.", "norms.1."),
            ("norm3.", "ff_norm."),
        ):
            tail = tail.replace(new, old)
        if "pos_embed" in tail:
            continue
        renamed[f"{head}.motion_modules.{number}.temporal_transformer.{tail}"] = value
    return renamed


def test_every_sd15_tensor_is_loaded_or_has_a_reason() -> None:
    model = sd15_model_on_meta()
    keys = sd15_unet_keys()
    assert len(keys) == 686
    for part, loaded in (("backbone", model.backbone), ("reference_net", model.reference_net)):
        own = {name: tuple(value.shape) for name, value in loaded.state_dict().items()}
        left = expected_reasons(part, keys)
        for name, shape in keys.items():
            fits = own.get(name) == shape
            assert fits != (name in left) or ".attn2.to_out." in name, (part, name)
        allowed = ("attn2.", "norm2.", "conv_norm_out", "conv_out")
        assert all(any(word in name for word in allowed) for name in left)
        assert all(left.values())


def test_a_pipeline_starts_from_public_weights_in_folders(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    tiny_unet().save_pretrained(tmp_path / "unet")
    AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(tmp_path / "vae")  # fmt: skip
    Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
            num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        )
    ).save_pretrained(tmp_path / "speech")  # fmt: skip
    changes = {
        "latents": {"size": 8, "downsample": 2}, "segment": {"frames": 2, "motion_frames": 1}, "unet": PARTS["unet"],
        "audio": {"blocks": 2, "width": 16, "token_dim": 16}, "temporal": {"heads": 4}, "speed": {"width": 8},
    }  # fmt: skip
    report = start_from_sd15(
        tmp_path / "start", unet=tmp_path / "unet", vae=tmp_path / "vae", audio_encoder=tmp_path / "speech",
        model_changes=changes,
    )  # fmt: skip
    assert set(report) == {"backbone", "reference_net"}
    pipeline = EMOPipeline.from_pretrained(tmp_path / "start")
    frames = pipeline(np.full((20, 20, 3), 90, np.uint8), np.zeros(1600, np.float32), steps=2).frames
    assert frames.shape == (3, 16, 16, 3)
    (tmp_path / "start/vae/diffusion_pytorch_model.safetensors.index.json").write_text("{}", "utf-8")
    with pytest.raises(WeightsError, match="expected the autoencoder in one file"):
        EMOPipeline.from_pretrained(tmp_path / "start")


def test_weights_of_another_size_are_refused() -> None:
    tensors = {name: value for name, value in tiny_unet().state_dict().items() if "time_embedding" not in name}
    with pytest.raises(ValueError, match="time_embedding"):
        load_stable_diffusion(backbone(), tensors)
