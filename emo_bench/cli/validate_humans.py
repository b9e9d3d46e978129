"""``emo-bench validate-humans``: do numbers agree with people?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption


def validate_humans(
    values: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of a run, its record.json, or a CSV table with system, clip and a column for each number. "
            "Not needed with --thqa, whose file holds numbers.",
            metavar="RUN|TABLE",
        ),
    ] = None,
    votes: Annotated[
        Path | None, typer.Option("--votes", help="CSV file of votes: pairs or scores (docs/guide/people.md).")
    ] = None,
    adth_qa: Annotated[
        Path | None, typer.Option("--adth-qa", help="Folder with ADTH-QA's published files.", metavar="FOLDER")
    ] = None,
    thqa: Annotated[
        Path | None, typer.Option("--thqa", help="Folder with THQA's published files.", metavar="FOLDER")
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option("--lower", help="Column of a table of which less is better.", metavar="NAME")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for table, figure and page.")] = Path(
        "reports/validity"
    ),
    resamples: Annotated[int, typer.Option("--resamples", help="Bootstrap draws.", min=100, max=100_000)] = 1000,
    level: Annotated[float, typer.Option("--level", help="Confidence level.", min=0.5, max=0.999)] = 0.95,
    note: Annotated[str, typer.Option("--note", help="A sentence that table and page show.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Hold every value of a run, or of a table, against what people said of the same clips."""
    from emo_bench.cli.options import print_json, say
    from emo_bench.humans.published_votes import read_adth_qa, read_thqa
    from emo_bench.humans.validity import validate
    from emo_bench.humans.validity_report import validity_markdown, write_validity_report
    from emo_bench.humans.values import measures_of_values, read_measures
    from emo_bench.humans.votes import read_votes, renamed
    from emo_core.errors import ConfigError

    given = [place for place in (votes, adth_qa, thqa) if place is not None]
    if len(given) != 1:
        raise ConfigError("votes are needed once", expected="one of --votes, --adth-qa, --thqa", found=str(len(given)))
    measures = read_measures(values, lower=tuple(lower or ())) if values is not None else ()
    if thqa is not None:
        found, own = read_thqa(thqa)
        measures = measures or measures_of_values(own)
    else:
        found = read_adth_qa(adth_qa) if adth_qa is not None else read_votes(given[0])
    if not measures:
        raise ConfigError("there are no values to hold against the votes", expected="a run or a table of values")
    found = renamed(found, {system for measure in measures for system, _ in measure.values})
    result = validate(found, measures, resamples=resamples, level=level).model_copy(update={"note": note})
    for path in write_validity_report(result, output):
        say(str(path), err=True)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        typer.echo(validity_markdown(result), nl=False)
    return 0
