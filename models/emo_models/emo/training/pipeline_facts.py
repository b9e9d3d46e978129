"""What a saved pipeline says of itself: where its weights come from, and how it is to be sampled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emo_models.emo.architecture import EMOArchitecture, merge_parts
from emo_models.emo.building import preset_named
from emo_models.emo.extensions.eyelids import USUAL_PER_MINUTE
from emo_models.emo.migration import migrate_model_config, migrate_sampling
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import INDEX_NAME, recommended_sampling
from emo_models.emo.presets import Preset
from emo_models.emo.training.config import TrainConfig
from emo_models.emo.weights import CONFIG_NAME


def facts_before(config: TrainConfig) -> dict[str, Any]:
    """What the weights that training starts from say about themselves."""
    index = Path(config.start_from) / INDEX_NAME
    if not config.start_from or not index.is_file():
        return {}
    facts: dict[str, Any] = json.loads(index.read_text("utf-8"))
    # As earlier versions called it.
    if "built_in_guidance" in facts:
        facts["guidance_distillation"] = facts.pop("built_in_guidance")
    return facts


def frame_rate(config: TrainConfig) -> float:
    """Frames a second of the model that is trained: that of the weights it starts from, or of preset and changes."""
    path = Path(config.start_from) / "model" / CONFIG_NAME
    if config.start_from and path.is_file():
        parts = migrate_model_config(json.loads(path.read_text("utf-8")))
    else:
        parts = merge_parts(preset_named(config.preset).model, migrate_model_config(config.model_changes))
    return EMOArchitecture.from_parts({"segment": parts.get("segment")}).segment.fps


def recommended(config: TrainConfig, preset: Preset, before: Mapping[str, Any], model: EMOModel) -> dict[str, Any]:
    """How the weights are to be sampled: as the preset says, as those it started from say, as the config says.

    Raises:
        ValueError: They could not be sampled that way.
    """
    blinks = {"blinks": USUAL_PER_MINUTE} if model.architecture.extensions.eyelids else {}
    said = config.sampling.model_dump(exclude_none=True)
    earlier = migrate_sampling(before.get("sampling", {}))
    if before.get("guidance_distillation", 1.0) != 1.0 and config.stages[-1].guidance_distillation == 1.0:
        # Guidance that is unlearnt is needed as a pass again.
        earlier.pop("audio_guidance", None)
    made: dict[str, Any] = {**preset.sampling, **blinks, **earlier}
    if said.get("sampler", made.get("sampler")) != made.get("sampler"):
        made.pop("shift", None)  # it was chosen for the other sampler
    made |= said
    if made.get("blinks") and not model.architecture.extensions.eyelids:
        raise ValueError(
            f"expected sampling.blinks 0 for a model without the extension 'eyelids', found {made['blinks']:g}; "
            "add it: model_changes: {extensions: {eyelids: true}}"
        )
    recommended_sampling({"sampling": made})
    return made


def trained_on(before: Mapping[str, Any], *, clips: int) -> str:
    """What the weights have seen, in words for whoever uses them."""
    return f"{before['trained_on']}; then {clips} other clips" if "trained_on" in before else f"{clips} clips"


def guidance_facts(
    config: TrainConfig, sampling: Mapping[str, Any], values: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What guidance weights have built in needs no pass of its own."""
    scale = config.stages[-1].guidance_distillation
    if scale == 1.0:
        return {}
    reached = values[-1].get("guidance_reached")
    return {
        "sampling": {**sampling, "audio_guidance": 1.0},
        "guidance_distillation": scale,
        "guidance_reached": None if reached is None else round(float(reached), 2),
    }
