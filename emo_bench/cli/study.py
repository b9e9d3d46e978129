"""``emo-bench study``: a page that collects votes on a run's clips, and what becomes of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption, print_json, say

app = typer.Typer(help="Ask people: a blinded page for raters, and scores from their votes.", no_args_is_help=True)


class Kind(StrEnum):
    """What raters do."""

    PAIRS = "pairs"
    RATING = "rating"


@app.command("make")
def make(
    run: Annotated[Path, typer.Argument(help="Folder of a run with previews.", metavar="RUN")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the study.")],
    kind: Annotated[Kind, typer.Option("--kind", help="Two clips side by side, or one clip on a scale of 5.")] = (
        Kind.PAIRS
    ),
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "-q", help="KEY=TEXT, e.g. lip='Whose lips fit the words better?'; repeat."),
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option("--system", "-s", help="Only these; anchors such as ground-truth count.")
    ] = None,
    clips: Annotated[int | None, typer.Option("--clips", help="Use the first N clips.", min=1)] = None,
    title: Annotated[str, typer.Option("--title", help="Headline of the page.")] = "Which clip is better?",
    intro: Annotated[str, typer.Option("--intro", help="A paragraph for raters.")] = "",
    ties: Annotated[bool, typer.Option("--ties/--no-ties", help="Offer 'No difference'.")] = False,
    forms: Annotated[int, typer.Option("--forms", help="Balanced lists; each rater gets one.", min=1, max=1000)] = 12,
    per_form: Annotated[int, typer.Option("--per-form", help="Pairs or clips of a list.", min=1, max=300)] = 30,
    checks: Annotated[int, typer.Option("--checks", help="Attention checks of a list.", min=0, max=20)] = 3,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Pairs of a list that come twice with sides exchanged.", min=0, max=20)
    ] = 2,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Repeat a study; secret, since file names follow from it.")
    ] = None,
) -> int:
    """Write a page to hand out (OUTPUT/page) and the key to keep (OUTPUT/study-key.json)."""
    import secrets

    from emo_bench.humans.study.key import KEY_FILE, Question
    from emo_bench.humans.study.make import PAGE_FOLDER, StudyPlan, make_study
    from emo_bench.record.run_data import load_run
    from emo_core.errors import ConfigError
    from emo_core.rng import numpy_generator

    asked = []
    for text in question or []:
        name, separator, words = text.partition("=")
        if not separator:
            raise ConfigError(f"--question {text!r} is no question", expected="KEY=TEXT")
        try:
            asked.append(Question(key=name, text=words))
        except ValueError:
            raise ConfigError(f"--question {text!r} is no question", expected="a-z, 0-9, _ or -, then =TEXT") from None
    if len({item.key for item in asked}) < len(asked):
        raise ConfigError("two questions have one key", expected="a key of its own for each")
    plan = StudyPlan(
        title=title,
        intro=intro,
        kind=kind.value,
        questions=tuple(asked),
        ties=ties,
        systems=tuple(system or ()),
        clips=clips,
        n_forms=forms,
        per_form=per_form,
        n_checks=checks,
        n_repeats=repeats,
    )
    chosen = secrets.randbits(62) if seed is None else seed
    key = make_study(load_run(run), plan, output, generator=numpy_generator(chosen, "study"))
    screens = max(len(form) for form in key.forms)
    say(f"study {key.study}: {len(key.systems)} systems, {len(key.forms)} forms of at most {screens} screens")
    say(f"hand out  {output / PAGE_FOLDER} (open index.html, or put the folder on any web server)")
    say(f"keep      {output / KEY_FILE} (says which clip is whose; never hand it out)")
    return 0


@app.command("score")
def score(
    key: Annotated[Path, typer.Argument(help="study-key.json, or the folder that holds it.", metavar="KEY")],
    votes: Annotated[
        list[Path], typer.Argument(help="Files that raters sent, or folders of them.", metavar="VOTES...")
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="Keep the outcome with this run, so that its report shows it.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the outcome.")] = None,
    max_failed: Annotated[
        float, typer.Option("--max-failed", help="Largest share of attention checks that may be failed.", min=0, max=1)
    ] = 1 / 3,
    level: Annotated[float, typer.Option("--level", help="Confidence level.", min=0.5, max=0.999)] = 0.95,
    resamples: Annotated[int, typer.Option("--resamples", help="Bootstrap draws.", min=100, max=100_000)] = 500,
    as_json: JsonOption = False,
) -> int:
    """Strengths with intervals, the raters' agreement, and every vote that does not count with its reason."""
    from emo_bench.humans.study.key import read_key
    from emo_bench.humans.study.raters import Rules
    from emo_bench.humans.study.score import score_study, studies_folder, write_scored
    from emo_bench.humans.study.text import study_markdown
    from emo_bench.record.run_data import load_run
    from emo_core.errors import ConfigError

    found = read_key(key)
    if run is not None:
        record = load_run(run).record
        seal = record.seal.record if record.seal is not None else ""
        if (record.name, seal) != (found.run, found.record):
            raise ConfigError(
                "the study was made from another record",
                expected=f"the run {found.run!r} as it was when the study was made",
                found=f"{run}: another record",
            )
    scored = score_study(found, votes, rules=Rules(max_failed=max_failed), level=level, resamples=resamples)
    places = [place for place in (studies_folder(run) if run is not None else None, output) if place is not None]
    for place in places:
        for path in write_scored(scored, place):
            say(str(path), err=True)
    if as_json:
        print_json(scored.result.model_dump(mode="json"))
    else:
        typer.echo(study_markdown(scored.result), nl=False)
    return 0


@app.command("power")
def power(
    systems: Annotated[int, typer.Option("--systems", help="Systems of the study.", min=2, max=50)] = 3,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of any false verdict.", min=1e-6, max=0.5)] = 0.05,
    target: Annotated[float, typer.Option("--power", help="Chance of finding a difference.", min=0.5, max=0.999)] = 0.8,
    design_effect: Annotated[
        float,
        typer.Option(
            "--design-effect", help="Votes that are worth one independent vote; 1.5 to 3 is usual.", min=1, max=20
        ),
    ] = 1.0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for table and figure.")] = None,
) -> int:
    """How many votes tell which difference."""
    from emo_bench.humans.study.power import power_markdown, power_table, write_power

    rows = power_table(n_systems=systems, alpha=alpha, power=target, design_effect=design_effect)
    about = (
        f"{systems} systems, every pair compared; two-sided exact sign test at {alpha:g} for all pairs together "
        f"(Bonferroni), power {target:g}, design effect {design_effect:g}."
    )
    text = power_markdown(rows, about=about)
    if output is not None:
        for path in write_power(output, text=text, n_systems=systems, alpha=alpha, design_effect=design_effect):
            say(str(path), err=True)
    typer.echo(text, nl=False)
    return 0
