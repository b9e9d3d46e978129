"""Studies without a browser: balance, blindness, known preferences recovered, bad input named and counted."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import record_factory
import scipy.stats
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.humans.study.answers import FORMAT, Tally, read_sheets
from emo_bench.humans.study.design import balanced_forms, items_of
from emo_bench.humans.study.key import Question, StudyKey, Trial, read_key
from emo_bench.humans.study.make import StudyPlan, make_study
from emo_bench.humans.study.power import power_of, votes_needed
from emo_bench.humans.study.raters import Rules
from emo_bench.humans.study.score import _pairs, score_study, votes_csv, write_scored
from emo_bench.humans.study.text import study_markdown
from emo_bench.humans.votes import read_votes
from emo_bench.record.run_data import load_run
from emo_bench.report import write_report
from emo_core.atomic import owner
from emo_core.errors import ConfigError
from emo_metrics.statistics.bradley_terry import Ballot

STRENGTH = {"ant-x": 1.5, "bee-x": 0.0, "cat-x": -1.5}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = record_factory.make_run(n_clips=2, systems=tuple(STRENGTH), anchors=("ground_truth",), failing=0)
    return record_factory.write_run(run, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def study(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "new"
    questions = (Question(key="lip", text="Whose lips fit?"), Question(key="head", text="Whose head is livelier?"))
    plan = StudyPlan(questions=questions, n_forms=6, per_form=6, n_checks=2, n_repeats=1, ties=True)
    make_study(load_run(run_folder), plan, folder, generator=np.random.default_rng(1))
    return folder


def sheet(key: StudyKey, rater: str, form: int, choose: Callable[[Trial, str], Any]) -> dict[str, Any]:
    """What the page would save for a rater."""
    votes = [
        {
            "trial": trial.id,
            "question": question.key,
            "choice": choose(trial, question.key),
            "left": trial.left,
            "right": trial.right,
            "seconds": 6.0,
            "plays": [1, 1],
        }
        for trial in key.forms[form]
        for question in key.questions
    ]
    head = {"format": FORMAT, "version": 1, "study": key.study, "rater": rater, "form": form, "complete": True}
    return {**head, "votes": votes, "n_votes": len(votes), "end": FORMAT}


def rater_who(key: StudyKey, seed: int) -> Callable[[Trial, str], str]:
    """Prefers by STRENGTH with a logistic chance, and passes attention checks."""
    generator = np.random.default_rng(seed)

    def choose(trial: Trial, question: str) -> str:
        left, right = key.media[trial.left], key.media[trial.right]
        if trial.check:
            return "right" if left.damaged else "left"
        gap = STRENGTH[left.system] - STRENGTH[right.system]
        return "left" if generator.random() < 1 / (1 + np.exp(-gap)) else "right"

    return choose


def write(folder: Path, name: str, data: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data))
    return path


def test_forms_are_balanced_in_systems_items_and_sides() -> None:
    systems, clips = ("a", "b", "c", "d"), tuple(f"c{index}" for index in range(10))
    items = items_of(systems, clips, pairs=True)
    assert len(items) == 60
    forms = balanced_forms(items, n_forms=12, per_form=30, n_repeats=2, generator=np.random.default_rng(0))
    shown = Counter(one.item for form in forms for one in form if not one.repeats)
    assert set(shown.values()) == {6}
    for form in forms:
        first = [one.item for one in form if not one.repeats]
        assert len(set(first)) == len(first) == 30
        assert set(Counter(item.systems for item in first).values()) == {5}
        assert sum(one.repeats for one in form) == 2
        for place, one in enumerate(form):
            if one.repeats:
                earlier = [other for other in form[:place] if other.item == one.item]
                assert [other.left for other in earlier] == [1 - one.left]
    sides = Counter((one.item, one.left) for form in forms for one in form if not one.repeats)
    assert all(abs(sides[item, 0] - sides[item, 1]) <= 1 for item in items)
    again = balanced_forms(items, n_forms=12, per_form=30, n_repeats=2, generator=np.random.default_rng(0))
    assert forms == again
    orders = {tuple(one.item for one in form) for form in forms}
    assert len(orders) == len(forms)


def test_nothing_handed_out_names_a_system_or_a_clip(study: Path, run_folder: Path) -> None:
    key = read_key(study)
    texts = [path.read_bytes() for path in (study / "page").rglob("*") if path.is_file()]
    names = [path.name for path in (study / "page").rglob("*")]
    for word in (*STRENGTH, *key.identities, *key.identities.values()):
        assert not any(word in name for name in names)
        quoted = f'"{word}"'.encode()
        assert not any(quoted in text or f">{word}<".encode() in text for text in texts)
    assert b"damaged" not in texts[0] + b"".join(texts)
    assert b"check" not in (study / "page" / "index.html").read_bytes().split(b'id="design"')[1].split(b"</script>")[0]
    times = {path.stat().st_mtime for path in (study / "page" / "media").iterdir()}
    assert len(times) == 1
    assert sum(path.stat().st_size for path in (study / "page").glob("*.html")) < 100_000


def test_a_study_in_progress_is_never_overwritten(study: Path, run_folder: Path) -> None:
    with pytest.raises(ConfigError, match="not empty"):
        make_study(load_run(run_folder), StudyPlan(), study, generator=np.random.default_rng(2))


def test_a_study_that_was_not_finished_is_made_again(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = load_run(run_folder), tmp_path / "new"
    folder.mkdir()

    def made(seed: int) -> StudyKey:
        return make_study(run, StudyPlan(n_checks=1), folder, generator=np.random.default_rng(seed))

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("emo_bench.humans.study.make.write_damaged", full)
    with pytest.raises(OSError, match="No space"):
        made(1)
    monkeypatch.undo()
    assert list(folder.iterdir()) == []
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    killed = folder / f".study.{owner().split('.')[0]}.{ended.pid}-0123abcd.tmp"
    (killed / "page" / "media").mkdir(parents=True)
    made(2)
    assert sorted(path.name for path in folder.iterdir()) == ["page", "study-key.json"]


def test_known_preferences_are_recovered(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    for number in range(60):
        write(tmp_path / "votes", f"r{number}", sheet(key, f"r{number}", number % 6, rater_who(key, number)))
    scored = score_study(key, [tmp_path / "votes"], resamples=200)
    for question in scored.result.questions:
        assert [item.system for item in question.strengths] == ["ant-x", "bee-x", "cat-x"]
        assert question.agreement is not None
        assert 0.6 < question.agreement < 0.9
        for item in question.strengths:
            assert item.value == pytest.approx(STRENGTH[item.system], abs=0.4)
            assert item.low is not None
            assert item.high is not None
            assert item.low < STRENGTH[item.system] + 0.3
            assert item.high > STRENGTH[item.system] - 0.3
        assert {(pair.a, pair.b): pair.verdict for pair in question.pairs} == {
            ("ant-x", "bee-x"): "a_better",
            ("ant-x", "cat-x"): "a_better",
            ("bee-x", "cat-x"): "a_better",
        }
    assert not scored.result.exclusions
    again = score_study(key, [tmp_path / "votes"], resamples=200)
    assert again.result == scored.result


def test_votes_join_the_run_its_report_and_validation(study: Path, run_folder: Path, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    key = read_key(study)
    for number in range(8):
        write(tmp_path / "votes", f"r{number}", sheet(key, f"r{number}", number % 6, rater_who(key, number)))
    done = CliRunner().invoke(
        app, ["study", "score", str(study), str(tmp_path / "votes"), "--run", str(run), "--resamples", "100"]
    )
    assert done.exit_code == 0, done.output
    data = load_run(run)
    assert [item.study for item in data.studies] == [key.study]
    assert not data.damage
    (text,) = write_report(data, formats=("md",), output=tmp_path / "report", figures=False)
    assert "Human study: Which clip is better?" in text.read_text()
    page, *_ = write_report(data, formats=("html",), output=tmp_path / "report", figures=False)
    assert "Whose lips fit?" in page.read_text()
    votes = read_votes(run / "studies" / f"{key.study}.votes.csv")
    assert votes.questions == ("head", "lip")
    assert votes.systems == set(STRENGTH)
    (run / "studies" / "broken.json").write_text("{")
    assert any("studies cannot be read" in note for note in load_run(run).notes)
    (run / "studies" / "broken.json").unlink()
    record_factory.write_run(record_factory.make_run(n_clips=3, systems=tuple(STRENGTH), failing=0), run)
    other = load_run(run)  # run again in the same folder, with other clips
    assert other.studies == ()
    assert any(key.study in note and "another record" in note for note in other.notes)


def test_no_vote_is_lost_or_counted_twice(study: Path, tmp_path: Path) -> None:
    """Every vote in every file is either counted or stands in a named exclusion."""
    key = read_key(study)
    folder = tmp_path / "votes"
    good = {name: sheet(key, name, 0, rater_who(key, 3)) for name in ("ann", "bob", "eve", "joe")}
    for name, data in good.items():
        write(folder, name, data)
    write(folder, "ann-again", good["ann"])
    other = sheet(key, "bob", 0, lambda trial, question: "tie")
    write(folder, "bob-conflict", {**other, "votes": other["votes"][:-1], "n_votes": len(other["votes"]) - 1})
    write(folder, "foreign", {**sheet(key, "zed", 0, rater_who(key, 4)), "study": "another"})
    strange = sheet(key, "kim", 1, rater_who(key, 5))
    strange["votes"][0]["trial"] = "nothing"
    strange["votes"][1]["left"] = "0" * 16
    strange["votes"][2]["question"] = "smell"
    strange["votes"][3]["choice"] = ["left"]
    strange["votes"].append(dict(strange["votes"][4]))
    strange["n_votes"] += 1
    write(folder, "kim", strange)
    text = json.dumps(sheet(key, "cut", 0, rater_who(key, 6)))
    (folder / "cut.json").write_text(text[: len(text) // 2])
    shortened = sheet(key, "short", 0, rater_who(key, 6))
    write(folder, "short", {**shortened, "votes": shortened["votes"][:3]})
    write(folder, "asleep", sheet(key, "asleep", 2, lambda trial, question: "left"))
    result = score_study(key, [folder], resamples=100).result
    kinds = Counter({entry.kind: entry.n_votes for entry in result.exclusions})
    assert {entry.kind for entry in result.exclusions} == {
        *("doubled", "conflicting", "other_study", "unknown_clip", "unknown_question", "impossible", "unreadable"),
        "rater",
    }
    assert kinds["other_study"] == len(good["ann"]["votes"])
    assert (kinds["unknown_question"], kinds["impossible"]) == (1, 1)
    checks = sum(trial.check or trial.repeats for trial in key.forms[0]) * len(key.questions)
    counted = sum(question.n_votes for question in result.questions)
    readable = sum(
        len(json.loads(path.read_text())["votes"]) for path in folder.glob("*.json") if path.name != "cut.json"
    )
    kept_checks = 4 * checks + sum(
        trial.check or trial.repeats
        for vote in strange["votes"][4:-1]
        for trial in key.forms[1]
        if trial.id == vote["trial"]
    )
    assert counted + kept_checks + sum(entry.n_votes for entry in result.exclusions) == readable
    assert "attention checks" in study_markdown(result)


def test_attention_checks_failed_by_all_is_an_error_with_reasons(study: Path, tmp_path: Path) -> None:
    key = read_key(study)

    def wrong(trial: Trial, question: str) -> str:
        if trial.check:
            return "left" if key.media[trial.left].damaged else "right"
        return "left"

    for name in ("ann", "bob"):
        write(tmp_path / "votes", name, sheet(key, name, 0, wrong))
    with pytest.raises(ConfigError, match=r"no rater .* is left(?s:.*)ann failed 2 of 2 attention checks"):
        score_study(key, [tmp_path / "votes"])


def test_two_studies_mixed_or_nothing_at_all_is_an_error(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    path = write(tmp_path / "votes", "zed", {**sheet(key, "zed", 0, rater_who(key, 4)), "study": "another"})
    with pytest.raises(ConfigError, match=r"no votes of study(?s:.*)another study"):
        score_study(key, [path])
    with pytest.raises(ConfigError, match="no file or folder"):
        score_study(key, [tmp_path / "none"])


def test_one_rater_and_all_ties_give_what_can_be_given(study: Path, tmp_path: Path) -> None:
    key = read_key(study)

    def tied(trial: Trial, question: str) -> str:
        return rater_who(key, 0)(trial, question) if trial.check else "tie"

    result = score_study(key, [write(tmp_path / "votes", "ann", sheet(key, "ann", 0, tied))], resamples=100).result
    assert any("One rater only" in note for note in result.notes)
    for question in result.questions:
        assert question.agreement is None
        assert [item.value for item in question.strengths] == pytest.approx([0, 0, 0], abs=1e-6)
        assert {pair.verdict for pair in question.pairs} <= {"tie", "undefined"}
    assert all(rater.consistency == 1.0 for rater in result.raters)


def test_ratings_are_averaged_and_repeated_in_votes(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    plan = StudyPlan(kind="rating", n_forms=3, per_form=6, n_checks=1, n_repeats=0)
    key = make_study(load_run(run_folder), plan, folder, generator=np.random.default_rng(3))
    level = {"ant-x": 5, "bee-x": 3, "cat-x": 2}

    def rate(trial: Trial, question: str) -> int:
        media = key.media[trial.left]
        return 1 if media.damaged else level[media.system]

    for number in range(4):
        write(tmp_path / "votes", f"r{number}", sheet(key, f"r{number}", number % 3, rate))
    scored = score_study(key, [tmp_path / "votes"], resamples=100)
    (question,) = scored.result.questions
    assert {item.system: item.value for item in question.strengths} == level
    assert question.agreement == pytest.approx(1)
    (tmp_path / "votes.csv").write_text(votes_csv(scored))
    assert {item.system: item.score for item in read_votes(tmp_path / "votes.csv").scores} == level
    assert len(write_scored(scored, tmp_path / "out")) == 2


def test_power_is_exact_and_enough_votes_are_enough() -> None:
    for n, share in ((30, 0.7), (101, 0.6)):
        counts = np.arange(n + 1)
        p = np.array([scipy.stats.binomtest(int(k), n).pvalue for k in counts])
        exact = scipy.stats.binom.pmf(counts[p <= 0.05], n, share).sum()
        assert power_of(n, share, alpha=0.05) == pytest.approx(exact)
    for share in (0.6, 0.75):
        n = votes_needed(share)
        assert all(power_of(m, share, alpha=0.05) >= 0.8 for m in range(n, n + 40))
        assert power_of(n - 1, share, alpha=0.05) < 0.8
    with pytest.raises(ValueError, match="share"):
        votes_needed(0.5)


def test_differences_that_need_too_many_votes_are_named() -> None:
    done = CliRunner().invoke(app, ["study", "power", "--systems", "30", "--power", "0.99"])
    assert done.exit_code == 0, done.output
    assert "| 0.52 | 0.08 | more than 20,000 | – |" in done.output
    assert "| 0.90 |" in done.output


def test_the_commands_say_what_is_wrong(run_folder: Path, tmp_path: Path) -> None:
    def ask(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["study", *arguments])

    assert "not a question" not in ask("power", "--systems", "3").output
    assert "votes per pair" in ask("power", "--systems", "3", "-o", str(tmp_path / "power")).output
    assert (tmp_path / "power" / "power.svg").is_file()
    for arguments, message in (
        (["make", str(run_folder), "-o", str(tmp_path / "a"), "-q", "lip"], "KEY=TEXT"),
        (["make", str(run_folder), "-o", str(tmp_path / "a"), "-s", "nobody"], "nobody"),
        (["make", str(run_folder), "-o", str(tmp_path / "a"), "-s", "ant-x"], "at least 2 systems"),
        (["score", str(tmp_path / "no"), str(tmp_path)], "no key"),
    ):
        assert message in str(ask(*arguments).exception)
    made = ask("make", str(run_folder), "-o", str(tmp_path / "b"), "--per-form", "2", "--checks", "0")
    assert made.exit_code == 0, made.output
    assert "never hand it out" in made.output


def test_a_second_answer_on_a_pair_is_no_second_vote(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    again = sum(trial.repeats for trial in key.forms[0])
    judged = sum(not trial.check for trial in key.forms[0])
    assert again
    write(tmp_path, "ann", sheet(key, "ann", 0, rater_who(key, 3)))
    scored = score_study(key, [tmp_path], resamples=100)
    for question in scored.result.questions:
        assert question.n_votes == sum(pair.n_votes for pair in question.pairs) == judged - again
    assert scored.result.raters[0].consistency is not None


def test_few_votes_that_all_agree_are_no_verdict(study: Path, tmp_path: Path) -> None:
    """All resamples of two equal votes are equal, and two votes agree by chance half of the time."""
    key = read_key(study)

    def best(trial: Trial, question: str) -> str:
        if trial.check:
            return "right" if key.media[trial.left].damaged else "left"
        left, right = (STRENGTH[key.media[name].system] for name in (trial.left, trial.right))
        return "left" if left > right else "right"

    def verdicts(name: str, n_raters: int) -> set[str]:
        for number in range(n_raters):
            write(tmp_path / name, f"r{number}", sheet(key, f"r{number}", number % 6, best))
        scored = score_study(key, [tmp_path / name], resamples=100, rules=Rules(one_sided=1.1))
        pairs = [pair for question in scored.result.questions for pair in question.pairs]
        assert all(pair.share_a in (0.0, 1.0) for pair in pairs)
        return {pair.verdict for pair in pairs}

    assert verdicts("few", 2) <= {"tie", "undefined"}
    assert verdicts("many", 18) == {"a_better"}


def test_with_many_pairs_there_are_enough_draws_for_their_tails() -> None:
    """Of 28 pairs each end has less than a thousandth beyond it, which five hundred draws cannot tell."""
    generator = np.random.default_rng(0)
    n_systems, n_votes = 8, 3000
    first = generator.integers(n_systems, size=n_votes)
    second = (first + generator.integers(1, n_systems, size=n_votes)) % n_systems
    rater = generator.integers(12, size=n_votes)
    taste = generator.normal(size=(12, n_systems))  # raters differ, so resamples of them do
    swap = taste[rater, second] > taste[rater, first]
    ballot = Ballot(
        systems=tuple("abcdefgh"),
        winner=np.where(swap, second, first),
        loser=np.where(swap, first, second),
        weight=np.ones(n_votes),
        rater=rater,
        clip=np.zeros(n_votes, dtype=np.intp),
    )

    def widths(resamples: int) -> list[float]:
        made = _pairs(ballot, level=0.95, resamples=resamples, generator=np.random.default_rng(1))
        assert len(made) == 28
        return [float(item.high or 0) - float(item.low or 0) for item in made]

    assert widths(100) == widths(500) == widths(2000)


@pytest.mark.parametrize("rater", ["\ud800", "=cmd()", "<b>x</b>", ["ann"], "", 7])
def test_a_code_that_the_page_gives_nobody_is_no_rater(study: Path, tmp_path: Path, rater: Any) -> None:
    key = read_key(study)
    write(tmp_path / "votes", "ann", sheet(key, "ann", 0, rater_who(key, 0)))
    write(tmp_path / "votes", "odd", {**sheet(key, "ann", 1, rater_who(key, 0)), "rater": rater})
    scored = score_study(key, [tmp_path / "votes"], resamples=100)
    assert [entry.kind for entry in scored.result.exclusions] == ["no_rater"]
    write_scored(scored, tmp_path / "scored")


@pytest.mark.parametrize("seconds", [10**400, float("nan"), float("inf"), None, "6"])
def test_times_that_are_none_count_as_no_time(study: Path, tmp_path: Path, seconds: Any) -> None:
    key = read_key(study)
    hasty = sheet(key, "eve", 1, rater_who(key, 0))
    write(tmp_path / "votes", "ann", sheet(key, "ann", 0, rater_who(key, 0)))
    write(tmp_path / "votes", "eve", {**hasty, "votes": [{**vote, "seconds": seconds} for vote in hasty["votes"]]})
    result = score_study(key, [tmp_path / "votes"], resamples=100).result
    assert "answered within 0.0 s" in {rater.rater: rater.excluded for rater in result.raters}["eve"]


def test_votes_on_clips_that_could_not_be_played_do_not_count(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    data = sheet(key, "ann", 0, rater_who(key, 3))
    first = key.forms[0][0].id
    for vote in data["votes"]:
        if vote["trial"] == first:
            vote["plays"] = [1, 0]
    scored = score_study(key, [write(tmp_path / "votes", "ann", data)], resamples=100)
    lost = {entry.kind: entry.n_votes for entry in scored.result.exclusions}
    assert lost == {"unseen": len(key.questions)}
    assert not any(vote.trial.id == first for vote in scored.votes)


def test_a_question_that_is_no_text_was_not_asked(study: Path, tmp_path: Path) -> None:
    key = read_key(study).model_copy(update={"questions": (Question(key="1", text="Which?"),)})
    data = sheet(key, "ann", 0, rater_who(key, 3))
    for vote in data["votes"][:2]:
        vote["question"] = 1
    scored = score_study(key, [write(tmp_path / "votes", "ann", data)], resamples=100)
    assert {entry.kind: entry.n_votes for entry in scored.result.exclusions} == {"unknown_question": 2}


def test_a_system_that_is_named_twice_is_shown_once(run_folder: Path, tmp_path: Path) -> None:
    plan = StudyPlan(systems=("bee-x", "ant-x", "ant-x"), n_forms=1)
    key = make_study(load_run(run_folder), plan, tmp_path / "new", generator=np.random.default_rng(2))
    assert key.systems == ("ant-x", "bee-x")
    assert all(key.media[t.left].system != key.media[t.right].system or t.check for t in key.forms[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"study": "../../outside"}, "study"),
        ({"media": {}}, "which is none of the media"),
    ],
)
def test_a_key_that_was_changed_is_refused(study: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    values = json.loads((study / "study-key.json").read_text())
    path = tmp_path / "study-key.json"
    path.write_text(json.dumps({**values, **change}))
    with pytest.raises(ConfigError, match=rf"is no key of a study(?s:.*){words}"):
        read_key(path)


def test_an_outcome_joins_only_the_run_that_was_asked_about(study: Path, run_folder: Path, tmp_path: Path) -> None:
    """Also where the key or the run has no digest."""
    key = read_key(study)
    votes = write(tmp_path / "votes", "ann", sheet(key, "ann", 0, rater_who(key, 3)))
    other = record_factory.make_run(name="other", n_clips=2, systems=tuple(STRENGTH), failing=0)
    folder = record_factory.write_run(other, tmp_path / "other")
    unsealed = tmp_path / "study-key.json"
    unsealed.write_text(key.model_copy(update={"record": ""}).model_dump_json())
    for path in (study, unsealed):
        done = CliRunner().invoke(app, ["study", "score", str(path), str(votes), "--run", str(folder)])
        assert isinstance(done.exception, ConfigError)
        assert "made from another record" in str(done.exception)
    assert not (folder / "studies").exists()


def test_a_file_nested_without_end_is_unreadable(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    write(tmp_path / "votes", "ann", sheet(key, "ann", 0, rater_who(key, 0)))
    (tmp_path / "votes" / "deep.json").write_text("[" * 200_000)
    result = score_study(key, [tmp_path / "votes"], resamples=100).result
    assert [entry.kind for entry in result.exclusions] == ["unreadable"]


def test_of_equally_full_files_of_a_rater_the_last_saved_counts(study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    names = ("votes-x-ann", "votes-x-ann (1)", "votes-x-ann (2)")  # as browsers name them
    for minute, (name, side) in enumerate(zip(names, ("left", "right", "tie"), strict=True)):
        given = sheet(key, "ann", 0, lambda trial, question, side=side: side)
        write(tmp_path, name, {**given, "saved": f"2026-01-05T10:0{minute}:00.000Z"})
    tally = Tally()
    (kept,) = read_sheets([tmp_path], key, tally)
    assert {vote.choice for vote in kept.votes} == {"tie"}
    assert [entry.kind for entry in tally.entries] == ["conflicting", "conflicting"]
