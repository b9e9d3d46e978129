"""Numbers against votes: planted agreement is found, directions are told apart, bad files are named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import record_factory
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.humans.published_votes import read_adth_qa, read_thqa
from emo_bench.humans.result import Estimate, Finding, QuestionEntry, ValidityResult, read_validity
from emo_bench.humans.validity import validate
from emo_bench.humans.validity_report import validity_figure, validity_markdown, write_validity_report
from emo_bench.humans.values import MeasuredValue, measures_of_values, read_measures
from emo_bench.humans.votes import PairVotes, Votes, read_votes, renamed
from emo_core.errors import ConfigError

SYSTEMS, CLIPS = ("ant", "bee", "cat"), tuple(f"clip-{index}" for index in range(12))


def votes_for(quality: dict[tuple[str, str], float], *, n_raters: int = 15) -> Votes:
    """Raters who see quality with noise."""
    generator = np.random.default_rng(0)
    pairs = []
    for clip in CLIPS:
        for first, a in enumerate(SYSTEMS):
            for b in SYSTEMS[first + 1 :]:
                noisy = quality[a, clip] - quality[b, clip] + generator.normal(size=n_raters)
                wins = float((noisy > 0).sum())
                pairs.append(PairVotes(question="head", clip=clip, a=a, b=b, for_a=wins, for_b=n_raters - wins))
    return Votes(name="planted", pairs=tuple(pairs))


def measured(name: str, values: dict[tuple[str, str], float], direction: str = "higher") -> list[MeasuredValue]:
    return [
        MeasuredValue(system=system, clip=clip, protocol=name, key="", label=name, direction=direction, value=value)  # type: ignore[arg-type]
        for (system, clip), value in values.items()
    ]


@pytest.fixture
def quality() -> dict[tuple[str, str], float]:
    generator = np.random.default_rng(1)
    return {(system, clip): 1.5 * place + generator.normal() for place, system in enumerate(SYSTEMS) for clip in CLIPS}


def test_a_perfect_number_reaches_the_raters_and_a_random_one_is_at_chance(
    quality: dict[tuple[str, str], float],
) -> None:
    noise = {key: float(value) for key, value in zip(quality, np.random.default_rng(2).normal(size=99), strict=False)}
    rows = measured("good", quality) + measured("backwards", quality, "lower") + measured("noise", noise)
    result = validate(votes_for(quality), measures_of_values(tuple(rows)), resamples=300)
    good, backwards, random = (item.agreement for item in result.findings)
    ceiling = result.question("head").ceiling
    assert good.value is not None
    assert ceiling.value is not None
    assert good.value >= ceiling.value - 0.02
    assert backwards.value == pytest.approx(1 - good.value)
    assert random.low is not None
    assert random.high is not None
    assert random.low < 0.5 < random.high
    assert good.n_units == len(CLIPS)
    assert result.findings[0].between.value == pytest.approx(1)
    assert (result.findings[0].within.value or 0) > 0.2


def test_closeness_to_the_truth_is_held_apart_from_the_raw_direction(quality: dict[tuple[str, str], float]) -> None:
    """A number that is best in the middle: more is not better, closer is."""
    sign = {key: (-1) ** index for index, key in enumerate(quality)}
    values = {key: 10 + sign[key] * (5 - value) for key, value in quality.items()}
    truth = {("ground-truth", clip): 10.0 for clip in CLIPS}
    rows = measured("motion", {**values, **truth}, "closer_to_gt")
    result = validate(votes_for(quality), measures_of_values(tuple(rows)), resamples=200)
    by_reading = {item.reading: item for item in result.findings}
    assert by_reading["closer"].declared
    assert not by_reading["higher"].declared
    assert (by_reading["closer"].agreement.value or 0) > 0.75
    assert (by_reading["higher"].agreement.value or 1) < 0.7


def test_a_value_of_a_whole_set_ranks_systems_only(tmp_path: Path, quality: dict[tuple[str, str], float]) -> None:
    rows = [
        MeasuredValue(system=name, clip="", protocol="fid", key="", label="FID", direction="lower", value=9.0 - place)
        for place, name in enumerate(SYSTEMS)
    ]
    (finding,) = validate(votes_for(quality), measures_of_values(tuple(rows)), resamples=200).findings
    assert finding.overall.status == finding.within.status == "not_applicable"
    assert finding.between.value == pytest.approx(1)
    assert (finding.agreement.value or 0) > 0.7


def test_a_run_is_held_against_a_file_of_votes(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=4, systems=("one", "two"), failing=0)
    folder = record_factory.write_run(run, tmp_path / "run")
    lines = ["question,clip,system_a,system_b,rater,choice"]
    lines += [
        f"lip,{clip.id},One,two,r{rater},{'a' if rater else 'b'}" for clip in run.record.clips for rater in range(4)
    ]
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
    arguments = ["validate-humans", str(folder), "--votes", str(tmp_path / "votes.csv"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--resamples", "100"])
    assert done.exit_code == 0, done.output
    assert "4 pairs of 4 sources, 16 votes by 4 raters" in done.output
    result = read_validity(tmp_path / "out" / "validity.json")
    assert {item.question for item in result.findings} == {"lip"}
    page = (tmp_path / "out" / "validity.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    again = write_validity_report(result, tmp_path / "again")
    assert all(path.read_bytes() == (tmp_path / "out" / path.name).read_bytes() for path in again)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no table of votes"),
        ("clip,system_a,system_b,rater,choice\n", "holds no lines"),
        ("clip,system_a,system_b,rater,choice\nc,x,y,r,left\n", "unknown choice"),
        ("clip,system_a,system_b,rater,choice\nc,x,y,r,a\nc,y,x,r,b\n", "stands there already"),
        ("clip,system_a,system_b,votes_a,votes_b\nc,x,y,3,-1\n", "votes_b"),
        ("clip,system_a,system_b,votes_a,votes_b\nc,x,y,3,1\nc,y,x,3,1\n", "stands there already"),
        ("clip,system,score\nc,x,nan\n", "no number"),
        ("clip,system,score\nc,x\n", "2 fields"),
    ],
)
def test_mistakes_in_votes_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_votes(tmp_path / "votes.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,system,score,score\nc,a,1,2\n", r"two columns have one name(?s:.*)'score'"),
        ("clip,system,score\n" + "c" * 200_000 + ",a,1\n", "is no CSV file"),
        ("clip,system_a,system_b,rater,choice\nc,x,y,r,a\nc,x,x,r,a\n", r"line 3: a pair of a system with itself"),
        ("clip,system_a,system_b,votes_a,votes_b\nc,x,x,1,2\n", r"line 2: a pair of a system with itself"),
        ("clip,unit,system,score\nc,ann,x,1\nc,bob,y,2\n", r"line 3: a clip with two units(?s:.*)'ann' and 'bob'"),
    ],
)
def test_tables_that_say_two_things_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_votes(tmp_path / "votes.csv")


def test_lines_may_end_as_on_old_machines(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_bytes(b"clip,system,score\rc,x,1\rd,x,2\r")
    assert [(item.clip, item.score) for item in read_votes(tmp_path / "votes.csv").scores] == [("c", 1), ("d", 2)]


def test_a_name_that_is_known_is_no_spelling_of_another(tmp_path: Path) -> None:
    def names(first: str, second: str, known: list[str]) -> list[str]:
        pair = PairVotes(question="", clip="c", a=first, b=second, for_a=1, for_b=0)
        return [name for item in renamed(Votes(name="v", pairs=(pair,)), known).pairs for name in (item.a, item.b)]

    assert names("v1-1", "v11", ["v11", "v1-1"]) == ["v1-1", "v11"]
    assert names("v1.1", "wav2lip+", ["v11", "wav2lip"]) == ["v1.1", "wav2lip+"]
    assert names("EMO_a", "x", ["emo-a", "emoa", "X"]) == ["EMO_a", "X"]


def test_ties_and_the_order_of_a_pair_do_not_matter(tmp_path: Path) -> None:
    head = "clip,system_a,system_b,rater,choice\n"
    (tmp_path / "one.csv").write_text(head + "c,x,y,r1,a\nc,x,y,r2,tie\n")
    (tmp_path / "two.csv").write_text(head + "c,y,x,r1,b\nc,y,x,r2,tie\n")
    one, two = (read_votes(tmp_path / name).pairs for name in ("one.csv", "two.csv"))
    assert one == two
    assert (one[0].for_a, one[0].for_b) == (1.5, 0.5)


def test_votes_and_values_without_a_common_clip_are_refused(quality: dict[tuple[str, str], float]) -> None:
    rows = measured("good", {("dog", "clip-0"): 1.0})
    with pytest.raises(ConfigError, match=r"share no clip.*(?s:.*)dog/clip-0"):
        validate(votes_for(quality), measures_of_values(tuple(rows)))


def test_all_ties_have_no_agreement(quality: dict[tuple[str, str], float]) -> None:
    pairs = [PairVotes(question="q", clip=clip, a="ant", b="bee", for_a=2, for_b=2) for clip in CLIPS]
    result = validate(
        Votes(name="ties", pairs=tuple(pairs)), measures_of_values(tuple(measured("good", quality))), resamples=100
    )
    (finding,) = result.findings
    assert finding.agreement.value is None
    assert finding.agreement.status == "undefined"
    assert "–" in validity_markdown(result)


def test_values_that_stand_there_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    path.write_text("system,clip,lse-d\nx,c,7.5\ny,c,8\nx,c,9\n")
    with pytest.raises(ConfigError, match=r"line 4: values that stand there already(?s:.*)x / c"):
        read_measures(path)


def test_a_table_of_values_says_which_columns_are_lower(tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    path.write_text("system,clip,lse-d,clip-iqa\nx,c,7.5,0.5\ny,c,8.5,\n")
    measures = read_measures(path, lower=("lse-d",))
    assert [(item.protocol, item.direction, len(item.values)) for item in measures] == [
        ("lse-d", "lower", 2),
        ("clip-iqa", "higher", 1),
    ]
    with pytest.raises(ConfigError, match="no column nothing"):
        read_measures(path, lower=("nothing",))


def test_adth_qa_is_read_as_published(tmp_path: Path) -> None:
    """A small file of the same form: a MATLAB cell array of names and counts."""
    import scipy.io

    for question in ("head", "lip", "render"):
        cells = np.empty((2, 5), dtype=object)
        cells[0] = ["wav2lip", "MakeitTalk", "May_May.mp4", 4, 11]
        cells[1] = ["wav2lip", "ADNerf", "Obama_Obama.mp4", 15, 0]
        scipy.io.savemat(tmp_path / f"{question}_summary.mat", {f"{question}_summary": cells})
    votes = read_adth_qa(tmp_path)
    assert votes.questions == ("head", "lip", "render")
    assert (votes.pairs[0].clip, votes.pairs[0].for_a, votes.pairs[0].for_b) == ("May_May", 4, 11)
    (tmp_path / "lip_summary.mat").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not as ADTH-QA published it"):
        read_adth_qa(tmp_path)


def test_thqa_is_read_as_published(tmp_path: Path) -> None:
    head = "Image,brisque,clipiqa+,Score"
    lines = [f"{image}_voice_en_7_{name},40.0,0.5,{image}.5" for image in (1, 2) for name in ("sad", "wavlip")]
    (tmp_path / "vvmf_results_a01.csv").write_text("\n".join([head, *lines]) + "\n")
    votes, values = read_thqa(tmp_path)
    assert votes.systems == {"sad", "wavlip"}
    assert votes.unit("2_voice_en_7") == "2"
    assert {item.protocol: item.direction for item in values} == {"brisque": "lower", "clipiqa+": "higher"}


@pytest.mark.skipif("EMO_BENCH_THQA" not in os.environ, reason="EMO_BENCH_THQA does not name a folder with THQA")
def test_the_shipped_finding_on_thqa_is_what_its_file_gives() -> None:
    votes, values = read_thqa(Path(os.environ["EMO_BENCH_THQA"]))
    result = validate(votes, measures_of_values(values), resamples=100)
    best = max(result.findings, key=lambda item: item.overall.value or -1)
    assert best.protocol == "clipiqa+"
    assert best.overall.value == pytest.approx(0.51, abs=0.005)


def test_the_figure_shows_every_correlation_and_a_ceiling_that_begins_at_zero() -> None:
    estimate = Estimate(value=-0.8, low=-0.9, high=-0.7, n=9, n_units=9)
    nothing = Estimate(value=None, status="not_applicable")
    entry = QuestionEntry(
        question="q", kind="scores", n_items=9, n_clips=9, n_units=9, n_votes=9, n_raters=3, n_tied=0,
        ceiling=Estimate(value=0.4, low=0.0, high=0.7, n=9, n_units=9),
    )  # fmt: skip
    finding = Finding(
        question="q", protocol="p", key="", label="p", reading="higher", declared=True, agreement=nothing,
        overall=estimate, within=nothing, between=nothing, n_systems=3,
    )  # fmt: skip
    result = ValidityResult(
        name="v", source="", level=0.95, resamples=100, questions=(entry,), findings=(finding,)
    )  # fmt: skip
    (axis,) = validity_figure(result).axes
    assert axis.get_xlim()[0] <= -0.9
    (band,) = [patch for patch in axis.patches if patch.get_width() > 0]
    assert (band.get_x(), band.get_width()) == (0.0, pytest.approx(0.7))
