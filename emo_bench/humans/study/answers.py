"""Reads the files that raters sent: every vote either counts or is among the counted, named exclusions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo_bench.humans.study.key import KEY_FILE, SCALE, StudyKey, Trial
from emo_bench.record.human_study import ExclusionEntry
from emo_bench.record.limits import read_bytes
from emo_core.errors import ConfigError, RecordError

FORMAT = "emo-bench-votes"
MAX_FILE_BYTES = 8 << 20
MAX_FILES = 5000
RATER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Codes that the page lets raters have, so that a code is text wherever it is shown."""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One answer of one rater.

    Attributes:
        rater: Code of the rater.
        trial: What was shown.
        question: What was asked.
        choice: ``left``, ``right`` or ``tie``; or a step of the scale.
        seconds: From the screen's appearance to the answer.
    """

    rater: str
    trial: Trial
    question: str
    choice: str | int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What one rater sent.

    Attributes:
        rater: Code of the rater.
        form: Which form.
        complete: Whether every screen was answered.
        votes: The answers that fit the key.
        file: Name of the file.
        saved: When the page saved it, as it wrote it; empty when the file does not say.
    """

    rater: str
    form: int
    complete: bool
    votes: tuple[Vote, ...]
    file: str
    saved: str = ""


@dataclass
class Tally:
    """Exclusions as they are found."""

    entries: list[ExclusionEntry] = field(default_factory=list)

    def add(self, kind: str, n_votes: int, where: str, reason: str) -> None:
        """Notes votes that do not count."""
        if n_votes or kind in ("unreadable", "empty"):
            self.entries.append(ExclusionEntry(kind=kind, n_votes=n_votes, where=where, reason=reason))


def read_sheets(places: Sequence[Path], key: StudyKey, tally: Tally) -> tuple[Sheet, ...]:
    """All sheets of this study from files and folders.

    Files of another study, unreadable or cut off, unknown screens and clips, answers that cannot be given, answers on
    clips that could not be played, and answers that are there twice are left out and noted; a rater who sent a file
    twice counts once.

    Args:
        places: Files, or folders with ``*.json``.
        key: The key of the study.
        tally: Takes the exclusions.

    Raises:
        ConfigError: when a place does not exist, or no file belongs to the study.
    """
    paths = _files(places)
    sheets = [sheet for path in paths if (sheet := _sheet(path, key, tally)) is not None]
    if not sheets:
        found = "; ".join(f"{entry.where}: {entry.reason}" for entry in tally.entries[:5]) or "no files"
        raise ConfigError(f"no votes of study {key.study}", expected="files that its page saved", found=found)
    return _one_for_each_rater(sheets, tally)


def _files(places: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(place.glob("*.json"))
        elif place.is_file():
            found.append(place)
        else:
            raise ConfigError(f"no file or folder {place}", expected="files of votes, or a folder of them")
    paths = [path for path in dict.fromkeys(found) if path.name != KEY_FILE]
    if len(paths) > MAX_FILES:
        raise ConfigError("too many files of votes", expected=f"at most {MAX_FILES}", found=str(len(paths)))
    return paths


def _sheet(path: Path, key: StudyKey, tally: Tally) -> Sheet | None:
    name = path.name
    try:
        data = json.loads(read_bytes(path, MAX_FILE_BYTES))
    except (ValueError, RecursionError, RecordError) as error:
        tally.add("unreadable", 0, name, f"cut off or no JSON ({type(error).__name__}); ask for the file again")
        return None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("votes"), list):
        tally.add("unreadable", 0, name, "not a file that the page of a study saved")
        return None
    answers = data["votes"]
    if data.get("end") != FORMAT or data.get("n_votes") != len(answers):
        tally.add("unreadable", len(answers), name, "the file was changed or cut off; ask for it again")
        return None
    if data.get("study") != key.study:
        tally.add("other_study", len(answers), name, f"votes of another study, {str(data.get('study'))[:40]!r}")
        return None
    form = data.get("form")
    if not isinstance(form, int) or isinstance(form, bool) or not 0 <= form < len(key.forms):
        tally.add("unknown_form", len(answers), name, f"the study has no form {form!r}")
        return None
    rater = data.get("rater")
    if not isinstance(rater, str) or not RATER.fullmatch(rater):
        tally.add("no_rater", len(answers), name, "the file names no rater by a code that the page gives")
        return None
    votes = _fitting(answers, rater, key, form, name, tally)
    saved = data.get("saved")
    return Sheet(
        rater=rater,
        form=form,
        complete=data.get("complete") is True,
        votes=votes,
        file=name,
        saved=saved if isinstance(saved, str) else "",
    )


def _fitting(answers: Sequence[Any], rater: str, key: StudyKey, form: int, name: str, tally: Tally) -> tuple[Vote, ...]:
    trials = {trial.id: trial for trial in key.forms[form]}
    asked = {question.key for question in key.questions}
    allowed: set[Any] = {"left", "right", *(("tie",) if key.ties else ())} if key.kind == "pairs" else set(SCALE)
    kept: dict[tuple[str, str], Vote] = {}
    lost = {"unknown_clip": 0, "unknown_question": 0, "impossible": 0, "unseen": 0, "doubled": 0}
    for answer in answers:
        trial = trials.get(str(answer.get("trial"))) if isinstance(answer, Mapping) else None
        if trial is None or (answer.get("left"), answer.get("right") or "") != (trial.left, trial.right):
            lost["unknown_clip"] += 1
        elif not isinstance(answer.get("question"), str) or answer["question"] not in asked:
            lost["unknown_question"] += 1
        elif type(answer.get("choice")) not in (str, int) or answer["choice"] not in allowed:
            lost["impossible"] += 1
        elif 0 in _plays(answer.get("plays")):
            lost["unseen"] += 1
        elif (trial.id, answer["question"]) in kept:
            lost["doubled"] += 1
        else:
            kept[trial.id, answer["question"]] = Vote(
                rater=rater,
                trial=trial,
                question=answer["question"],
                choice=answer["choice"],
                seconds=_seconds(answer.get("seconds")),
            )
    reasons = {
        "unknown_clip": "for screens or clips that the rater's form does not have",
        "unknown_question": "on questions that were not asked",
        "impossible": "with answers that cannot be given",
        "unseen": "on clips that the browser could not play to their end",
        "doubled": "given twice; the first counts",
    }
    for kind, count in lost.items():
        tally.add(kind, count, name, reasons[kind])
    return tuple(kept.values())


def _plays(given: Any) -> list[Any]:
    """How often each clip was watched to its end; the page lets raters pass clips that it cannot load."""
    return given if isinstance(given, list) else []


def _seconds(given: Any) -> float:
    """Time for an answer; 0 when the file has none."""
    try:
        seconds = float(given) if type(given) in (int, float) else 0.0
    except OverflowError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _one_for_each_rater(sheets: Iterable[Sheet], tally: Tally) -> tuple[Sheet, ...]:
    """The fullest sheet of each rater; of equally full ones the last that was saved, then the first by name."""
    best: dict[str, Sheet] = {}
    by_name = sorted(sheets, key=lambda one: one.file)
    for sheet in sorted(by_name, key=lambda one: (len(one.votes), one.saved), reverse=True):
        first = best.setdefault(sheet.rater, sheet)
        if first is sheet:
            continue
        theirs = {(vote.trial.id, vote.question): vote.choice for vote in first.votes}
        same = all(theirs.get((vote.trial.id, vote.question)) == vote.choice for vote in sheet.votes)
        reason = f"rater {sheet.rater} sent {first.file} as well" + ("" if same else ", with other answers")
        tally.add("doubled" if same else "conflicting", len(sheet.votes), sheet.file, reason)
    return tuple(best[rater] for rater in sorted(best))
