"""Sampling, chaining and streaming of the whole pipeline at tiny size."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, awake_model, speech_like

from emo_models.emo.building import build_pipeline
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions
from emo_models.emo.portrait_image import region_mask
from emo_models.emo.weights import WeightsError

QUICK = SamplingOptions(steps=2)


@pytest.fixture(scope="module")
def pipeline() -> EMOPipeline:
    built = build_pipeline(TINY)
    built.model = awake_model()
    return built


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (80, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(("samples", "rate"), [(1, 16_000), (16_001, 16_000), (9_000, 22_050), (2_560, 16_000)])
def test_video_is_as_long_as_the_sound(pipeline: EMOPipeline, portrait: np.ndarray, samples: int, rate: int) -> None:
    pieces = list(pipeline.animate(portrait, speech_like(2.0)[:samples], rate, options=QUICK))
    frames = np.concatenate(pieces)
    assert frames.shape == (ceil(samples * 25 / rate), 64, 64, 3)
    assert frames.dtype == np.uint8
    assert all(len(piece) <= pipeline.model.architecture.segment.frames for piece in pieces)


def test_the_seed_decides_everything(pipeline: EMOPipeline, portrait: np.ndarray) -> None:
    audio = speech_like(0.4)
    runs = [pipeline(portrait, audio, seed=seed, options=QUICK).frames for seed in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_a_video_can_start_from_the_still_portrait(portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = build_pipeline(TINY)
    pipeline.model = awake_model(extensions={"first_motion": "portrait"})
    given: list[dict[str, torch.Tensor]] = []
    prepare = pipeline.model.prepare

    def spy(**inputs: torch.Tensor) -> object:
        given.append(inputs)
        return prepare(**inputs)

    monkeypatch.setattr(pipeline.model, "prepare", spy)
    pipeline(portrait, speech_like(0.4), options=QUICK)
    n = pipeline.model.architecture.segment.motion_frames
    assert torch.equal(given[0]["motion"], given[0]["reference"][:, None].expand(-1, n, -1, -1, -1))
    assert not torch.equal(given[1]["motion"], given[0]["motion"])


def test_unknown_ways_to_start_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected extensions\.first_motion to be one of zeros, portrait, found 'nothing'"
    ):
        awake_model(extensions={"first_motion": "nothing"})


def test_a_clips_noise_does_not_depend_on_its_batch(pipeline: EMOPipeline) -> None:
    together = pipeline.noise([5, 9], segment=1)
    torch.testing.assert_close(together[1], pipeline.noise([9], segment=1)[0], atol=0, rtol=0)
    assert (pipeline.noise([9], segment=2)[0] != together[1]).any()


def test_videos_from_reflected_noise_differ_from_the_second_segment_on(
    pipeline: EMOPipeline, portrait: np.ndarray
) -> None:
    sound, n = speech_like(0.4), pipeline.model.architecture.segment.frames
    own = pipeline(portrait, sound, options=QUICK).frames
    reflected = pipeline(portrait, sound, options=QUICK, segment_noise="reflected").frames
    assert np.array_equal(own[:n], reflected[:n])
    assert not np.array_equal(own[n:], reflected[n:])
    with pytest.raises(
        ValueError, match="expected segment_noise to be one of independent, shared, reflected, found 'own'"
    ):
        pipeline(portrait, sound, options=QUICK, segment_noise="own")


def test_guidance_by_speed_acts_where_a_speed_is_given(portrait: np.ndarray) -> None:
    pipeline = build_pipeline(TINY)
    pipeline.model.load_state_dict(awake_model().state_dict())
    sound, plain, strong = speech_like(0.2), QUICK, replace(QUICK, guidance=Guidance(speed=6.0))

    def made(options: SamplingOptions, speed: float | None) -> np.ndarray:
        return pipeline(portrait, sound, options=options, speed=speed).frames.astype(int)

    assert np.array_equal(made(plain, None), made(strong, None))
    slow, fast = made(plain, 0.1), made(plain, 1.9)
    further = np.abs(made(strong, 0.1) - made(strong, 1.9)).mean()
    assert further > 2 * np.abs(slow - fast).mean() > 0
    without = made(replace(QUICK, guidance=Guidance(speed=0.0)), 1.9)
    assert np.abs(without - made(plain, None)).max() <= 1


def test_guidance_spends_passes_within_its_interval_only(
    pipeline: EMOPipeline, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = pipeline.model.backbone.forward

    def counted(latents: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        sizes.append(len(latents))
        return forward(latents, *rest, **named)

    monkeypatch.setattr(pipeline.model.backbone, "forward", counted)

    def made(low: float, high: float, audio: float = 3.0, speed: float | None = None) -> np.ndarray:
        sizes.clear()
        guidance = Guidance(audio=audio, speed=6.0, interval=(low, high))
        options = replace(QUICK, steps=4, sampler="ddim", guidance=guidance, speed=speed)
        return pipeline(portrait, speech_like(0.1), options=options).frames

    everywhere = made(0.0, 1.0)
    assert sizes == [2, 2, 2, 2]
    middle = made(0.4, 0.8)
    assert sizes == [1, 2, 2, 1]
    assert not np.array_equal(middle, everywhere)
    nowhere = made(0.1, 0.2)
    assert sizes == [1, 1, 1, 1]
    assert np.array_equal(nowhere, made(0.0, 1.0, audio=1.0))
    made(0.4, 0.8, speed=1.0)
    assert sizes == [2, 3, 3, 2]


@pytest.mark.parametrize("interval", [(0.8, 0.2), (-0.1, 1.0), (0.0, 1.1)])
def test_an_interval_the_wrong_way_round_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected an interval within 0 and 1"):
        Guidance(interval=interval)


def test_samples_of_a_batch_do_not_touch_each_other(pipeline: EMOPipeline) -> None:
    def conditions(reference: torch.Tensor) -> object:
        count = len(reference)
        return pipeline.model.prepare(reference=reference, audio=torch.ones(count, 6, 1, 16))

    references = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both = pipeline.denoise(pipeline.noise([1, 2], 0), conditions(references), QUICK)
        alone = pipeline.denoise(pipeline.noise([2], 0), conditions(references[1:]), QUICK)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=1e-4)


def test_later_clips_start_from_the_last_frames_of_the_one_before(
    pipeline: EMOPipeline, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[torch.Tensor | None] = []
    prepare = pipeline.model.prepare

    def spy(**inputs: torch.Tensor) -> object:
        given.append(inputs["motion"])
        return prepare(**inputs)

    monkeypatch.setattr(pipeline.model, "prepare", spy)
    pieces = list(pipeline.animate(portrait, speech_like(0.4), 16_000, options=QUICK))
    assert given[0] is None
    from emo_models.autoencoder.small_autoencoder import to_signed
    from emo_models.emo.codec import encode_images

    with torch.no_grad():
        expected = encode_images(pipeline.vae, to_signed(torch.from_numpy(pieces[0][-2:])))
    assert given[1] is not None
    torch.testing.assert_close(given[1][0], expected)


@pytest.mark.parametrize("guidance", [Guidance(), Guidance(audio=2.0), Guidance(audio=2.0, reference=1.5)])
def test_reference_audio_and_region_are_worked_on_once_per_clip(
    pipeline: EMOPipeline, portrait: np.ndarray, guidance: Guidance
) -> None:
    calls: Counter[str] = Counter()
    block = pipeline.model.backbone.blocks()[0]
    watched = {
        "reference_net": pipeline.model.reference_net,
        "face_locator": pipeline.model.face_locator,
        "audio_layers": pipeline.model.audio_layers,
        "reference_keys": block.attn2.to_k,
        "audio_keys": block.audio_attn.to_k,
        "backbone": pipeline.model.backbone,
    }
    handles = [
        module.register_forward_hook(lambda *_, name=name: calls.update([name])) for name, module in watched.items()
    ]
    options = SamplingOptions(steps=5, guidance=guidance)
    list(pipeline.animate(portrait, speech_like(0.3), 16_000, options=options))
    for handle in handles:
        handle.remove()
    clips = 2
    assert calls.pop("backbone") == 5 * clips, "all guidance passes of a step run as one batch"
    assert calls == Counter({name: clips for name in watched if name != "backbone"})


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++", "unipc"])
def test_samplers_agree_with_many_steps_in_kind(pipeline: EMOPipeline, portrait: np.ndarray, sampler: str) -> None:
    frames = pipeline(portrait, speech_like(0.16), steps=6, sampler=sampler, speed=0.7).frames
    assert frames.shape == (4, 64, 64, 3)
    assert frames.std() > 0


def test_a_shift_is_for_the_sampler_that_takes_any_times(pipeline: EMOPipeline, portrait: np.ndarray) -> None:
    options, sound = replace(QUICK, sampler="dpmsolver++"), speech_like(0.16)
    even, shifted = (pipeline(portrait, sound, options=options, shift=shift).frames for shift in (1.0, 4.0))
    assert not np.array_equal(even, shifted)
    with pytest.raises(ValueError, match="expected shift 1, or a positive one with the sampler dpmsolver"):
        SamplingOptions(sampler="ddim", shift=4.0)
    assert replace(options, shift=4.0).changed(sampler="unipc") == replace(options, sampler="unipc")


def test_saved_pipeline_is_the_same(pipeline: EMOPipeline, portrait: np.ndarray, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    again = EMOPipeline.from_pretrained(tmp_path)
    audio = speech_like(0.2)
    np.testing.assert_array_equal(
        again(portrait, audio, options=QUICK).frames, pipeline(portrait, audio, options=QUICK).frames
    )
    assert again.facts["trained_on"] == "nothing: random weights"


def test_broken_weights_are_named(pipeline: EMOPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    weights = tmp_path / "model" / "diffusion_pytorch_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(WeightsError, match="damaged or another format"):
        EMOPipeline.from_pretrained(tmp_path)
    torch.save({"a": torch.zeros(1)}, weights)
    with pytest.raises(WeightsError, match="pickles"):
        EMOPipeline.from_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(WeightsError, match="found no such file"):
        EMOPipeline.from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="saved EMO pipeline"):
        EMOPipeline.from_pretrained(tmp_path / "nowhere")


def test_weights_of_another_shape_are_refused(pipeline: EMOPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    config = tmp_path / "model" / "config.json"
    saved = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps({**saved, "speed": {**saved["speed"], "width": 8}}), "utf-8")
    with pytest.raises(WeightsError, match="do not belong together"):
        EMOPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "at least one sample"),
        (np.zeros((10, 2), np.float32), "mono"),
        (np.array([0.0, np.nan], np.float32), "finite"),
    ],
)
def test_bad_sound_is_refused(pipeline: EMOPipeline, portrait: np.ndarray, audio: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(pipeline.animate(portrait, audio, 16_000, options=QUICK))


def test_bad_images_and_regions_are_refused(pipeline: EMOPipeline) -> None:
    with pytest.raises(ValueError, match="at least 16 pixels"):
        pipeline(np.zeros((8, 64, 3), np.uint8), speech_like(0.1))
    with pytest.raises(ValueError, match="RGB image"):
        pipeline(np.zeros((64, 64), np.uint8), speech_like(0.1))
    with pytest.raises(ValueError, match="fractions"):
        region_mask((0.5, 0.0, 0.2, 1.0), 64)
    with pytest.raises(ValueError, match="denoising step"):
        SamplingOptions(steps=0)
