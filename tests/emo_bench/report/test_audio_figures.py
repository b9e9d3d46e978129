"""Lag curves have the sign of the protocols' offset; traces lie under the audio of the real clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.record.run_data import RunData, Series
from emo_bench.report import load_run
from emo_bench.report.figures import make_figures
from emo_bench.report.figures_clips import MOUTH_LOUDNESS, mean_curve, mouth_and_loudness

FPS, FRAMES = 25.0, 100


def spoken(*, mouth_late: int, clip: str = "clip-00", system: str = "one") -> list[Series]:
    """Loudness of random syllables, and a mouth that follows them so many frames later."""
    noise = np.random.default_rng(7).random(FRAMES + 40)
    loud = np.convolve(noise, np.ones(3) / 3, mode="same")[20 : 20 + FRAMES]
    mouth = np.convolve(noise, np.ones(3) / 3, mode="same")[20 - mouth_late : 20 - mouth_late + FRAMES]
    values = (("mouth_opening", mouth), ("loudness_db", 20 * np.log10(loud + 1e-3)))
    return [Series(system, clip, 0, name, FPS, tuple(v.tolist())) for name, v in values]


def base(series: list[Series]) -> RunData:
    run = record_factory.make_run(n_clips=2, systems=("one",), anchors=("ground_truth",), failing=0)
    return dataclasses.replace(run, series=tuple(series))


@pytest.mark.parametrize("mouth_late", [-6, -1, 0, 3, 8])
def test_the_peak_is_where_the_mouth_comes_after_the_sound(mouth_late: int) -> None:
    (curve,) = mouth_and_loudness(base(spoken(mouth_late=mouth_late)))
    assert curve.name == MOUTH_LOUDNESS
    assert int(np.nanargmax(curve.values)) - len(curve.values) // 2 == mouth_late


@pytest.mark.parametrize("mouth_late", [-4, 5])
def test_the_figure_shows_early_sound_at_the_right(mouth_late: int) -> None:
    (figure,) = make_figures(base(spoken(mouth_late=mouth_late)), names=("lag-curves",))
    axis = figure.figure.axes[0]
    dots = [line.get_xdata()[0] for line in axis.get_lines() if line.get_marker() == "o"]
    assert dots == [mouth_late]
    assert axis.get_xlabel() == "← audio late    offset (frames)    audio early →"
    assert "positive offset" in figure.caption


def test_late_sound_has_the_sign_of_the_protocol() -> None:
    from emo_metrics.signals.sync_curve import sync_scores

    # Sound that comes three windows late fits best at lag +3 of the distances: the offset is -3.
    distances = np.full((50, 31), 10.0)
    distances[:, 18] = 4.0
    offset = sync_scores(distances).offset
    (curve,) = mouth_and_loudness(base(spoken(mouth_late=-3)))
    assert int(np.nanargmax(curve.values)) - len(curve.values) // 2 == offset == -3


def test_curves_that_were_stored_are_shown_as_they_are() -> None:
    curve = tuple(float(-abs(lag - 4)) for lag in range(-10, 11))
    stored = [Series("one", clip, 0, "lag:sync/synth@1", FPS, curve) for clip in ("clip-00", "clip-01")]
    (figure,) = make_figures(base([*stored, *spoken(mouth_late=2)]), names=("lag-curves",))
    assert [axis.get_title(loc="left") for axis in figure.figure.axes] == ["mouth and loudness", "sync/synth@1"]
    dots = [line.get_xdata()[0] for axis in figure.figure.axes for line in axis.get_lines() if line.get_marker() == "o"]
    assert dots == [2, 4]


def test_a_mouth_that_never_moves_has_no_curve() -> None:
    still = [dataclasses.replace(s, values=(0.1,) * FRAMES) if s.name == "mouth_opening" else s
             for s in spoken(mouth_late=0)]  # fmt: skip
    assert mouth_and_loudness(base(still)) == []
    assert make_figures(base(still), names=("lag-curves",)) == []


def test_the_mean_is_over_what_is_known() -> None:
    mean = mean_curve([(1.0, float("nan"), 3.0), (3.0, float("nan"), float("nan"))])
    assert mean is not None
    np.testing.assert_array_equal(mean, [2.0, np.nan, 3.0])
    assert mean_curve([]) is None
    assert mean_curve([(float("nan"),)]) is None


def test_traces_have_the_waveform_of_the_real_clip(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, systems=("one",), anchors=("ground_truth",), failing=0)
    folder = record_factory.write_run(run, tmp_path)
    loaded = load_run(folder)
    (figure,) = make_figures(loaded, names=("traces",))
    axes = figure.figure.axes
    assert [axis.get_ylabel() for axis in axes] == ["audio", "mouth opening", "yaw (°)", "pitch (°)"]
    outline = axes[0].collections[0].get_paths()[0].vertices
    assert outline[:, 0].max() == pytest.approx(2.0, abs=0.1)  # the previews last two seconds
    assert outline[:, 1].max() == pytest.approx(1.0)
    # Without its sound the loudness is shown, and without both the traces alone.
    (quiet,) = make_figures(dataclasses.replace(loaded, previews=()), names=("traces",))
    assert quiet.figure.axes[0].get_ylabel() == "audio"
    silent = tuple(s for s in loaded.series if s.name != "loudness_db")
    (bare,) = make_figures(dataclasses.replace(loaded, previews=(), series=silent), names=("traces",))
    assert [axis.get_ylabel() for axis in bare.figure.axes] == ["mouth opening", "yaw (°)", "pitch (°)"]
    assert "over time" in bare.caption


def test_what_there_is_no_room_for_is_counted() -> None:
    curve = tuple(float(-abs(lag)) for lag in range(-10, 11))
    stored = [Series("one", "clip-00", 0, f"lag:sync/{name}@1", FPS, curve) for name in "abcd"]
    (figure,) = make_figures(base(stored), names=("lag-curves",))
    assert len(figure.figure.axes) == 3
    assert figure.caption.endswith("There is room for 3 of the 4 kinds of such curves.")
    systems = tuple(f"system-{number}" for number in range(7))
    run = record_factory.make_run(n_clips=2, systems=systems, anchors=("ground_truth", "frozen"), failing=0)
    (traces,) = make_figures(run, names=("traces",))
    assert traces.caption.endswith("There is room for 5 of the 7 systems.")
    (all_shown,) = make_figures(base(spoken(mouth_late=0)), names=("traces",))
    assert "room" not in all_shown.caption
