"""Low-rank adaptation of the Backbone (LoRA, arXiv 2106.09685) through peft, so that a large one trains on one card.

The weights of the Backbone that came from a text-to-image model stay as they are; its spatial attention projections
and feed-forward layers get a low-rank change beside them. What EMO adds (audio, temporal and speed layers),
ReferenceNet and Face Locator train in full, as without. After training the changes are added to the weights, so that a
saved pipeline is one like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from emo_models.initial_weights import initial_weights

if TYPE_CHECKING:
    from emo_models.emo.training.config import LoraTraining

# Spatial attention and feed-forward layers; audio, temporal and speed layers are new and no prior is kept in them.
TARGETS = r".*\.attentions\.\d+\.transformer_blocks\.\d+\.(attn[12]\.to_(q|k|v|out\.0)|ff\.net\.(0\.proj|2))"
MARK = "lora_"


def add_lora(backbone: nn.Module, config: LoraTraining, *, seed: int) -> None:
    """Puts adapters of rank ``config.rank`` beside the Backbone's layers, in place; at first they change nothing.

    Raises:
        ImportError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("expected peft for 'lora', found none; install emo-bench[lora]") from error
    adapters = LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules=TARGETS, bias="none")
    with initial_weights(seed):
        inject_adapter_in_model(adapters, backbone)


def has_lora(model: nn.Module) -> bool:
    """Whether adapters are in a model."""
    return any(MARK in name for name, _ in model.named_parameters())


def kept_by_lora(name: str) -> bool:
    """Whether a parameter stays as it is in a model with adapters: the Backbone's own weights.

    >>> kept_by_lora("backbone.conv_in.weight"), kept_by_lora("face_locator.conv_out.weight")
    (True, False)
    >>> kept_by_lora("backbone.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.default.weight")
    False
    """
    return name.startswith("backbone.") and MARK not in name


def merge_lora(model: nn.Module) -> None:
    """Adds what the adapters learnt to the weights and takes the adapters away, in place."""
    from peft.tuners.lora import LoraLayer

    places = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer)]
    for name, layer in places:
        layer.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer.get_base_layer())
    for parameter in model.parameters():
        parameter.requires_grad_(True)
