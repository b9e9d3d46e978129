"""Each kind of damage: nothing but what it says, the same every time, worse with every level."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from emo_bench.audit.damaged_faces import mouth_weights
from emo_bench.audit.damaged_time import nearby_times, with_other_times
from emo_bench.audit.distortions import STANDARD_ORDER, Original, chosen_corruptions, distortions
from emo_bench.media.types import Audio, video_from_array
from emo_core.errors import ClipError, ConfigError
from emo_core.rng import numpy_generator

BOX = (12.0, 6.0, 52.0, 42.0)


@pytest.fixture
def original(tiny) -> Original:
    video = video_from_array(tiny.frames(n_frames=50), fps=Fraction(25))
    return Original(
        video=video,
        audio=Audio(tiny.speech(seconds=2.0), 16000),
        draw=partial(numpy_generator, 0, "audit test", "clip"),
        face_box=BOX,
        partner=video_from_array(tiny.frames(n_frames=50, person=1), fps=Fraction(25)),
    )


@pytest.mark.parametrize("name", STANDARD_ORDER)
def test_more_is_worse_and_the_same_twice(name: str, original: Original) -> None:
    kind = distortions.get(name)
    assert list(kind.levels) == sorted(kind.levels)
    damage = []
    for level in kind.levels:
        if kind.change_video is not None:
            made = kind.change_video(original, level)
            frames = made.read_all()
            assert made.spec == original.video.spec
            assert all(len(piece) <= 32 for piece in made.open())
            np.testing.assert_array_equal(frames, kind.change_video(original, level).read_all())
            damage.append(np.abs(frames.astype(float) - original.video.read_all()).mean())
        else:
            sound = kind.change_audio(original, level).samples
            assert sound.shape == original.audio.samples.shape
            assert sound.dtype == np.float32
            damage.append(float((sound == 0).mean()))
    assert damage[0] > 0 or name in (
        "blur",
        "creeping-blur",
    )  # the mildest level is less than rounding on so small a picture
    assert damage == sorted(damage) or name in ("jitter", "mouth-jitter")  # this mouth is periodic
    assert damage[-1] > damage[0]


def test_sound_moves_by_whole_frames(original: Original) -> None:
    samples = original.audio.samples
    late = distortions.get("audio-late").change_audio(original, 3).samples
    early = distortions.get("audio-early").change_audio(original, 3).samples
    np.testing.assert_array_equal(late[3 * 640 :], samples[: -3 * 640])
    np.testing.assert_array_equal(early[: -3 * 640], samples[3 * 640 :])
    assert not late[: 3 * 640].any()
    assert not early[-3 * 640 :].any()
    assert not distortions.get("audio-late").change_audio(original, 1000).samples.any()


def test_only_the_mouth_changes(original: Original) -> None:
    outside = mouth_weights(BOX, height=48, width=64) == 0
    assert 0.5 < outside.mean() < 0.95
    before = original.video.read_all()
    for name in ("mouth-warp", "mouth-jitter"):
        kind = distortions.get(name)
        after = kind.change_video(original, kind.levels[-1]).read_all()
        np.testing.assert_array_equal(after[:, outside], before[:, outside])
        assert (after != before).any()


def test_frozen_and_swapped_shares(original: Original) -> None:
    before = original.video.read_all()
    frozen = distortions.get("frozen").change_video(original, 0.5).read_all()
    np.testing.assert_array_equal(frozen[:25], np.repeat(before[:1], 25, axis=0))
    np.testing.assert_array_equal(frozen[25:], before[25:])
    swapped = distortions.get("identity-swap").change_video(original, 0.1).read_all()
    np.testing.assert_array_equal(swapped[:5], original.stranger.read_all()[:5])
    np.testing.assert_array_equal(swapped[5:], before[5:])


def test_creeping_damage_begins_with_nothing(original: Original) -> None:
    before = original.video.read_all().astype(float)
    for name in ("creeping-blur", "creeping-colour"):
        kind = distortions.get(name)
        damage = np.abs(kind.change_video(original, kind.levels[-1]).read_all() - before).mean(axis=(1, 2, 3))
        assert damage[0] == 0
        assert damage[45:].mean() > 1.5 * damage[20:25].mean() > 0


def test_every_second_second_has_another_colour(original: Original) -> None:
    before = original.video.read_all()
    after = distortions.get("segment-colour").change_video(original, 8).read_all()
    np.testing.assert_array_equal(after[:25], before[:25])
    change = after[25:].astype(int) - before[25:]
    inside = (before[25:] >= 8) & (before[25:] <= 247)
    for channel, by in ((0, 8), (1, 0), (2, -8)):
        assert (change[..., channel][inside[..., channel]] == by).all()


def test_other_times_are_those_asked_for(original: Original) -> None:
    before = original.video.read_all()
    for reach in (1, 4, 100):
        sources = nearby_times(original, reach)
        assert np.abs(sources - np.arange(50)).max() <= reach
        np.testing.assert_array_equal(with_other_times(original.video, sources).read_all(), before[sources])


def test_what_a_clip_lacks_is_told(original: Original) -> None:
    bare = Original(video=original.video, audio=original.audio, draw=original.draw)
    with pytest.raises(ClipError, match="no face box"):
        distortions.get("mouth-warp").change_video(bare, 4)
    with pytest.raises(ClipError, match="no second identity"):
        distortions.get("identity-swap").change_video(bare, 1)


def test_corruptions_are_chosen_and_checked() -> None:
    assert tuple(corruption.name for corruption in chosen_corruptions()) == STANDARD_ORDER
    (blur,) = chosen_corruptions(["blur"], ["blur=0.5,3"])
    assert blur.levels == (0.5, 3.0)
    assert blur.system(0.5) == "blur@0.5"
    for names, levels, message in (
        (["blurr"], [], "did you mean 'blur'"),
        (["blur", "blur"], [], "named twice"),
        (["blur"], ["noise=1"], "not part of this audit"),
        (["blur"], ["nonsense=1"], "unknown distortion"),
        (["blur"], ["blur=2,1"], "rising positive numbers"),
        (["blur"], ["blur=0,1"], "rising positive numbers"),
        (["blur"], ["blur=nan"], "rising positive numbers"),
        (["blur"], ["blur="], "rising positive numbers"),
        (["blur"], ["blur=1", "blur=2"], "given twice"),
        (["blur"], ["blur=1.0000001,1.0000002"], "too close"),
        (["frozen"], ["frozen=0.5,2"], r"share of clip(?s:.*)at most 1"),
        (["identity-swap"], ["identity-swap=1,2"], r"share of clip(?s:.*)at most 1"),
        (["compression"], ["compression=28.2,28.4"], r"CRF(?s:.*)whole numbers of at most 51"),
        (["compression"], ["compression=40,60"], r"CRF(?s:.*)whole numbers of at most 51"),
        (["jitter"], ["jitter=0.3"], r"frames(?s:.*)whole numbers"),
        (["mouth-jitter"], ["mouth-jitter=1.5"], r"frames(?s:.*)whole numbers"),
    ):
        with pytest.raises(ConfigError, match=message):
            chosen_corruptions(names, levels)
