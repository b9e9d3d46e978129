"""The complete training: autoencoder, latents, stages, curves, samples, saved pipeline."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_signed
from emo_models.autoencoder.training import reconstruct, region_psnr, train_autoencoder, write_facts
from emo_models.emo.architecture import EMOArchitecture, merge_parts
from emo_models.emo.audio_encoders import load_audio_encoder
from emo_models.emo.building import build_autoencoder, build_model, build_refiner, extended, preset_named
from emo_models.emo.codec import encode_in_pieces, load_autoencoder
from emo_models.emo.extensions.detail_head import DetailHead
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.emo.migration import migrate_model_config
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.presets import Preset
from emo_models.emo.schedulers import NoiseSchedule, make_scheduler
from emo_models.emo.speed_layers import bucket_layout
from emo_models.emo.training.audio_alignment import require_aligned
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.clip_store import ClipStore
from emo_models.emo.training.config import TrainConfig
from emo_models.emo.training.detail_training import train_detail
from emo_models.emo.training.diagnostics import (
    audio_gap,
    check_speech,
    guidance_reached,
    motion_dependence,
    probe_batch,
    spread_clips,
)
from emo_models.emo.training.figures import curve_figure, sample_grid
from emo_models.emo.training.lora import add_lora, merge_lora
from emo_models.emo.training.pipeline_facts import facts_before, frame_rate, guidance_facts, recommended, trained_on
from emo_models.emo.training.refiner_frames import generate_clips
from emo_models.emo.training.refiner_training import before_and_after, train_refiner
from emo_models.emo.training.require_trainable import require_size, require_trainable
from emo_models.emo.training.same_settings import require_same_settings
from emo_models.emo.training.speech_handover import feature_map, fold_into
from emo_models.emo.training.speech_net_training import heard_opening, train_speech_net
from emo_models.emo.training.tracking import Tracker
from emo_models.emo.training.trainer import Trainer, make_accelerator, workers_of
from emo_models.emo.training.transfer_training import train_transfer
from emo_models.emo.weights import load_module, save_module
from emo_models.initial_weights import initial_weights
from emo_models.training.clips import Subset, TrainingClips, every_clip, moving
from emo_models.training.loop import Report
from emo_models.training.mouth_reader import MouthReader, train_mouth_reader
from emo_models.training.workers import Workers

GUIDANCE_BATCHES = 8
"""From so many it is measured what guidance weights have built in; two such measurements differ by a few percent."""


def run_training(
    config: TrainConfig,
    data: TrainingClips,
    out: Path,
    *,
    held_out: TrainingClips | None,
    large: TrainingClips | None,
    report: Report,
) -> Path:
    """See `emo_models.emo.training.run`."""
    out.mkdir(parents=True, exist_ok=True)
    preset = preset_named(config.preset)
    before = facts_before(config)
    _check_guidance_stays(config, before)
    require_same_settings(config, data, out, large=large)
    if not config.start_from:  # before an autoencoder is trained
        changes = migrate_model_config(config.model_changes)
        require_size(EMOArchitecture.from_parts(merge_parts(preset.model, changes)), data)
    accelerator = make_accelerator(config)
    if not accelerator.is_main_process:
        report = _silent
    workers = workers_of(accelerator)
    _check_alignment(config, data, report)
    vae = _autoencoder(config, preset, data, out, report, workers)
    encoder = _audio_encoder(config, preset, data, out, report, workers)
    vae.to(accelerator.device)
    model = _model(config, preset, data, vae)
    require_trainable(config, model.architecture, vae, data, large)
    _hand_over(config, model, encoder, data, report)
    if config.lora is not None:
        add_lora(model.backbone, config.lora, seed=config.seed)
    schedule = NoiseSchedule(preset.schedule)
    report(f"preparing latents and speech features of {len(data)} clips")
    latents = _prepared(config, data, vae, encoder, model, out, accelerator)
    pipeline = EMOPipeline(
        model,
        vae,
        make_scheduler(preset.schedule),
        encoder,
        facts={
            "preset": preset.name,
            "trained_on": trained_on(before, clips=len(data)),
            "sampling": recommended(config, preset, before, model),
            **({"framing": before["framing"]} if "framing" in before else {}),
        },
    )
    diagnosis = _Diagnosis(config, pipeline, latents, held_out, schedule, out, report)
    trainer = Trainer(config, model, latents, schedule, out, report=report, diagnose=diagnosis, accelerator=accelerator)
    tracker = Tracker(out) if accelerator.is_main_process else None
    trainer.run()
    accelerator.wait_for_everyone()
    if tracker is not None:
        (out / "history.json").write_text(json.dumps({"loss": trainer.history, "values": trainer.values}), "utf-8")
        tracker.write(trainer.history, trainer.values)
        stages = [(stage.name, stage.steps) for stage in config.stages]
        curve_figure(trainer.history, trainer.values, out / "loss.png", stages=stages)
    # The averaged weights are the result.
    model.load_state_dict(trainer.average.tensors)
    if config.lora is not None:
        merge_lora(model)
    pipeline.model.eval()
    pipeline.refiner = _refiner(config, pipeline, latents, schedule, out, report, workers)
    _train_transfer(config, pipeline, data, out, report, workers)
    pipeline.detail = _detail(config, pipeline, large, out, report, workers)
    if workers.first:
        pipeline.facts.update(guidance_facts(config, pipeline.facts["sampling"], trainer.values))
        pipeline.facts["steps"] = int(before.get("steps", 0)) + len(trainer.history)
        pipeline.save_pretrained(out / "pipeline", dtype=getattr(torch, config.weights_dtype))
    workers.wait()
    return out / "pipeline"


def _check_guidance_stays(config: TrainConfig, before: Mapping[str, Any]) -> None:
    """Guidance that those weights have built in must not be unlearnt.

    Raises:
        ValueError: The stages would.
    """
    scale = float(before.get("guidance_distillation", 1.0))
    if (
        scale != 1.0
        and not config.unlearn_guidance
        and any(stage.guidance_distillation == 1.0 for stage in config.stages)
    ):
        raise ValueError(
            f"expected the stage guidance alone, because {config.start_from} has audio guidance {scale:g} built in, "
            f"found {', '.join(stage.name for stage in config.stages)}; start from weights without it, or allow it: "
            "unlearn_guidance: true"
        )


def _check_alignment(config: TrainConfig, data: TrainingClips, report: Report) -> None:
    """Asks the speech encoder of the weights that training starts from, where it knows mouths."""
    folder = Path(config.start_from) / "audio_encoder"
    if not (config.check_alignment and config.start_from and folder.is_dir()):
        return
    encoder = load_audio_encoder(folder)
    if isinstance(encoder, SpeechNetEncoder):
        require_aligned(encoder, data, report=report)


def _prepared(
    config: TrainConfig,
    data: TrainingClips,
    vae: Any,
    encoder: Any,
    model: EMOModel,
    out: Path,
    accelerator: Accelerator,
) -> LatentClips:
    window, downsample = model.architecture.segment.window, model.architecture.latents.downsample
    store = ClipStore(out / "prepared", vae=vae, encoder=encoder, settings=(window, config.vtlp_factors))
    options: dict[str, Any] = {
        "window": window,
        "downsample": downsample,
        "vtlp_factors": config.vtlp_factors,
        "store": store,
    }
    if accelerator.num_processes > 1:
        share = Subset(data, range(accelerator.process_index, len(data), accelerator.num_processes))
        LatentClips(share, vae, encoder, **options)
        accelerator.wait_for_everyone()
    return LatentClips(data, vae, encoder, **options)


def _silent(line: str) -> None:
    """What the processes beside the first one report."""


class _Diagnosis:
    """Called by the trainer now and then; writes images beside returning numbers."""

    def __init__(
        self,
        config: TrainConfig,
        pipeline: EMOPipeline,
        latents: LatentClips,
        held_out: TrainingClips | None,
        schedule: NoiseSchedule,
        out: Path,
        report: Report,
    ) -> None:
        self.config, self.pipeline, self.latents, self.schedule = config, pipeline, latents, schedule
        self.held_out, self.out, self.report = held_out, out, report
        self.reader: MouthReader | None = None
        self.ends = list(accumulate(stage.steps for stage in config.stages))

    def __call__(self, model: EMOModel, step: int, name: str) -> dict[str, float]:
        # By the step: stages may share a name.
        stage = self.config.stages[bisect_left(self.ends, step)]
        batch = probe_batch(self.latents, stage, model)
        values = audio_gap(model, batch, self.schedule)
        if batch.motion is not None:
            values["motion_dependence"] = motion_dependence(model, batch, self.schedule)
        if stage.guidance_distillation != 1.0:
            more = (probe_batch(self.latents, stage, model, number=i) for i in range(1, GUIDANCE_BATCHES))
            reached = guidance_reached(model, chain([batch], more), self.schedule)
            values.update({} if reached is None else {"guidance_reached": reached})
        if batch.audio is not None and self.held_out is not None and self.config.reader_steps:
            values.update(self._speech(step))
        return values

    def _speech(self, step: int) -> dict[str, float]:
        held_out = None if self.held_out is None else moving(self.held_out, sound=True)
        if held_out is None or not len(held_out) or held_out[0].mouth_opening is None:
            return {}
        if self.reader is None:
            records = [clip.record for clip in self.latents.clips]
            self.reader = train_mouth_reader(moving(records), steps=self.config.reader_steps, seed=self.config.seed)
        clips = spread_clips(held_out, 4)
        check = check_speech(self.pipeline, clips, self.reader, steps=self.config.diagnostics_steps, seconds=2.0)
        sample_grid(
            [(np.asarray(clip.frames[: len(made)]), made) for clip, made in zip(clips, check.videos, strict=True)],
            self.out / "samples" / f"step-{step:06d}.png",
        )
        return {
            "mouth_correlation": check.correlation,
            "lag": float(check.lag),
            "reader_on_real": check.reader_correlation,
            "boundary": check.boundary,
        }


def _autoencoder(
    config: TrainConfig, preset: Preset, data: TrainingClips, out: Path, report: Report, workers: Workers
) -> Any:
    if preset.autoencoder != "small":
        if not config.autoencoder_folder:
            raise ValueError(f"expected autoencoder_folder for {preset.name}: Stable Diffusion's vae as a local folder")
        from diffusers import AutoencoderKL

        return load_autoencoder(AutoencoderKL, Path(config.autoencoder_folder))
    beside = Path(config.start_from) / "vae"
    folder = Path(config.autoencoder_folder) if config.autoencoder_folder else out / "autoencoder" / "final"
    if config.start_from and not config.autoencoder_folder and beside.is_dir():
        folder = beside
    if (folder / "config.json").is_file():
        return load_module(SmallAutoencoder, folder)
    report("training the autoencoder")
    vae = train_autoencoder(
        torch.nn.Module.to(build_autoencoder(preset, seed=config.seed), workers.device),
        config.autoencoder,
        data,
        out / "autoencoder",
        report=report,
        workers=workers,
    )
    if not workers.first:
        return vae
    save_module(vae, folder)
    sizes: dict[str, object] = dict(region_psnr(vae, data, frames_per_clip=1))
    report("autoencoder: PSNR in dB " + ", ".join(f"{name} {value:.1f}" for name, value in sizes.items()))  # type: ignore[str-format, unused-ignore]
    write_facts(out / "autoencoder" / "psnr.json", sizes)
    frames = np.stack([data[i].frames[data[i].reference_index] for i in range(min(8, len(data)))])
    sample_grid([(frames, reconstruct(vae, torch.from_numpy(frames)).numpy())], out / "autoencoder" / "rebuilt.png")
    return vae


def _audio_encoder(
    config: TrainConfig, preset: Preset, data: TrainingClips, out: Path, report: Report, workers: Workers
) -> Any:
    settings = {**preset.audio_encoder, "fps": frame_rate(config)}
    kind = settings.pop("kind")
    if kind == "log-mel":
        return LogMelEncoder(**settings)
    if config.start_from and not config.retrain_speech_net:
        return load_audio_encoder(Path(config.start_from) / "audio_encoder")
    if kind != "speech-net":
        raise ValueError(f"expected start_from for {preset.name}: a folder with its speech encoder")
    folder = out / "audio_encoder"
    if not (folder / "config.json").is_file():
        report("training the speech encoder")
        mel = LogMelEncoder(**settings)
        net = train_speech_net(mel, config.speech_net, data, folder, report=report, workers=workers)
        if workers.first:
            report(f"speech encoder: mouth opening of its own clips, correlation {heard_opening(net, mel, data):.3f}")
            SpeechNetEncoder(net, mel).save(folder)
        workers.wait()
    return load_audio_encoder(folder)


def _hand_over(config: TrainConfig, model: EMOModel, encoder: Any, data: TrainingClips, report: Report) -> None:
    """A model that listened to another speech encoder is made to understand the new one."""
    if not (config.start_from and config.retrain_speech_net):
        return
    old = load_audio_encoder(Path(config.start_from) / "audio_encoder")
    matrix, offset, left = feature_map(encoder, old, data)
    fold_into(model.audio_layers, matrix, offset)
    report(f"speech encoder: a linear map explains {1 - left:.0%} of the features of the one before")


def _refiner(
    config: TrainConfig,
    pipeline: EMOPipeline,
    latents: LatentClips,
    schedule: NoiseSchedule,
    out: Path,
    report: Report,
    workers: Workers,
) -> PortraitRefiner | None:
    kept = Path(config.start_from) / "refiner"
    refiner = load_module(PortraitRefiner, kept) if config.start_from and kept.is_dir() else None
    if not config.refiner.steps:
        return refiner
    report("training the portrait refiner")
    generated = generate_clips(
        pipeline.model,
        pipeline.vae,
        latents,
        schedule,
        config.refiner,
        out / "refiner" / "generated",
        report=report,
        workers=workers,
    )
    refiner = refiner or build_refiner(seed=config.seed)
    torch.nn.Module.to(refiner, workers.device)
    refiner = train_refiner(refiner, config.refiner, generated, out / "refiner", report=report, workers=workers)
    if workers.first:
        sample_grid(before_and_after(refiner, generated), out / "refiner" / "refined.png")
    return refiner


def _train_transfer(
    config: TrainConfig, pipeline: EMOPipeline, data: TrainingClips, out: Path, report: Report, workers: Workers
) -> None:
    """Refiner and decoder on true flow; a pipeline without refiner gets one."""
    if not config.transfer.steps:
        return
    if not isinstance(pipeline.vae, SmallAutoencoder):
        raise ValueError(f"expected the small autoencoder for 'transfer', found {type(pipeline.vae).__name__}")
    report("training refiner and decoder on true flow")
    refiner = pipeline.refiner or build_refiner(seed=config.seed)
    torch.nn.Module.to(refiner, workers.device)
    train_transfer(refiner, pipeline.vae, config.transfer, data, out / "transfer", report=report, workers=workers)
    pipeline.refiner = refiner.eval()
    pipeline.vae.eval()


def _detail(
    config: TrainConfig,
    pipeline: EMOPipeline,
    large: TrainingClips | None,
    out: Path,
    report: Report,
    workers: Workers,
) -> DetailHead | None:
    """The detail head of start_from, trained further if the config asks for it."""
    kept = Path(config.start_from) / "detail"
    head = load_module(DetailHead, kept) if config.start_from and kept.is_dir() else None
    if not config.detail.steps:
        return head
    if large is None or pipeline.refiner is None or not isinstance(pipeline.vae, SmallAutoencoder):
        raise ValueError("expected 'detail_data', a refiner and the small autoencoder to train 'detail'")
    report("training the detail head")
    if head is None:
        with initial_weights(config.seed):
            head = DetailHead()
    torch.nn.Module.to(head, workers.device)
    settings, folder = config.detail, out / "detail"
    train_detail(head, pipeline.refiner, pipeline.vae, settings, large, folder, report=report, workers=workers)
    return head


def _model(config: TrainConfig, preset: Preset, data: TrainingClips, vae: Any) -> EMOModel:
    if config.start_from:
        started: EMOModel = load_module(EMOModel, Path(config.start_from) / "model")
        larger = extended(started, migrate_model_config(config.model_changes))
        if config.lora is not None and larger is not started:
            raise ValueError(
                "expected no new condition in model_changes with lora, found extensions.eyelids: what reads it is kept "
                "as it is and would never learn; add it in a training without lora first"
            )
        return larger
    changes = merge_parts({}, migrate_model_config(config.model_changes))
    if "centres" not in changes.get("speed", {}):
        labels = np.concatenate([clip.head_speed for clip in every_clip(moving(data))])
        # As many buckets as the preset has: the number is part of the network's shape.
        centres, radii = bucket_layout(labels, buckets=len(preset.architecture.speed.centres))
        changes = merge_parts(changes, {"speed": {"centres": centres, "radii": radii}})
    if preset.architecture.extensions.residual_std and "residual_std" not in changes.get("extensions", {}):
        changes = merge_parts(changes, {"extensions": {"residual_std": residual_std(moving(data), vae)}})
    model: EMOModel = build_model(preset, seed=config.seed, **changes)
    return model


@torch.no_grad()
def residual_std(data: TrainingClips, vae: Any, *, clips: int = 64, frames: int = 6) -> tuple[float, ...]:
    """Per channel the root mean square difference of two frames' latents, over clips spread evenly over a set."""
    squares = []
    for clip in spread_clips(data, clips):
        chosen = np.linspace(0, len(clip.frames) - 1, frames).astype(int)
        images = to_signed(torch.from_numpy(np.stack([clip.frames[i] for i in chosen])))
        latents = encode_in_pieces(vae, images).float()
        squares.append((latents[1:] - latents[:1]).square().mean((0, 2, 3)))
    return tuple(round(value, 4) for value in torch.stack(squares).mean(0).clamp_min(1e-6).sqrt().tolist())
