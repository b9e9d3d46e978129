"""Speech encoders, schedules, guidance, the small autoencoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares, speech_like

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_bytes, to_signed
from emo_models.autoencoder.training import AutoencoderTraining, region_psnr, train_autoencoder
from emo_models.emo.architecture import AudioConfig
from emo_models.emo.audio import frame_count
from emo_models.emo.audio_encoders import TransformerEncoder, load_audio_encoder, load_transformer_encoder
from emo_models.emo.audio_layers import AudioLayers
from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.extensions.log_mel import LogMelEncoder, mel_filters
from emo_models.emo.schedulers import (
    COSINE,
    LITERAL,
    NoiseSchedule,
    ScheduleConfig,
    make_scheduler,
    schedule_of,
    set_steps,
    shifted_times,
)


def small_wav2vec() -> TransformerEncoder:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    shape = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    return TransformerEncoder(Wav2Vec2Model(shape), kind="wav2vec2", fps=25.0, chunk_seconds=1.0, context_seconds=0.5)


def test_log_mel_windows_agree_and_repeat_the_edges() -> None:
    encoder, sound = LogMelEncoder(fps=25.0), speech_like(1.0)
    whole = encoder.window(sound, 0, 25)
    assert whole.shape == (25, 1, encoder.width)
    torch.testing.assert_close(encoder.window(sound, 7, 11), whole[7:11])
    edges = encoder.window(sound, -2, 27)
    torch.testing.assert_close(edges[:2], whole[:1].expand(2, -1, -1))
    torch.testing.assert_close(edges[-2:], whole[-1:].expand(2, -1, -1))


def test_log_mel_tells_silence_from_speech() -> None:
    encoder = LogMelEncoder(fps=25.0)
    assert encoder.window(np.zeros(16_000, np.float32), 5, 6).mean() < -2.5
    assert encoder.window(speech_like(1.0), 5, 6).mean() > -2.0


def test_log_mel_follows_time() -> None:
    sound = np.zeros(16_000, np.float32)
    sound[12 * 640 : 13 * 640] = 0.5 * np.sin(np.arange(640) * 0.5)
    loud = LogMelEncoder(fps=25.0).window(sound, 0, 25).mean((1, 2))
    assert int(loud.argmax()) == 12


def test_mel_filters_have_unit_sum() -> None:
    filters = mel_filters(48, 512)
    assert filters.shape == (257, 48)
    np.testing.assert_allclose(filters.sum(0), 1.0, atol=1e-5)


def test_wav2vec_gives_all_hidden_states_per_frame() -> None:
    encoder, sound = small_wav2vec(), speech_like(2.2)
    features = encoder.window(sound, -1, 56)
    assert features.shape == (57, 3, 32)
    assert features.isfinite().all()
    torch.testing.assert_close(encoder.window(sound, 10, 14), features[11:15])
    assert len(encoder._chunks) <= 2


def test_wav2vec_from_a_folder_gives_the_same(tmp_path: Path) -> None:
    encoder, sound = small_wav2vec(), speech_like(0.5)
    encoder.save(tmp_path)
    torch.testing.assert_close(load_audio_encoder(tmp_path).window(sound, 0, 12), encoder.window(sound, 0, 12))
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_transformer_encoder(tmp_path / "elsewhere", kind="wav2vec2", fps=25.0)


def test_whisper_gives_all_hidden_states_per_frame() -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    shape = WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[],
    )  # fmt: skip
    encoder = TransformerEncoder(
        WhisperModel(shape), kind="whisper", fps=25.0, extractor=WhisperFeatureExtractor(feature_size=80)
    )
    features = encoder.window(speech_like(1.0), 0, 25)
    assert features.shape == (25, 3, 16)
    assert features.isfinite().all()


def test_audio_that_lies_where_other_audio_lay_is_heard() -> None:
    """Arrays of one length often get the memory of those that are gone, as the audio of one clip after another does."""
    encoder, fresh = small_wav2vec(), small_wav2vec()
    for seed in range(6):
        sound = speech_like(1.0, seed)
        fresh._chunks.clear()
        torch.testing.assert_close(encoder.window(sound, 0, 25), fresh.window(sound.copy(), 0, 25))
        del sound


def test_unknown_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"kind": "ears"}')
    with pytest.raises(ValueError, match="ears"):
        load_audio_encoder(tmp_path)


def test_frame_count_is_exact() -> None:
    assert frame_count(48_000 * 300, fps=25.0, rate=48_000) == 7500
    assert frame_count(16_000, fps=30000 / 1001) == 30


@pytest.mark.parametrize("projection", ["joint", "per_neighbour"])
@pytest.mark.parametrize("mix", ["weighted", "concat"])
def test_audio_tokens_have_one_group_per_neighbour(projection: str, mix: str) -> None:
    layers = AudioLayers(
        AudioConfig(blocks=3, width=8, token_dim=6, tokens=2, projection=projection, mix=mix), window=2
    )
    features = torch.randn(2, 4 + 4, 3, 8)
    tokens = layers(features)
    assert tokens.shape == (2, 4, 10, 6)
    windows = torch.stack([features[:, i : i + 5] for i in range(4)], 1)
    torch.testing.assert_close(layers(windows), tokens)


@pytest.mark.parametrize("schedule", [ScheduleConfig(), COSINE, LITERAL], ids=["default", "cosine", "literal"])
def test_training_and_sampling_use_one_schedule(schedule: ScheduleConfig) -> None:
    scheduler = make_scheduler(schedule)
    ours = NoiseSchedule(schedule_of(scheduler))
    clean, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    times = torch.tensor([20, 700])
    noisy = ours.add_noise(clean, noise, times)
    torch.testing.assert_close(noisy, scheduler.add_noise(clean, noise, times), atol=1e-5, rtol=1e-4)
    if schedule.prediction == "v_prediction":
        velocity = scheduler.get_velocity(clean, noise, times)
        torch.testing.assert_close(ours.target(clean, noise, times), velocity, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.clean(noisy, ours.target(clean, noise, times), times), clean, atol=1e-3, rtol=1e-3)


def test_last_step_is_pure_noise_by_default() -> None:
    assert float(NoiseSchedule(ScheduleConfig()).signal_power[-1]) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="zero_terminal_snr=False"):
        ScheduleConfig(prediction="epsilon")


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++", "unipc"])
def test_samplers_recover_a_known_distribution(sampler: str) -> None:
    """With the exact velocity of one point every sampler must arrive at that point."""
    point = torch.full((1, 1, 2, 2, 2), 0.7)
    schedule = NoiseSchedule(COSINE)
    scheduler = make_scheduler(COSINE, sampler=sampler)
    scheduler.set_timesteps(20)
    x = torch.randn(point.shape, generator=torch.Generator().manual_seed(0))
    for time in scheduler.timesteps:
        power = schedule.signal_power[int(time)].float()
        noise = (x - power.sqrt() * point) / (1 - power).sqrt()
        x = scheduler.step(power.sqrt() * noise - (1 - power).sqrt() * point, time, x).prev_sample
    torch.testing.assert_close(x, point, atol=0.02, rtol=0)


def spread_left(spread: float, *, steps: int, shift: float) -> float:
    """What share of a normal distribution's deviation a sampler with a perfect network leaves."""
    schedule = NoiseSchedule(COSINE)
    scheduler = make_scheduler(COSINE, sampler="dpmsolver++")
    set_steps(scheduler, steps, shift=shift)
    x = torch.randn(4096, 1, generator=torch.Generator().manual_seed(0)).double()
    for time in scheduler.timesteps:
        power = schedule.signal_power[int(time)]
        signal, sigma = power.sqrt(), (1 - power).sqrt()
        clean = x * signal * spread**2 / (power * spread**2 + 1 - power)
        noise = (x - signal * clean) / sigma
        x = scheduler.step(signal * noise - sigma * clean, time, x).prev_sample
    return float(x.std()) / spread


def test_a_shift_keeps_what_is_decided_deep_in_the_noise() -> None:
    """A head's turn shows in hundreds of values at once: together they deviate as one value of twenty would."""
    even, shifted = (spread_left(20.0, steps=8, shift=shift) for shift in (1.0, 4.0))
    assert even < 0.3
    assert shifted > 0.6
    assert spread_left(1.0, steps=8, shift=1.0) > 0.95


def test_times_are_even_without_a_shift_and_end_nowhere_twice() -> None:
    scheduler = make_scheduler(COSINE, sampler="dpmsolver++")
    for steps in (1, 8, 15):
        set_steps(scheduler, steps)
        assert scheduler.timesteps.tolist() == shifted_times(steps, shift=1.0, train_steps=1000)
        set_steps(scheduler, steps, shift=4.0)
        assert scheduler.timesteps.tolist() == shifted_times(steps, shift=4.0, train_steps=1000)
    with pytest.raises(ValueError, match="expected fewer than 40 steps"):
        shifted_times(40, shift=100.0, train_steps=1000)


def test_guidance_combines_as_stated() -> None:
    u, r, ra = (torch.full((1, 2), v) for v in (1.0, 2.0, 4.0))
    guidance = Guidance(audio=3.0, reference=2.0)
    assert guidance.passes == ((False, False, True, True), (True, False, True, True), (True, True, True, True))
    assert guidance.combine(torch.cat([u, r, ra])).tolist() == [[1 + 2 * 1 + 3 * 2] * 2]
    assert Guidance(audio=3.0).combine(torch.cat([r, ra])).tolist() == [[2 + 3 * 2] * 2]
    joint = Guidance(audio=3.5, reference=3.5)
    assert joint.passes == ((False, False, True, True), (True, True, True, True))
    assert joint.combine(torch.cat([u, ra])).tolist() == [[1 + 3.5 * 3] * 2]


def test_guidance_by_speed_adds_one_pass_at_the_end() -> None:
    u, r, ra, ras = (torch.full((1, 2), v) for v in (1.0, 2.0, 4.0, 5.0))
    every = Guidance(audio=3.0, reference=2.0, speed=6.0)
    assert every.passes == (
        (False, False, False, True),
        (True, False, False, True),
        (True, True, False, True),
        (True, True, True, True),
    )
    assert every.combine(torch.cat([u, r, ra, ras])).tolist() == [[1 + 2 * 1 + 3 * 2 + 6 * 1] * 2]
    assert Guidance(audio=3.0, speed=6.0).combine(torch.cat([r, ra, ras])).tolist() == [[2 + 3 * 2 + 6 * 1] * 2]
    assert Guidance(speed=6.0).combine(torch.cat([ra, ras])).tolist() == [[4 + 6 * 1] * 2]
    joint = Guidance(audio=3.5, reference=3.5, speed=0.0)
    assert joint.passes == ((False, False, False, True), (True, True, False, True), (True, True, True, True))
    assert joint.combine(torch.cat([u, ra, ras])).tolist() == [[1 + 3.5 * 3] * 2]


def test_small_autoencoder_learns_and_resumes(tmp_path: Path) -> None:
    data = MovingSquares()
    settings = AutoencoderTraining(steps=30, batch=4, crop=32, lr=3e-3, warmup=5, checkpoint_every=15, bf16=False)
    before = region_psnr(build_autoencoder(TINY), data)
    whole = train_autoencoder(build_autoencoder(TINY), settings, data, tmp_path / "a", report=lambda line: None)
    after = region_psnr(whole, data)
    assert after["mouth"] > before["mouth"] + 0.3
    import shutil

    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "checkpoints" / "step-00000030")
    again = train_autoencoder(build_autoencoder(TINY, seed=5), settings, data, tmp_path / "b", report=lambda line: None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_autoencoder_shapes_and_bytes() -> None:
    vae = SmallAutoencoder().eval()
    frames = torch.randint(0, 256, (2, 128, 128, 3), dtype=torch.uint8)
    assert torch.equal(to_bytes(to_signed(frames)), frames)
    latents = vae.encode(to_signed(frames))
    assert latents.shape == (2, 8, 16, 16)
    assert vae.decode(latents).shape == (2, 3, 128, 128)
    with pytest.raises(ValueError, match="multiples of 8"):
        vae.encode(torch.zeros(1, 3, 100, 100))
