"""``emo-bench report``, ``compare`` and ``export``: what can be made from records alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import say

if TYPE_CHECKING:
    from emo_bench.record.run_data import RunData

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run, or its record.json.", metavar="RUN")]


class What(StrEnum):
    """What is exported."""

    VALUES = "values"
    CLIPS = "clips"
    METRICS = "metrics"
    CHECKLIST = "checklist"
    MODEL_INDEX = "model-index"
    PREVIEWS = "previews"


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN...")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="csv, json, md, html, latex, pdf or figures; repeat for several."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder; RUN/report when absent, reports/A+B for several runs."),
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(
            "--published",
            help="Published table in grey, never ranked: a file, a name of configs/published, 'atlas', or 'none'. "
            "Those on the run's data set when absent.",
            metavar="FILE|NAME",
        ),
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="With several runs: one report for each instead of one for all.")
    ] = False,
    common: Annotated[
        bool,
        typer.Option(
            "--common", help="Recompute values over the clips and frames that all systems have (to RUN/report-common)."
        ),
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="Also by groups of clips: meta.KEY of the manifest, or split; repeat for several.",
            metavar="meta.KEY",
        ),
    ] = None,
) -> int:
    """Write the report of finished runs again, from their records alone.

    Several runs make one report. Their systems share a table when data set, list of clips, seeds and protocols agree;
    else they stand in tables of their own, with the reason.
    """
    from emo_bench.compare.common_clips import on_common_clips
    from emo_bench.compare.join_runs import join_runs, joint_folder_name
    from emo_bench.record.run_data import load_run
    from emo_bench.report import write_joint_report, write_report
    from emo_bench.report.write import DEFAULT_FORMATS

    chosen = formats or DEFAULT_FORMATS
    tables = [name for name in published if name != "none"] if published else None
    prepare = on_common_clips if common else _unchanged
    if separate or len(runs) == 1:
        for run in runs:
            data = prepare(load_run(run))
            target = output / joint_folder_name([run]) if output and len(runs) > 1 else output
            if common and target is None and data.folder is not None:
                target = data.folder / "report-common"
            for path in write_report(data, formats=chosen, output=target, published=tables, by=by or ()):
                say(str(path))
        return 0
    target = output or Path("reports") / (joint_folder_name(runs) + ("-common" if common else ""))
    if common:
        blocks = join_runs([load_run(run) for run in runs])
        joined = [prepare(block.run) for block in blocks]
        paths = write_joint_report(joined, formats=chosen, output=target, published=tables, by=by or ())
    else:
        paths = write_joint_report(runs, formats=chosen, output=target, published=tables, by=by or ())
    for path in paths:
        say(str(path))
    return 0


def _unchanged(run: RunData) -> RunData:
    return run


def compare(
    run_a: Annotated[Path, typer.Argument(help="The older run.", metavar="RUN_A")],
    run_b: Annotated[Path, typer.Argument(help="The newer run.", metavar="RUN_B")],
    pair: Annotated[
        list[str] | None, typer.Option("--pair", help="Systems to compare: name in A, '=', name in B.", metavar="A=B")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of any false verdict.", min=1e-6, max=0.5)] = 0.05,
) -> int:
    """Compare two runs clip by clip, with a verdict per value (Markdown on stdout)."""
    from emo_bench.compare.markdown import comparison_markdown
    from emo_bench.compare.runs import compare_runs
    from emo_bench.record.run_data import load_run
    from emo_core.errors import ConfigError

    pairs = []
    for text in pair or []:
        first, separator, second = text.partition("=")
        if not separator:
            raise ConfigError(f"--pair {text!r} is not a pair", expected="NAME_IN_A=NAME_IN_B")
        pairs.append((first, second))
    comparison = compare_runs(load_run(run_a), load_run(run_b), pairs=pairs or None, alpha=alpha)
    typer.echo(comparison_markdown(comparison), nl=False)
    return 0


def export(
    run: RunArgument,
    target: Annotated[
        Path, typer.Argument(help="File to write (.csv, .parquet, .json, .md, .yaml), or a folder.", metavar="FILE")
    ],
    what: Annotated[
        What,
        typer.Option(
            "--what",
            help="values: one row per value. clips: one per clip and value. metrics: the main table for DVC (.json). "
            "checklist: reproducibility in the manner of NeurIPS (.md, .json). model-index: results for a model hub "
            "(.yaml, or a model card as .md). previews: a folder of videos with content credentials.",
        ),
    ] = What.CLIPS,
    system: Annotated[
        str | None, typer.Option("--system", help="With model-index: whose results; the only system when absent.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="With previews: sign with this certificate (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its private key (PEM).")] = None,
) -> int:
    """Write a run's numbers, or its previews, for other programs and places."""
    from emo_bench.record.run_data import load_run
    from emo_bench.report.export import export_run

    found = load_run(run)
    for sentence in found.damage:
        say(sentence, err=True)
    if what is What.CHECKLIST:
        _export_checklist(found, target)
    elif what is What.MODEL_INDEX:
        _export_model_index(found, target, system)
    elif what is What.PREVIEWS:
        _export_previews(found, target, certificate, key)
        return 0
    else:
        export_run(found, target, what=what.value)  # type: ignore[arg-type]
    say(str(target))
    return 0


def _ending(target: Path, *known: str) -> str:
    from emo_core.errors import ConfigError

    if target.suffix.lower() not in known:
        raise ConfigError(f"cannot write {target.name}", expected=f"a name that ends in {' or '.join(known)}")
    return target.suffix.lower()


def _export_checklist(run: RunData, target: Path) -> None:
    import dataclasses

    from emo_bench.publish.checklist import checklist, checklist_markdown
    from emo_core.atomic import write_json, write_text

    if _ending(target, ".md", ".json") == ".json":
        items = [{**dataclasses.asdict(item), "recorded": item.recorded} for item in checklist(run.record)]
        write_json(target, items)
    else:
        write_text(target, checklist_markdown(run.record))


def _export_model_index(run: RunData, target: Path, system: str | None) -> None:
    from emo_bench.publish.model_index import chosen_system, model_card, model_index_yaml
    from emo_core.atomic import write_text

    write = model_card if _ending(target, ".yaml", ".yml", ".md") == ".md" else model_index_yaml
    write_text(target, write(run, chosen_system(run.record, system)))


def _export_previews(run: RunData, target: Path, certificate: Path | None, key: Path | None) -> None:
    from emo_bench.cli.options import signer_for
    from emo_bench.media.certificate import EXTRA, CredentialsError
    from emo_bench.publish.previews import export_previews

    signer = signer_for(certificate, key)
    if signer is None:
        raise CredentialsError("previews are exported with content credentials", expected="c2pa-python", fix=EXTRA)
    made = export_previews(run, target, signer=signer)
    say(f"{made.folder}: {made.n_signed} videos with content credentials, {made.n_plain} of anchors without")
