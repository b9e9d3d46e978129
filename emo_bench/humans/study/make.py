"""Writes a study: a folder to hand out, without a trace of which system made which clip, and a key to keep."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

from emo_bench.humans.study.design import Showing, balanced_forms, items_of
from emo_bench.humans.study.key import KEY_FILE, Media, Question, StudyKey, Trial
from emo_bench.media.types import FrameArray, Video
from emo_bench.record.run_data import RunData
from emo_core.atomic import owner, sweep_orphans, write_text
from emo_core.errors import ConfigError
from emo_core.hashing import digest_of

PAGE_FOLDER = "page"
MAX_CLIP_BYTES = 30 << 20
"""Of one clip; a rater may sit on a train."""
BLOCKS = 12
"""A damaged clip shows this many blocks across."""
DEFAULT_QUESTIONS = (Question(key="overall", text="Which clip looks and sounds more natural?"),)
DEFAULT_RATING = (Question(key="overall", text="How natural does this clip look and sound?"),)


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study is to be.

    Attributes:
        title: Headline of the page.
        intro: A paragraph for raters.
        kind: ``pairs`` or ``rating``.
        questions: What is asked of every pair or clip.
        ties: Whether 'no difference' may be chosen.
        systems: Which systems; all but anchors when empty.
        clips: How many clips; all that have previews when None.
        n_forms: Balanced lists; raters are dealt one each.
        per_form: Pairs or clips of a form.
        n_checks: Attention checks of a form.
        n_repeats: Pairs of a form that come again with sides exchanged.
    """

    title: str = "Which clip is better?"
    intro: str = ""
    kind: Literal["pairs", "rating"] = "pairs"
    questions: tuple[Question, ...] = ()
    ties: bool = False
    systems: tuple[str, ...] = ()
    clips: int | None = None
    n_forms: int = 12
    per_form: int = 30
    n_checks: int = 3
    n_repeats: int = 2


def make_study(run: RunData, plan: StudyPlan, folder: Path, *, generator: np.random.Generator) -> StudyKey:
    """Writes ``page/`` (to hand out) and ``study-key.json`` (to keep) into a new folder.

    Args:
        run: A run with watchable copies of its clips.
        plan: What the study is to be.
        folder: Must not exist, or be empty: a study in progress is never overwritten.
        generator: Order, sides and file names; keep it secret, names follow from it.

    Raises:
        ConfigError: when the folder is in use, clips are missing, or there are too few systems.
    """
    sweep_orphans(folder, deep=False)  # of a making that was killed
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", expected="a new folder", fix="choose another with --output")
    previews = {(item.system, item.clip): item.path for item in run.previews}
    systems, clips = _chosen(run, plan, previews)
    # Half a study would be in the way of the next try.
    unfinished = folder / f".study.{owner()}-{secrets.token_hex(4)}.tmp"
    try:
        key = _write_study(run, plan, unfinished, systems, clips, previews, generator)
        for name in (PAGE_FOLDER, KEY_FILE):
            (unfinished / name).replace(folder / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return key


def _write_study(
    run: RunData,
    plan: StudyPlan,
    folder: Path,
    systems: list[str],
    clips: list[str],
    previews: dict[tuple[str, str], Path],
    generator: np.random.Generator,
) -> StudyKey:
    # The id tells studies apart even where two are made from one seed.
    study = digest_of([generator.bytes(6).hex(), repr(plan), run.record.name, systems, clips])[:12]
    media: dict[str, Media] = {}
    names: dict[tuple[str, str, bool], str] = {}
    target = folder / PAGE_FOLDER / "media"
    target.mkdir(parents=True)
    for system in systems:
        for clip in clips:
            name = generator.bytes(8).hex()
            _copy(previews[system, clip], target / f"{name}.mp4")
            media[name], names[system, clip, False] = Media(system=system, clip=clip), name
    for clip in _checked_clips(clips, plan.n_checks, generator):
        name = generator.bytes(8).hex()
        write_damaged(previews[systems[0], clip], target / f"{name}.mp4")
        media[name], names[systems[0], clip, True] = Media(system=systems[0], clip=clip, damaged=True), name
    items = items_of(systems, clips, pairs=plan.kind == "pairs")
    forms = balanced_forms(
        items, n_forms=plan.n_forms, per_form=plan.per_form, n_repeats=plan.n_repeats, generator=generator
    )
    trials = tuple(_trials(form, names, plan, generator) for form in forms)
    _hide_times(target)
    key = StudyKey(
        study=study,
        title=plan.title,
        kind=plan.kind,
        ties=plan.ties,
        questions=plan.questions or (DEFAULT_QUESTIONS if plan.kind == "pairs" else DEFAULT_RATING),
        run=run.record.name,
        record=run.record.seal.record if run.record.seal else "",
        systems=tuple(systems),
        identities={clip: run.identities.get(clip, clip) for clip in clips},
        media=media,
        forms=trials,
    )
    write_text(folder / PAGE_FOLDER / "index.html", study_page(key, intro=plan.intro))
    write_text(folder / KEY_FILE, key.model_dump_json(indent=1) + "\n")
    return key


def _chosen(run: RunData, plan: StudyPlan, previews: dict[tuple[str, str], Path]) -> tuple[list[str], list[str]]:
    known = [system.name for system in run.record.systems]
    unknown = [name for name in plan.systems if name not in known]
    if unknown:
        raise ConfigError(f"the run has no system {unknown[0]!r}", expected=", ".join(known))
    # A system that is named twice would be compared with itself.
    systems = sorted(set(plan.systems) or {system.name for system in run.record.systems if not system.anchor})
    least = 2 if plan.kind == "pairs" else 1
    if len(systems) < least:
        raise ConfigError(
            f"a study of {plan.kind} needs at least {least} systems",
            found=", ".join(systems) or "none",
            fix="name them with --system, anchors such as ground-truth count",
        )
    clips = sorted(clip for clip in {clip for _, clip in previews} if all((name, clip) in previews for name in systems))
    if not clips:
        raise ConfigError(
            "no clip has watchable copies of all systems",
            expected="a run folder with previews",
            found=f"{len(previews)} previews",
            fix="run with report.previews: true and a report.max_preview_clips that is large enough",
        )
    large = [clip for clip in clips for name in systems if previews[name, clip].stat().st_size > MAX_CLIP_BYTES]
    if large:
        raise ConfigError(f"clip {large[0]} is too large for a page", expected=f"at most {MAX_CLIP_BYTES >> 20} MB")
    return systems, clips if plan.clips is None else clips[: plan.clips]


def _checked_clips(clips: Sequence[str], n_checks: int, generator: np.random.Generator) -> list[str]:
    order = generator.permutation(len(clips))
    return [clips[int(index)] for index in order[: min(n_checks, len(clips))]]


def _trials(
    form: Sequence[Showing], names: dict[tuple[str, str, bool], str], plan: StudyPlan, generator: np.random.Generator
) -> tuple[Trial, ...]:
    made = []
    for showing in form:
        item = showing.item
        files_ = [names[system, item.clip, False] for system in item.systems]
        right = files_[1 - showing.left] if len(files_) == 2 else ""
        made.append(Trial(id=generator.bytes(6).hex(), left=files_[showing.left], right=right, repeats=showing.repeats))
    damaged = [(system, clip, name) for (system, clip, bad), name in names.items() if bad]
    for number in range(plan.n_checks if damaged else 0):
        system, clip, name = damaged[number % len(damaged)]
        pair = [names[system, clip, False], name] if plan.kind == "pairs" else [name, ""]
        if plan.kind == "pairs" and generator.integers(2):
            pair.reverse()
        # Spread over the form: one in each of as many parts.
        low, high = (len(form) * step // plan.n_checks for step in (number, number + 1))
        place = int(generator.integers(low, max(low + 1, high))) + number + (1 if number else 0)
        made.insert(min(place, len(made)), Trial(id=generator.bytes(6).hex(), left=pair[0], right=pair[1], check=True))
    return tuple(made)


def write_damaged(source: Path, target: Path) -> None:
    """A clip whose image is its first frame in coarse blocks, with its own audio: worse by any question.

    Raises:
        ConfigError: when the copy cannot be read.
    """
    from emo_bench.media.decode import load_pair, load_video
    from emo_bench.media.preview import write_preview
    from emo_core.errors import ClipError, NoAudioError

    try:
        loaded = load_pair(source)
        write_preview(target, _blocks(loaded.video), loaded.audio)
    except NoAudioError:
        write_preview(target, _blocks(load_video(source).video), None)
    except ClipError as error:
        raise ConfigError(f"the watchable copy {source} cannot be read", found=str(error)) from None


def _blocks(video: Video) -> Video:
    from PIL import Image

    first = next(iter(video.open()))[0]
    size = (first.shape[1], first.shape[0])
    small = (BLOCKS, max(1, BLOCKS * first.shape[0] // first.shape[1]))
    coarse = Image.fromarray(first).resize(small, Image.Resampling.BOX).resize(size, Image.Resampling.NEAREST)
    frame = np.asarray(coarse, dtype=np.uint8)

    def pieces() -> Iterator[FrameArray]:
        for piece in video.open():
            yield np.broadcast_to(frame, piece.shape).copy()

    return Video(video.spec, pieces)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _hide_times(folder: Path) -> None:
    """One time for all files: the order in which they were made would tell systems apart."""
    for path in folder.iterdir():
        os.utime(path, (946684800, 946684800))


def study_page(key: StudyKey, *, intro: str) -> str:
    """The page: markup, style, script and the blinded design in one file; clips are loaded as they come."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    css, script = _template("study.css"), _template("study.js")
    blinded = {
        "study": key.study,
        "kind": key.kind,
        "ties": key.ties,
        "questions": [question.model_dump() for question in key.questions],
        "forms": [[[trial.id, trial.left, trial.right] for trial in form] for form in key.forms],
    }
    text = json.dumps(blinded, ensure_ascii=True, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_template("study.html.j2")).render(
        title=key.title,
        intro=intro,
        pairs=key.kind == "pairs",
        n_trials=max(len(form) for form in key.forms),
        n_questions=len(key.questions),
        css=Markup(css),  # noqa: S704 - our own file
        js=Markup(script),  # noqa: S704 - our own file
        data=Markup(text),  # noqa: S704 - JSON without any '<'
        csp=_policy(css, script),
    )


def _policy(css: str, script: str) -> str:
    def pin(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {pin(css)}; script-src {pin(script)}; media-src 'self' file:; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _template(name: str) -> str:
    return (files("emo_bench.humans.study") / "templates" / name).read_text(encoding="utf-8")
