"""Settings of a training run; every field can be written in a YAML file under the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from emo_models.autoencoder.training import AutoencoderTraining
from emo_models.emo.presets import PRESETS
from emo_models.emo.training.refiner_training import RefinerTraining
from emo_models.emo.training.speech_net_training import SpeechNetTraining
from emo_models.emo.training.stages import STAGES


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage. The paper-literal value of every choice it leaves open is named.

    Attributes:
        name: ``"image"``, ``"audio"`` (optional sub-stage: audio on single frames), ``"video"``, ``"speed"`` or
            ``"guidance"`` (optional last stage).
        steps: Optimizer steps.
        clips: Clips per step and process; paper 48 images, then 4 clips.
        frames: Frames per clip; independent of each other in ``image`` and ``audio``. 0 means the model's f.
        lr: Highest learning rate; paper 1e-5 from Stable Diffusion 1.5.
        warmup: Steps of linear rise.
        final_lr: Share of ``lr`` that remains at the end of a linear fall; 1 is constant.
        backbone_lr_scale: Learning rate of parts that an earlier stage trained, relative to ``lr``; 0 freezes them.
            The paper does not say.
        drop_reference: Probability of training without the reference; literal 0.
        drop_audio: Without audio; literal 0.
        drop_motion: With zero maps instead of motion frames, as in a first clip; literal 0.
        drop_speed: Without speed; literal 0.
        white_region: With a white region mask, which means no guidance; literal 0.
        mouth_weight: Added weight of the mean loss over the mouth box; literal 0.
        eye_weight: The same for the eyes; literal 0.
        min_snr_gamma: Min-SNR weighting per sample; ``None`` (literal) is off.
        timesteps: ``"uniform"`` (literal) or ``"logit_normal"``.
        logit_mean: Mean of the logit-normal time; 0 is the middle of the schedule.
        logit_std: Its standard deviation.
        reference_margin: Least distance in frames from the reference to the target; literal 0.
        still_motion: Probability that all motion frames are the last one of them, as when a video starts from a
            still portrait; literal 0.
        motion_noise: Largest standard deviation of noise on the motion frames, in units of what is diffused; each clip
            has its own, between 0 and this. Literal 0.
        own_motion: Probability that a step's motion frames are not the real ones but the network's own picture of them;
            see `training.own_motion`. Literal 0.
        style_weights: How often clips of a style are drawn, relative to 1 for the others; ``{"anime": 3}``. Literal
            none.
        blink_share: Probability at the stage's first step that the frames of a clip are drawn around a moment when the
            eyes are closed, where the clip says when they are; blinks are short and rare. It falls linearly to 0 at
            the last step, so that how often a face blinks is in the end learnt from clips as they are. Literal 0.
        built_in_guidance: Audio guidance of this scale becomes part of the weights; see `training.built_in_guidance`.
            Literal 1.
    """

    name: str
    steps: int
    clips: int = 4
    frames: int = 0
    lr: float = 1e-5
    warmup: int = 100
    final_lr: float = 1.0
    backbone_lr_scale: float = 1.0
    drop_reference: float = 0.05
    drop_audio: float = 0.1
    drop_motion: float = 0.2
    drop_speed: float = 0.1
    white_region: float = 0.1
    mouth_weight: float = 0.0
    eye_weight: float = 0.0
    min_snr_gamma: float | None = 5.0
    timesteps: str = "uniform"
    logit_mean: float = 0.0
    logit_std: float = 1.0
    reference_margin: int = 30
    still_motion: float = 0.0
    motion_noise: float = 0.0
    own_motion: float = 0.0
    style_weights: dict[str, float] = field(default_factory=dict)
    blink_share: float = 0.0
    built_in_guidance: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in STAGES:
            raise ValueError(f"expected a stage among {', '.join(STAGES)}, found {self.name!r}")
        if self.timesteps not in {"uniform", "logit_normal"}:
            raise ValueError(f"expected timesteps to be uniform or logit_normal, found {self.timesteps!r}")
        if not 0 <= self.blink_share <= 1:
            raise ValueError(f"expected blink_share between 0 and 1, found {self.blink_share}")
        if any(weight < 0 for weight in self.style_weights.values()):
            raise ValueError(f"expected style_weights of at least 0, found {self.style_weights}")
        if self.built_in_guidance != 1.0 and self.name != "guidance":
            raise ValueError(
                f"expected built_in_guidance 1 in stage {self.name}, found {self.built_in_guidance}; "
                "it belongs into the stage guidance"
            )


OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("no", "auto", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole run.

    Attributes:
        preset: Size of the model.
        stages: In order.
        model_changes: Arguments of `EMOModel` that differ from the preset.
        seed: Decides everything random.
        optimizer: ``"adamw"``, or ``"muon"`` for matrices and convolutions with AdamW for the rest.
        weight_decay: Decoupled from the gradient.
        grad_clip: Largest gradient norm.
        ema: Decay of the averaged weights.
        mixed_precision: accelerate's ``"no"``, ``"bf16"`` or ``"fp16"``, or ``"auto"``: bf16 where the device has
            instructions for it, else no.
        gradient_checkpointing: Trade time for memory.
        log_every: Steps.
        checkpoint_every: Steps.
        diagnostics_every: Steps; 0 is at the end of each stage only.
        diagnostics_steps: Denoising steps of the samples shown.
        reader_steps: Training steps of the network that reads the mouth for the diagnostics; 0 leaves speech out.
        voices: Each clip's sound is heard with its frequencies times one of these, drawn each time: people with shorter
            and longer throats. Speech encoders that cannot do so refuse anything but 1.
        autoencoder: How the small autoencoder is trained when none is given.
        speech_net: How the small speech encoder is trained, for presets that have it.
        refiner: How the portrait refiner is trained after the stages, from that of ``start_from`` if it has one; no
            steps keeps that one, or none.
        autoencoder_folder: A trained autoencoder; empty takes the small one beside ``start_from``, or trains one
            first.
        weights_dtype: Of the saved pipeline, ``"float32"`` or ``"float16"`` for half the size; training keeps float32.
        start_from: Folder of a saved pipeline to start from; empty starts from the seed.
    """

    preset: str
    stages: tuple[StageConfig, ...]
    model_changes: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    ema: float = 0.9995
    mixed_precision: str = "no"
    gradient_checkpointing: bool = False
    log_every: int = 50
    checkpoint_every: int = 200
    diagnostics_every: int = 0
    diagnostics_steps: int = 16
    reader_steps: int = 600
    voices: tuple[float, ...] = (1.0,)
    autoencoder: AutoencoderTraining = field(default_factory=AutoencoderTraining)
    speech_net: SpeechNetTraining = field(default_factory=SpeechNetTraining)
    refiner: RefinerTraining = field(default_factory=RefinerTraining)
    autoencoder_folder: str = ""
    weights_dtype: str = "float32"
    start_from: str = ""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"expected a preset among {', '.join(PRESETS)}, found {self.preset!r}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"expected an optimizer among {', '.join(OPTIMIZERS)}, found {self.optimizer!r}")
        if self.mixed_precision not in PRECISIONS:
            raise ValueError(
                f"expected mixed_precision to be one of {', '.join(PRECISIONS)}, found {self.mixed_precision!r}"
            )
        if self.weights_dtype not in {"float32", "float16"}:
            raise ValueError(f"expected weights_dtype to be float32 or float16, found {self.weights_dtype!r}")
        if not self.voices:
            raise ValueError("expected at least one factor in voices, found none; 1 is the voice itself")
        if not self.stages:
            raise ValueError("expected at least one stage, found none")
        if any(stage.built_in_guidance != 1.0 for stage in self.stages[:-1]):
            raise ValueError("expected built_in_guidance in the last stage only; a later one would unlearn it")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainConfig:
        """From the content of a YAML file.

        Raises:
            ValueError: Names the field that is unknown or missing.
        """
        known = _checked(cls, values, "the training config")
        known["stages"] = tuple(
            StageConfig(**_checked(StageConfig, stage, f"stage {number}"))
            for number, stage in enumerate(known.get("stages", ()), start=1)
        )
        if "voices" in known:
            known["voices"] = tuple(float(voice) for voice in known["voices"])
        parts: dict[str, type[Any]] = {
            "autoencoder": AutoencoderTraining,
            "speech_net": SpeechNetTraining,
            "refiner": RefinerTraining,
        }
        for name in parts.keys() & known.keys():
            known[name] = parts[name](**_checked(parts[name], known[name], name))
        return cls(**known)


def _checked(kind: type[Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise ValueError(f"expected the fields {', '.join(sorted(names))} in {where}, found {', '.join(unknown)} too")
    return dict(values)
