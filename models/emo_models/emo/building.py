"""From a preset to networks with fresh weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.emo.architecture import merge_parts
from emo_models.emo.audio_encoders import AudioEncoder
from emo_models.emo.extensions.eyelids import widened
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.extensions.speech_net import SpeechNet, SpeechNetEncoder
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.presets import PRESETS, Preset
from emo_models.emo.schedulers import make_scheduler
from emo_models.initial_weights import initial_weights


def preset_named(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"expected a preset among {', '.join(PRESETS)}, found {name!r}")
    return PRESETS[name]


def build_model(preset: Preset, *, seed: int = 0, **changes: Mapping[str, Any]) -> EMOModel:
    """An `EMOModel` with fresh weights that depend on the seed only; ``changes`` are fields per part, as in presets."""
    with initial_weights(seed):
        return EMOModel.from_parts(merge_parts(preset.model, changes))


def extended(model: EMOModel, changes: Mapping[str, Mapping[str, Any]]) -> EMOModel:
    """A trained model with the condition `extensions.eyelids` added; untrained it computes what it did before.

    Raises:
        ValueError: ``changes`` ask for anything else, which would need other weights.
    """
    if merge_parts(model.architecture.to_parts(), changes) == model.architecture.to_parts():
        return model
    if changes != {"extensions": {"eyelids": True}}:
        raise ValueError(
            f"expected no model_changes beside extensions: {{eyelids: true}} with start_from, found {dict(changes)}; "
            "the weights decide all the rest"
        )
    larger = EMOModel.from_parts(merge_parts(model.architecture.to_parts(), changes))
    larger.load_state_dict(widened(model.state_dict(), larger.state_dict()))
    return larger


def build_autoencoder(preset: Preset, *, seed: int = 0) -> SmallAutoencoder:
    """The preset's small autoencoder with fresh weights.

    Raises:
        ValueError: The preset uses Stable Diffusion's, which is loaded from a folder.
    """
    if preset.autoencoder != "small":
        raise ValueError(
            f"expected a preset with a small autoencoder, found {preset.name}, which loads one from a folder"
        )
    with initial_weights(seed):
        vae: SmallAutoencoder = SmallAutoencoder(**{"latent_channels": 8, **preset.autoencoder_config})
    return vae


def build_refiner(*, seed: int = 0) -> PortraitRefiner:
    """A portrait refiner with fresh weights, which changes nothing."""
    with initial_weights(seed):
        refiner: PortraitRefiner = PortraitRefiner()
    return refiner


def build_pipeline(preset: Preset, *, seed: int = 0) -> EMOPipeline:
    """An untrained pipeline of a preset that needs no outside weights, for tests and measurements."""
    settings = {k: v for k, v in preset.audio_encoder.items() if k != "kind"}
    encoder: AudioEncoder = LogMelEncoder(**settings)
    if preset.audio_encoder["kind"] == "speech-net":
        with initial_weights(seed):
            encoder = SpeechNetEncoder(SpeechNet(in_width=encoder.width), LogMelEncoder(**settings))
    return EMOPipeline(
        build_model(preset, seed=seed),
        build_autoencoder(preset, seed=seed),
        make_scheduler(preset.schedule),
        encoder,
        facts={"preset": preset.name, "trained_on": "nothing: random weights"},
    )
