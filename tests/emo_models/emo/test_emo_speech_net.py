"""The small speech encoder with weights: windows that agree, saving, learning, clips that cannot teach it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
import torch
from emo_scenes import MovingSquares, speech_like

from emo_models.emo.audio_encoders import load_audio_encoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import SpeechNet, SpeechNetEncoder
from emo_models.emo.training.speech_net_training import (
    SpeechNetTraining,
    _Features,
    at_tempo,
    faster,
    heard_opening,
    train_speech_net,
)


def encoder(seed: int = 0) -> SpeechNetEncoder:
    torch.manual_seed(seed)
    return SpeechNetEncoder(SpeechNet(in_width=16, width=8, blocks=2), LogMelEncoder(bands=8, steps=2))


def test_a_frame_does_not_depend_on_the_window_it_was_asked_for_in() -> None:
    ours, sound = encoder(), speech_like(2.0)
    whole = ours.window(sound, -3, 53)
    assert whole.shape == (56, 1, 8)
    for first, last in ((-3, 4), (10, 11), (40, 53)):
        torch.testing.assert_close(ours.window(sound, first, last), whole[first + 3 : last + 3])


def test_what_was_saved_predicts_the_same(tmp_path: Path) -> None:
    ours, sound = encoder(), speech_like(1.0)
    ours.save(tmp_path)
    again = load_audio_encoder(tmp_path)
    assert (again.fps, again.layers, again.width) == (25.0, 1, 8)
    assert torch.equal(again.window(sound, 0, 25), ours.window(sound, 0, 25))


def test_it_learns_to_hear_the_mouth_the_same_way_every_time(tmp_path: Path) -> None:
    clips, mel = MovingSquares(clips=4, frames=60), LogMelEncoder(bands=8, steps=2)
    settings = SpeechNetTraining(steps=60, clips=4, lr=1e-2)
    lines: list[str] = []
    first, again = (
        train_speech_net(mel, settings, clips, tmp_path / name, report=lines.append, width=16, blocks=1)
        for name in "ab"
    )
    assert heard_opening(first, mel, clips) > 0.9
    assert lines[0].startswith("speech encoder: step 60/60, loss")
    for name, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_stopped_and_resumed_training_is_bit_exact(tmp_path: Path) -> None:
    clips, mel = MovingSquares(clips=4, frames=60), LogMelEncoder(bands=8, steps=2)
    settings = SpeechNetTraining(steps=4, clips=2, checkpoint_every=1)

    def trained(name: str) -> SpeechNet:
        return train_speech_net(mel, settings, clips, tmp_path / name, report=lambda line: None, width=8, blocks=1)

    whole = trained("a")
    (tmp_path / "b").mkdir()
    trained("b")
    rmtree(tmp_path / "b" / "step-00000004")
    resumed = trained("b")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("tempo", [0.8, 1.0, 1.25])
def test_sound_and_mouth_stay_together_at_every_tempo(tempo: float) -> None:
    time = np.arange(3 * 16_000) / 16_000
    # A tone that swells twice a second, and a mouth that opens with it.
    sound = (np.sin(2 * np.pi * 500 * time) * (0.5 - 0.5 * np.cos(2 * np.pi * 2 * time))).astype(np.float32)
    mouth = (0.5 - 0.5 * np.cos(2 * np.pi * 2 * (np.arange(75) + 0.5) / 25)).astype(np.float32)[:, None]
    played, moved = faster(sound, tempo), at_tempo(mouth, tempo)
    assert len(moved) == int(75 / tempo)
    assert abs(len(played) - len(sound) / tempo) < 2
    loud = np.abs(played[: len(moved) * 640]).reshape(len(moved), 640).mean(1)
    assert np.corrcoef(loud, moved[:, 0])[0, 1] > 0.999


def test_a_short_clip_shortens_no_other() -> None:
    """Stretches come from anywhere in a clip; of one that is too short, the frames it has."""
    long, short = torch.arange(30.0)[:, None].expand(-1, 3), 100 + torch.arange(4.0)[:, None].expand(-1, 3)
    features = _Features([torch.cat([clip[:1], clip, clip[-1:]]) for clip in (long, short)], [long, short])
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        columns, shapes, there = features.stretches([0, 1], 10, 1, rng)
        assert columns.shape == (2, 12, 3)
        assert torch.equal(columns[:, 1:11][there], shapes[there])
        assert there.sum(1).tolist() == [10, 4]
        seen |= set(shapes[0, :, 0].tolist())
    assert seen == set(range(30))
    assert features.stretches([0, 1], 0, 1, rng)[1].shape == (2, 4, 3)


def test_clips_of_several_lengths_teach_it(tmp_path: Path) -> None:
    clips, mel = MovingSquares(clips=4, frames=60), LogMelEncoder(bands=8, steps=2)
    stub = MovingSquares(clips=1, frames=2)[0]
    settings = SpeechNetTraining(steps=60, clips=4, lr=1e-2)
    net = train_speech_net(
        mel, settings, [*clips.records, stub], tmp_path, report=lambda line: None, width=16, blocks=1
    )
    assert heard_opening(net, mel, clips) > 0.9


def test_voices_that_nobody_has_are_heard_too(tmp_path: Path) -> None:
    clips, mel = MovingSquares(clips=4, frames=60), LogMelEncoder(bands=8, steps=2)

    def trained(**options: object) -> SpeechNet:
        settings = SpeechNetTraining(**{"steps": 3, "clips": 2, **options})
        return train_speech_net(mel, settings, clips, tmp_path / str(options), report=print, width=8, blocks=1)

    plain = trained(vtlp_factors=(), tempos=()).first.weight
    assert not torch.equal(trained(vtlp_factors=(1.2,), tempos=()).first.weight, plain)
    assert not torch.equal(trained(vtlp_factors=(), tempos=(1.2,)).first.weight, plain)


def test_clips_without_a_known_mouth_cannot_teach_it(tmp_path: Path) -> None:
    clips = MovingSquares()
    clips.records[1] = replace(clips.records[1], mouth_opening=None)
    settings = SpeechNetTraining(steps=1)
    with pytest.raises(ValueError, match="expected clips with known mouth opening to train a speech encoder, found 1"):
        train_speech_net(LogMelEncoder(bands=8, steps=2), settings, clips, tmp_path, report=print, width=8)


def test_a_network_for_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 16 log-mel values per frame, found 32"):
        SpeechNetEncoder(SpeechNet(in_width=16, width=8), LogMelEncoder(bands=8, steps=4))
