from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.media.timeline import Timeline, count_frames, source_indices
from emo_bench.media.types import frames_for_samples, samples_for_frames

rates = st.sampled_from([Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(50)])
timelines = st.builds(
    lambda start, steps, last: Timeline(
        stamps=tuple(start + sum(steps[:i]) for i in range(len(steps) + 1)), last_duration=last, unit=Fraction(1, 1000)
    ),
    st.integers(-500, 500),
    st.lists(st.integers(1, 300), max_size=40),
    st.integers(1, 300),
)


@given(timelines, rates)
def test_every_output_frame_shows_the_nearest_source_frame_that_is_due(timeline: Timeline, fps: Fraction) -> None:
    n_frames = max(1, count_frames(timeline.seconds, fps=fps))
    indices = source_indices(timeline, fps=fps, n_frames=n_frames)
    times = [(stamp - timeline.stamps[0]) * timeline.unit for stamp in timeline.stamps]
    for output, chosen in enumerate(indices):
        distances = [abs(time - output / fps) for time in times if time <= (output + Fraction(1, 2)) / fps]
        assert chosen == distances.index(min(distances))  # index() gives the earliest of equals


@given(timelines, rates)
def test_order_is_kept_and_the_video_starts_with_its_first_frame(timeline: Timeline, fps: Fraction) -> None:
    indices = source_indices(timeline, fps=fps, n_frames=20)
    assert indices[0] == 0
    assert indices == sorted(indices)


@given(st.integers(1, 500), rates, st.integers(-100, 100))
def test_constant_rate_passes_through_untouched(n_frames: int, fps: Fraction, start: int) -> None:
    unit = 1 / (fps * 512)
    timeline = Timeline(stamps=tuple((start + i) * 512 for i in range(n_frames)), last_duration=512, unit=unit)
    assert count_frames(timeline.seconds, fps=fps) == n_frames
    assert source_indices(timeline, fps=fps, n_frames=n_frames) == list(range(n_frames))
    assert not timeline.is_variable
    assert timeline.average_fps == fps


@given(st.integers(2, 500), st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(60)]))
def test_stamps_rounded_to_milliseconds_are_no_variable_rate(n_frames: int, fps: Fraction) -> None:
    stamps = tuple(round(1000 * i / fps) for i in range(n_frames))
    timeline = Timeline(stamps=stamps, last_duration=round(1000 / fps), unit=Fraction(1, 1000))
    assert not timeline.is_variable
    assert source_indices(timeline, fps=fps, n_frames=n_frames) == list(range(n_frames))


def test_one_late_frame_is_a_variable_rate() -> None:
    timeline = Timeline(stamps=(0, 40, 80, 160, 200), last_duration=40, unit=Fraction(1, 1000))
    assert timeline.is_variable
    assert timeline.intervals() == (Fraction(1, 25), Fraction(2, 25))


def test_a_single_frame_has_a_duration_and_no_interval() -> None:
    timeline = Timeline(stamps=(7,), last_duration=40, unit=Fraction(1, 1000))
    assert timeline.seconds == Fraction(1, 25)
    assert timeline.intervals() == (Fraction(1, 25), Fraction(1, 25))
    assert not timeline.is_variable


@pytest.mark.parametrize(("seconds", "frames"), [("3.9995", 100), ("3.9994", 99), ("4", 100), ("0.0394", 0)])
def test_half_a_millisecond_is_forgiven(seconds: str, frames: int) -> None:
    assert count_frames(Fraction(seconds), fps=Fraction(25)) == frames


@given(st.integers(1, 10_000_000), st.sampled_from([8000, 16000, 44100, 48000]), rates)
def test_video_covers_the_audio_with_less_than_a_frame_to_spare(n_samples: int, rate: int, fps: Fraction) -> None:
    frames = frames_for_samples(n_samples, rate=rate, fps=fps)
    assert Fraction(frames - 1) / fps < Fraction(n_samples, rate) <= frames / fps


@given(st.integers(0, 100_000), st.sampled_from([8000, 16000, 44100]), rates)
def test_samples_of_frames_are_the_inverse(n_frames: int, rate: int, fps: Fraction) -> None:
    samples = samples_for_frames(n_frames, rate=rate, fps=fps)
    assert frames_for_samples(samples, rate=rate, fps=fps) == n_frames
