"""Figures of frames: each is there when the run has what it needs, and only then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.data.manifest import ManifestEntry
from emo_bench.media.recipe import LosslessFrames
from emo_bench.record.clip_facts import ClipFacts, read_clip_facts, write_clip_facts
from emo_bench.record.run_data import RunData
from emo_bench.report import load_run
from emo_bench.report.figure_style import NamedFigure
from emo_bench.report.figures import make_figures
from emo_bench.report.figures_frames import BOX_COLOUR, telling_frame
from emo_bench.report.frame_images import evenly, shots, with_box
from emo_bench.runner.clip_facts import facts_of
from emo_bench.systems.clip_store import Sidecar

FRAMES = ("method-by-time", "styles", "face-regions", "steps")
BOX = (0.25, 0.2, 0.75, 0.8)


def with_steps(run: RunData, steps: dict[str, int], **extra: object) -> RunData:
    systems = tuple(
        s.model_copy(update={"options": {"steps": steps[s.name], "sampler": "ddim", **extra}}) if s.name in steps else s
        for s in run.record.systems
    )
    return dataclasses.replace(run, record=run.record.model_copy(update={"systems": systems}))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """Two systems that differ in their steps, on clips of two kinds of portraits with face boxes."""
    run = record_factory.make_run(n_clips=3, systems=("few", "many"), anchors=("ground_truth", "frozen"), failing=0)
    folder = record_factory.write_run(with_steps(run, {"few": 4, "many": 40}), tmp_path_factory.mktemp("rich"))
    write_clip_facts(folder, [ClipFacts("clip-00", "photo", BOX), ClipFacts("clip-01", "sketch", BOX)])
    return load_run(folder)


def labels(figure: NamedFigure) -> tuple[list[str], list[str]]:
    axis = figure.figure.axes[0]
    return (
        [label.get_text() for label in axis.get_xticklabels()],
        [label.get_text() for label in axis.get_yticklabels()],
    )


def test_all_frame_figures_of_a_run_that_has_everything(rich: RunData) -> None:
    drawn = {figure.name: labels(figure) for figure in make_figures(rich, names=FRAMES)}
    assert drawn["method-by-time"][0][0] == "0.00 s"
    assert drawn["method-by-time"][1] == ["ground-truth", "frozen", "few", "many"]
    assert drawn["styles"] == (["ground-truth", "few", "many"], ["photo", "sketch"])
    assert drawn["face-regions"] == (["clip-00", "clip-01"], ["ground-truth", "few", "many"])
    assert drawn["steps"] == (["4 steps", "40 steps", "ground truth"], ["clip-00", "clip-01"])


def test_one_system_is_shown_over_time_in_each_style(rich: RunData) -> None:
    one = tuple(system for system in rich.record.systems if system.name != "many")
    run = dataclasses.replace(rich, record=rich.record.model_copy(update={"systems": one}))
    (figure,) = make_figures(run, names=("styles",))
    assert labels(figure) == (["0 %", "17 %", "33 %", "50 %", "67 %", "83 %", "100 %"], ["photo", "sketch"])
    assert "by few" in figure.caption


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ((), ["method-by-time", "steps"]),
        ((ClipFacts("clip-00", "photo"), ClipFacts("clip-01", "photo")), ["method-by-time", "steps"]),
        ((ClipFacts("clip-00", "", BOX),), ["method-by-time", "face-regions", "steps"]),
        ((ClipFacts("elsewhere", "photo", BOX), ClipFacts("clip-00", "sketch")), ["method-by-time", "steps"]),
    ],
)
def test_a_figure_without_its_data_is_left_out(rich: RunData, facts: tuple[ClipFacts, ...], left: list[str]) -> None:
    run = dataclasses.replace(rich, facts=facts)
    assert [figure.name for figure in make_figures(run, names=FRAMES)] == left


def test_without_previews_there_is_no_figure_of_frames(rich: RunData) -> None:
    assert make_figures(dataclasses.replace(rich, previews=()), names=FRAMES) == []


def test_systems_that_differ_in_more_than_steps_make_no_strip(rich: RunData) -> None:
    other = rich.record.systems[-1].model_copy(update={"options": {"steps": 40, "sampler": "unipc"}})
    run = dataclasses.replace(
        rich, record=rich.record.model_copy(update={"systems": (*rich.record.systems[:-1], other)})
    )
    assert make_figures(run, names=("steps",)) == []


def test_systems_that_failed_on_a_clip_leave_their_place_empty(rich: RunData) -> None:
    fewer = tuple(p for p in rich.previews if (p.system, p.clip) != ("few", "clip-01"))
    names = [figure.name for figure in make_figures(dataclasses.replace(rich, previews=fewer), names=FRAMES)]
    assert names == list(FRAMES)


def test_damaged_previews_leave_out_all_figures_of_frames(rich: RunData, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    previews = tuple(dataclasses.replace(preview, path=broken) for preview in rich.previews)
    assert make_figures(dataclasses.replace(rich, previews=previews), names=FRAMES) == []


def test_the_telling_frame_is_where_the_real_mouth_is_widest(rich: RunData) -> None:
    trace = next(s for s in rich.series if (s.system, s.clip, s.name) == ("ground-truth", "clip-00", "mouth_opening"))
    assert telling_frame(rich, "clip-00") == int(np.argmax(trace.values))
    assert telling_frame(dataclasses.replace(rich, series=()), "clip-00") is None


def test_frames_come_from_where_they_are_asked_for(rich: RunData) -> None:
    path = rich.previews[0].path
    every = shots(path, lambda frames: range(frames))
    some = shots(path, evenly(3))
    assert [shot.seconds for shot in some] == pytest.approx([0.0, every[-1].seconds / 2, every[-1].seconds], abs=0.04)
    np.testing.assert_array_equal(some[2].image, every[-1].image)
    assert len(shots(path, lambda frames: [frames + 10])) == 1


def test_a_box_is_drawn_where_it_is_and_the_rest_is_darker() -> None:
    picture = np.full((96, 96, 3), 200, dtype=np.uint8)
    shown = with_box(picture, BOX, BOX_COLOUR)
    assert tuple(shown[20, 24]) == tuple(shown[75, 71]) == BOX_COLOUR
    assert tuple(shown[48, 48]) == (200, 200, 200)
    assert tuple(shown[5, 5]) == (90, 90, 90)
    assert tuple(picture[5, 5]) == (200, 200, 200)


def test_a_box_at_the_edge_and_beyond_is_cut() -> None:
    picture = np.full((8, 8, 3), 200, dtype=np.uint8)
    assert with_box(picture, (0.0, 0.0, 1.0, 1.0), BOX_COLOUR).shape == (8, 8, 3)
    assert with_box(picture, (-3.0, 0.5, 7.0, 9.0), BOX_COLOUR).shape == (8, 8, 3)


def side(width: int, height: int, source: tuple[int, int] = (0, 0)) -> Sidecar:
    return Sidecar(
        key="k", frames=LosslessFrames(name="0" * 64), audio="0" * 64, audio_rate=16000,
        video_sha256="0", audio_sha256="0", width=width, height=height, fps="25", n_frames=9,
        source_width=source[0], source_height=source[1], notes=(), seconds=0.1,
    )  # fmt: skip


def entry(box: tuple[float, float, float, float] | None, **meta: object) -> ManifestEntry:
    return ManifestEntry(id="a", video="a.avi", identity="p", face_box=box, sha256={"video": "0" * 64}, meta=dict(meta))


def test_facts_follow_the_frame_that_is_shown() -> None:
    assert facts_of(entry((10.0, 20.0, 30.0, 40.0), style="photo"), side(100, 200)) == ClipFacts(
        "a", "photo", (0.1, 0.1, 0.3, 0.2)
    )
    # A wide source is cut to the middle square, as the frames are.
    moved = facts_of(entry((100.0, 50.0, 200.0, 150.0)), side(100, 100, (400, 200)))
    assert moved.face_box == pytest.approx((0.0, 0.25, 0.5, 0.75))
    assert facts_of(entry(None), side(100, 100)).face_box is None
    assert facts_of(entry((90.0, 10.0, 90.0, 20.0)), side(100, 100)).face_box is None


def test_facts_come_back_as_they_were_written_and_wrong_boxes_are_left_out(tmp_path: Path) -> None:
    facts = [ClipFacts("a", "<b>", BOX), ClipFacts("b")]
    path = write_clip_facts(tmp_path, facts)
    assert list(read_clip_facts(path)) == facts
    wrong = [{"clip": "a", "style": None, "face_box": [0, 0, 1]}, {"clip": "b", "face_box": [0.9, 0.1, 0.2, 0.3]}]
    path.write_text(json.dumps(wrong))
    assert list(read_clip_facts(path)) == [ClipFacts("a"), ClipFacts("b")]


def test_unreadable_facts_cost_only_themselves(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    folder = record_factory.write_run(run, tmp_path, previews=False)
    (folder / "clips.json").write_text('[{"style": 1}]')
    loaded = load_run(folder)
    assert loaded.facts == ()
    assert any("clips.json cannot be read" in note for note in loaded.notes)
