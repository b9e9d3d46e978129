"""From one image and one audio file to a video exactly as long: sampling and chaining of segments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_bytes, to_signed
from emo_models.emo.audio import RATE, frame_count, prepare_audio
from emo_models.emo.audio_encoders import AudioEncoder, load_audio_encoder
from emo_models.emo.codec import decode_latents, encode_images, load_autoencoder
from emo_models.emo.conditions import SegmentConditions
from emo_models.emo.extensions.detail_head import DetailHead
from emo_models.emo.extensions.eyelids import MOST_PER_MINUTE, around_each_frame, planned_closure
from emo_models.emo.extensions.guidance import Guidance, Passes
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.extensions.segment_noise import SegmentNoise, segment_noise
from emo_models.emo.migration import migrate_sampling
from emo_models.emo.model import EMOModel
from emo_models.emo.portrait_image import Box, middle_square, region_mask
from emo_models.emo.schedulers import Sampler, make_scheduler, schedule_of, set_steps
from emo_models.emo.weights import WeightsError, load_module, save_module

INDEX_NAME = "model_index.json"
Progress = Callable[[int, int], None]
"""Called with frames done and frames in total."""


@dataclass(frozen=True, eq=False)
class EMOPipelineOutput:
    """Attributes: ``frames`` is ``uint8 [N, H, W, 3]``, N = ceil(seconds of audio * fps)."""

    frames: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How to sample.

    Attributes:
        steps: Denoising steps; the paper uses 40 with DDIM.
        sampler: ``"ddim"``, or ``"dpmsolver++"`` / ``"unipc"`` for few steps.
        guidance: Scales of audio, reference, speed and eyelids.
        speed: Head rotation speed in degrees per frame, constant over the video; ``None`` leaves it to the audio.
        motion_from: The last frames enter the next segment re-encoded from ``"pixels"`` (as in the paper: ReferenceNet
            sees images) or as the sampled ``"latents"``.
        segment_noise: ``"independent"`` noise for every segment as in the paper, or ``"shared"`` or ``"reflected"``
            at segment boundaries; see `segment_noise.segment_noise`.
        shift: Above 1 more of the steps go where noise is strong, which decides how far a head turns; see
            `schedulers.shifted_times`. For ``"dpmsolver++"``.
        blinks: Blinks a minute that are planned and asked of models with `extensions.eyelids`; see
            `eyelids.planned_closure`. 0 plans none.
    """

    steps: int = 40
    sampler: Sampler = "ddim"
    guidance: Guidance = field(default_factory=Guidance)
    speed: float | None = None
    motion_from: str = "pixels"
    segment_noise: SegmentNoise = "independent"
    shift: float = 1.0
    blinks: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"expected at least one denoising step, found {self.steps}")
        if self.motion_from not in {"pixels", "latents"}:
            raise ValueError(f"expected motion_from to be pixels or latents, found {self.motion_from!r}")
        if not 0 <= self.blinks <= MOST_PER_MINUTE:
            raise ValueError(f"expected 0 to {MOST_PER_MINUTE:g} blinks a minute, found {self.blinks:g}")
        if self.shift != 1.0 and (self.sampler != "dpmsolver++" or self.shift <= 0):
            raise ValueError(
                f"expected shift 1, or a positive one with the sampler dpmsolver++, found {self.shift:g} with "
                f"{self.sampler}"
            )
        if self.segment_noise not in get_args(SegmentNoise):
            kinds = ", ".join(get_args(SegmentNoise))
            raise ValueError(f"expected segment_noise to be one of {kinds}, found {self.segment_noise!r}")

    def changed(self, **changes: Any) -> SamplingOptions:
        """These options with ``changes``; another sampler drops the shift, which was chosen for this one.

        >>> SamplingOptions(sampler="dpmsolver++", shift=4.0).changed(sampler="unipc").shift
        1.0
        """
        if changes.get("sampler", self.sampler) != self.sampler:
            changes.setdefault("shift", 1.0)
        return replace(self, **changes)


def recommended_sampling(facts: Mapping[str, Any]) -> SamplingOptions:
    """How the makers of weights say they are to be sampled; the paper's way where they say nothing.

    >>> recommended_sampling({"sampling": {"steps": 8, "audio_guidance": 1.5}}).guidance.audio
    1.5
    >>> recommended_sampling({}).steps
    40
    """
    said = migrate_sampling(facts.get("sampling") or {})
    scales = {name: float(said.pop(f"{name}_guidance", 1.0)) for name in ("audio", "reference", "speed", "eyelids")}
    low, high = said.pop("guidance_interval", (0.0, 1.0))
    guidance = Guidance(**scales, interval=(float(low), float(high)))
    return SamplingOptions(guidance=guidance, **said)


class EMOPipeline:
    """EMO ready for use.

    Args:
        model: The trained parts.
        vae: `SmallAutoencoder` or a diffusers autoencoder.
        scheduler: A diffusers scheduler; gives the noise schedule.
        audio_encoder: Audio to features.
        refiner: Gives decoded frames the portrait's detail back; ``None`` (the paper) leaves them as they are.
        detail: Draws what the portrait does not show in frames larger than the model's own; ``None`` enlarges it.
        facts: What is known about the weights (preset, what they were trained on); saved beside them.
    """

    def __init__(
        self,
        model: EMOModel,
        vae: Any,
        scheduler: Any,
        audio_encoder: AudioEncoder,
        *,
        refiner: PortraitRefiner | None = None,
        detail: DetailHead | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.vae, self.scheduler, self.audio_encoder = model.eval(), vae.eval(), scheduler, audio_encoder
        self.refiner = None if refiner is None else refiner.eval()
        self.detail = None if detail is None else detail.eval()
        self.facts = dict(facts or {})
        audio, segment, latents = model.architecture.audio, model.architecture.segment, model.architecture.latents
        if (audio_encoder.layers, audio_encoder.width) != (audio.blocks, audio.width):
            raise ValueError(
                f"expected a speech encoder with {audio.blocks} blocks of width {audio.width}, "
                f"found {audio_encoder.layers} of {audio_encoder.width}"
            )
        if audio_encoder.fps != segment.fps:
            raise ValueError(
                f"expected a speech encoder at {segment.fps:g} frames a second, found one at {audio_encoder.fps:g}; "
                "mouths would drift away from what is said"
            )
        if segment.motion_frames > segment.frames:
            raise ValueError(f"expected at most {segment.frames} motion frames, found {segment.motion_frames}")
        self.fps = segment.fps
        self.size = latents.size * latents.downsample

    @classmethod
    def from_pretrained(cls, path: str | Path) -> EMOPipeline:
        """Loads what `save_pretrained` wrote; a local folder, safetensors only.

        Raises:
            WeightsError: A file is missing, broken or does not fit.
        """
        folder = Path(path)
        index = folder / INDEX_NAME
        if not index.is_file():
            raise WeightsError(f"expected {index}, found no such file; give the folder of a saved EMO pipeline")
        facts = json.loads(index.read_text("utf-8"))
        vae: Any
        if facts.get("vae") == "SmallAutoencoder":
            vae = load_module(SmallAutoencoder, folder / "vae")
        else:
            from diffusers import AutoencoderKL, AutoencoderTiny

            kinds: dict[str, Any] = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
            if facts.get("vae") not in kinds:
                raise WeightsError(f"expected a known autoencoder in {index}, found {facts.get('vae')!r}")
            shards = folder / "vae" / "diffusion_pytorch_model.safetensors.index.json"
            if shards.is_file():  # it may name files anywhere, and of other formats
                raise WeightsError(f"expected the autoencoder in one file, found {shards}; save it again in one")
            vae = load_autoencoder(kinds[facts["vae"]], folder / "vae")
        from diffusers import DDIMScheduler

        scheduler: Any = DDIMScheduler
        scheduler = scheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        return cls(
            load_module(EMOModel, folder / "model"),
            vae,
            scheduler,
            load_audio_encoder(folder / "audio_encoder"),
            refiner=load_module(PortraitRefiner, folder / "refiner") if facts.get("refiner") else None,
            detail=load_module(DetailHead, folder / "detail") if facts.get("detail") else None,
            facts=facts,
        )

    def save_pretrained(self, path: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Writes everything below a folder, ``dtype`` for smaller files."""
        folder = Path(path)
        save_module(self.model, folder / "model", dtype=dtype)
        if isinstance(self.vae, SmallAutoencoder):
            save_module(self.vae, folder / "vae", dtype=dtype)
        else:
            self.vae.save_pretrained(folder / "vae", safe_serialization=True)
        make_scheduler(schedule_of(self.scheduler)).save_pretrained(folder / "scheduler")
        self.audio_encoder.save(folder / "audio_encoder")
        facts = {**self.facts, "pipeline": "EMOPipeline", "vae": type(self.vae).__name__}
        facts["refiner"] = self.refiner is not None
        if self.refiner is not None:
            save_module(self.refiner, folder / "refiner", dtype=dtype)
        facts["detail"] = self.detail is not None
        if self.detail is not None:
            save_module(self.detail, folder / "detail", dtype=dtype)
        (folder / INDEX_NAME).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", "utf-8")

    def to(self, device: torch.device | str) -> EMOPipeline:
        """Moves the networks; speech features are made on the CPU."""
        torch.nn.Module.to(self.model, device)
        self.vae.to(device)
        for part in (self.refiner, self.detail):
            if part is not None:
                torch.nn.Module.to(part, device)
        return self

    def __call__(
        self,
        image: NDArray[np.uint8],
        audio: NDArray[np.float32],
        *,
        rate: int = RATE,
        seed: int = 0,
        options: SamplingOptions | None = None,
        face_region: Box | NDArray[np.float32] | None = None,
        progress: Progress | None = None,
        **sampling: Any,
    ) -> EMOPipelineOutput:
        """All frames at once; see `animate`. ``sampling`` are fields of `SamplingOptions`, such as ``steps=20``."""
        chosen = (options or recommended_sampling(self.facts)).changed(**sampling)
        pieces = self.animate(image, audio, rate, seed=seed, options=chosen, face_region=face_region, progress=progress)
        return EMOPipelineOutput(np.concatenate(list(pieces)))

    @torch.no_grad()
    def animate(
        self,
        image: NDArray[np.uint8],
        audio: NDArray[np.float32],
        rate: int,
        *,
        seed: int = 0,
        options: SamplingOptions | None = None,
        face_region: Box | NDArray[np.float32] | None = None,
        full_size: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames piece by piece; memory does not grow with the length.

        Args:
            image: Portrait, ``uint8 [H, W, 3]``; the middle square is taken and resized.
            audio: Mono audio, ``float32 [n]`` in [-1, 1], at least one sample.
            rate: Samples per second of ``audio``.
            seed: Decides all noise; nothing else does.
            options: How to sample; by default as the weights recommend.
            face_region: Where the face may be: a box (left, top, right, bottom) as fractions of the image, a mask
                ``[h, w]`` in [0, 1], or ``None`` for everywhere.
            full_size: Side of the frames to give, larger than the model's own: the refiner's motion is applied to the
                portrait at that size. Needs a refiner.
            progress: Called after each segment.

        Yields:
            ``uint8 [t, s, s, 3]``, s the model's size or ``full_size``; ``ceil(len(audio) / rate * fps)`` in all.

        Raises:
            ValueError: The image or the audio cannot be used, there is no refiner for another size, or the model
                cannot be asked to blink.
        """
        if full_size not in (None, self.size) and self.refiner is None:
            raise ValueError(f"expected frames of {self.size} px, found {full_size}: these weights have no refiner")
        options = options or recommended_sampling(self.facts)
        if options.blinks and not self.model.architecture.extensions.eyelids:
            raise ValueError(
                f"expected blinks: 0 for weights without the extension 'eyelids', found {options.blinks:g} a minute; "
                "these weights blink by themselves or not at all"
            )
        small = middle_square(image, self.size)
        samples = prepare_audio(audio, rate)
        total = frame_count(len(audio), fps=self.fps, rate=rate)
        portrait = to_signed(torch.from_numpy(small.copy())[None]).to(self._device)
        large = portrait
        if full_size is not None and full_size != self.size:
            large = to_signed(torch.from_numpy(middle_square(image, full_size).copy())[None]).to(self._device)
        reference = encode_images(self.vae, portrait)
        mask = region_mask(face_region, self.size).to(self._device)
        motion = self._first_motion(reference)
        done, segment = 0, 0
        while done < total:
            conditions = self._conditions(samples, segment, reference, mask, motion, options, seed=seed)
            noise = self.noise([seed], segment, kind=options.segment_noise)
            latents = self.model.from_residual(self.denoise(noise, conditions, options), reference)
            images, given = self._decode(latents.flatten(0, 1), portrait, large)
            frames = to_bytes(images).cpu()
            motion = self._motion(frames, latents, options)
            piece = (frames if given is images else to_bytes(given).cpu())[: total - done].numpy()
            done, segment = done + len(piece), segment + 1
            yield piece
            if progress is not None:
                progress(done, total)

    def noise(self, seeds: list[int], segment: int, *, kind: SegmentNoise = "independent") -> Tensor:
        """The first latents of a segment for each seed, ``[b, f, c, h, w]``; sample i depends on ``seeds[i]`` only."""
        latents = self.model.architecture.latents
        shape = (self.model.architecture.segment.frames, latents.channels, latents.size, latents.size)
        return torch.stack([segment_noise(seed, segment, shape=shape, kind=kind) for seed in seeds])

    @torch.no_grad()
    def denoise(self, noise: Tensor, conditions: SegmentConditions, options: SamplingOptions) -> Tensor:
        """From noise to a segment of `EMOModel.to_residual`; all guidance passes of a step run as one batch."""
        scheduler = make_scheduler(schedule_of(self.scheduler), sampler=options.sampler)
        set_steps(scheduler, options.steps, shift=options.shift)
        blinking = conditions.eyelids is not None and bool(conditions.eyelids.any())
        guidance = options.guidance.where(speed=bool(conditions.speed), eyelids=blinking)
        together: dict[Passes, SegmentConditions] = {}
        latents: Tensor = noise.to(self._device) * scheduler.init_noise_sigma
        for time in scheduler.timesteps:
            here = guidance.at(int(time) / scheduler.config.num_train_timesteps)
            model_input = scheduler.scale_model_input(latents, time)
            stacked = model_input.repeat(len(here.passes), 1, 1, 1, 1)
            times = torch.full((len(stacked),), int(time), device=self._device)
            if here.passes not in together:
                together[here.passes] = conditions.for_passes(here.passes)
            prediction = here.combine(self.model.backbone(stacked, times, together[here.passes]))
            latents = scheduler.step(prediction, time, latents).prev_sample
        return latents

    def _conditions(
        self,
        samples: NDArray[np.float32],
        segment: int,
        reference: Tensor,
        mask: Tensor,
        motion: Tensor | None,
        options: SamplingOptions,
        *,
        seed: int,
    ) -> SegmentConditions:
        f, m = self.model.architecture.segment.frames, self.model.architecture.segment.window
        first = segment * f
        audio = self.audio_encoder.window(samples, first - m, first + f + m)
        speed = None
        if options.speed is not None:
            speed = torch.full((1, f + 2 * m), options.speed, device=self._device)
        eyelids = None
        if self.model.architecture.extensions.eyelids:
            closure = planned_closure(first - m, first + f + m, seed=seed, per_minute=options.blinks, fps=self.fps)
            eyelids = around_each_frame(closure, window=m)[None].to(self._device)
        conditions: SegmentConditions = self.model.prepare(
            reference=reference,
            motion=motion,
            audio=audio[None].to(self._device),
            mask=mask,
            speed=speed,
            eyelids=eyelids,
        )
        return conditions

    def _decode(self, latents: Tensor, portrait: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        """Frames in the model's size, from which the next segment starts, and those in the size that was asked for."""
        images = decode_latents(self.vae, latents)
        if self.refiner is None:
            return images, images
        images = images.clamp(-1, 1)
        transfer = self.refiner.transfer(images, portrait)
        refined = transfer.refined
        if large is portrait:
            return refined, refined
        parts = transfer.parts(images, large)
        if self.detail is None:
            return refined, parts.frames
        return refined, self.detail.applied(parts.frames, parts.warped, parts.share, small=self.size)

    def _first_motion(self, reference: Tensor) -> Tensor | None:
        n = self.model.architecture.segment.motion_frames
        if n == 0 or self.model.architecture.extensions.first_motion == "zeros":
            return None
        return reference[:, None].expand(-1, n, -1, -1, -1)

    def _motion(self, frames: Tensor, latents: Tensor, options: SamplingOptions) -> Tensor | None:
        n = self.model.architecture.segment.motion_frames
        if n == 0:
            return None
        if options.motion_from == "latents":
            return latents[:, -n:]
        return encode_images(self.vae, to_signed(frames[-n:]).to(self._device))[None]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
