from __future__ import annotations

import csv
import io
import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.record.columns import columns_of
from emo_bench.record.schema import ComparisonEntry, RunRecord
from emo_bench.report import load_run, write_report
from emo_bench.report.content import Material
from emo_bench.report.latex import escape_latex, latex_document
from emo_bench.report.notes import coverage_sentence, run_warnings, table_notes
from emo_bench.report.sections.comparisons import comparison_rows
from emo_bench.report.tables import build_tables, rank_marks
from emo_bench.report.text_tables import long_csv, markdown_report, tables_json, wide_csv
from emo_core.text import csv_cell, format_number
from emo_metrics.registered import METRICS

THREE = ("good", "middle", "last")


def _with_verdicts(verdicts: dict[tuple[str, str], str]) -> RunRecord:
    run = record_factory.make_run(systems=THREE, n_clips=4, failing=0)
    means = {"good": 10.0, "middle": 9.0, "last": 8.0}
    values = tuple(
        v.model_copy(update={"value": means[v.system]}) if v.key == "psnr" and v.system in means else v
        for v in run.record.values
    )
    comparisons = tuple(
        ComparisonEntry(
            protocol="psnr/rgb@1", key="psnr", system_a=a, system_b=b, difference=1.0, n_pairs=4, verdict=verdict,  # type: ignore[arg-type]
        )
        for (a, b), verdict in verdicts.items()
    )  # fmt: skip
    return run.record.model_copy(update={"values": values, "comparisons": comparisons})


def _marks(record: RunRecord, key: str = "psnr") -> dict[str, str]:
    return dict(rank_marks(record, next(column for column in columns_of(record) if column.value.key == key)))


def test_best_and_second_need_significance() -> None:
    sure = {("good", "middle"): "a_better", ("last", "good"): "b_better", ("middle", "last"): "a_better"}
    assert _marks(_with_verdicts(sure)) == {"good": "best", "middle": "second"}
    assert _marks(_with_verdicts({**sure, ("middle", "last"): "tie"})) == {"good": "best"}
    assert _marks(_with_verdicts({**sure, ("good", "middle"): "tie"})) == {"good": "tie", "middle": "tie"}
    assert _marks(_with_verdicts({})) == {}
    assert _marks(_with_verdicts(dict.fromkeys(sure, "undefined"))) == {}


def test_nothing_is_marked_where_paired_differences_say_the_opposite_of_the_values() -> None:
    """A mean close to the ground truth's of clips that are far from theirs is neither best nor tied with the best."""
    record = _with_verdicts({("good", "middle"): "b_better", ("good", "last"): "tie", ("middle", "last"): "tie"})
    assert _marks(record) == {}
    table = build_tables(record)[0]
    notes = " ".join(table_notes(record, table))
    assert "Not ranked: PSNR. Another system than the one with the best value" in notes
    assert "no paired difference could be tested" not in notes


def test_closer_to_ground_truth_ranks_by_distance_not_by_size() -> None:
    run = record_factory.make_run(systems=("near", "far"), failing=0)
    cells = {row.system.name: row.cells[0] for row in build_tables(run.record)[0].rows}
    assert cells["frozen"].value > cells["near"].value > cells["far"].value  # type: ignore[operator]
    assert cells["near"].mark == "best"
    assert cells["frozen"].mark == ""


def test_ground_truth_and_anchors_come_first_and_missing_is_never_zero() -> None:
    tables = build_tables(record_factory.make_run().record)
    names = [row.system.name for row in tables[0].rows]
    assert names[0] == "ground-truth"
    assert names[-2:] == ["emo-synth", "wav2lip-like"]
    psnr = next(i for i, column in enumerate(tables[0].columns) if column.value.key == "psnr")
    cell = tables[0].rows[0].cells[psnr]
    assert (cell.value, cell.text) == (None, "undefined")
    assert cell.reason


def test_columns_stand_where_their_protocols_say() -> None:
    record = record_factory.make_run().record
    protocols = tuple(
        protocol.model_copy(update={"group": "eyes", "group_title": "Eyes"})
        if protocol.name.startswith("lip")
        else protocol
        for protocol in record.protocols
    )
    tables = build_tables(record.model_copy(update={"protocols": protocols}))
    assert [(table.name, table.title) for table in tables] == [
        ("main", "Main results"),
        ("eyes", "Eyes"),
        ("motion", "Head motion"),
        ("other", "Further values"),
    ]
    main, eyes, motion, other = ([column.value.key for column in table.columns] for table in tables)
    assert main == ["f-sim", "e-fid", "psnr", "ssim", "lmd"]
    assert (eyes, motion, other) == (["lag-error", "lag-peak"], ["mean", "variance"], ["f-sim-min"])


def test_protocols_that_could_not_be_computed_make_no_column_but_a_warning() -> None:
    run = record_factory.make_run()
    assert not any(c.protocol.name.startswith("sync/") for table in build_tables(run.record) for c in table.columns)
    assert any("syncnet_v2.model" in warning for warning in run_warnings(run))


def test_csv_numbers_are_numbers_and_formulas_are_text(hostile_folder: Path) -> None:
    run = load_run(hostile_folder)
    for text in (wide_csv(run), long_csv(run)):
        lines = list(csv.reader(io.StringIO(text)))
        assert len({len(line) for line in lines}) == 1
        for cell in (cell for line in lines for cell in line):
            if cell.startswith(("=", "+", "-", "@", "\t")):
                float(cell)  # only a true number may start so
    assert "'=cmd()" in wide_csv(run)
    values = [row for row in csv.DictReader(io.StringIO(long_csv(run))) if row["key"] == "lmd" and row["value"]]
    assert float(values[0]["value"]) >= 0


@pytest.mark.parametrize("text", ["=1+1", " =1", "+1", "-1", "@x", "\t=1", "\n=1"])
def test_every_beginning_of_a_formula_is_neutralised(text: str) -> None:
    shown = str(csv_cell(text))
    # Control characters become visible escapes, which no spreadsheet takes for a formula.
    assert shown.startswith(("'", "\\"))


def test_json_has_nulls_with_a_status(run_folder: Path) -> None:
    value = json.loads(tables_json(load_run(run_folder)), parse_constant=lambda name: pytest.fail(name))
    missing = [row for row in value["values"] if row["value"] is None]
    assert missing
    assert all(row["status"] != "ok" and row["reason"] for row in missing)
    assert value["coverage"] == {"planned": 96, "done": 95, "failed": 1}
    assert value["synthetic"] is True


def test_markdown_shows_hostile_names_as_text(hostile_folder: Path) -> None:
    text = markdown_report(Material(load_run(hostile_folder)))
    assert "<script>" not in text
    lines = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| &lt;script")]
    heads = [line for line in text.splitlines() if line.startswith("| System")]
    assert [line.count("|") for line in lines] == [head.count("|") for head in heads]


def test_latex_has_no_live_commands_from_names(hostile_folder: Path) -> None:
    document = latex_document(Material(load_run(hostile_folder)))
    assert r"\input{" not in document
    assert r"\textbackslash{}input\{/etc/passwd\}" in document
    assert document.isascii() or all(ord(letter) <= 0xFF for letter in document)
    assert r"\\[" not in document.replace("\n", "")


def test_latex_escapes_every_special_letter() -> None:
    assert escape_latex("a_b&c%d#e$f{g}h~i^j\\k") == (
        r"a\_b\&c\%d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    )


def test_latex_compiles_when_a_compiler_is_there(hostile_folder: Path, tmp_path: Path) -> None:
    import shutil
    import subprocess

    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex on this machine")
    (tmp_path / "tables.tex").write_text(latex_document(Material(load_run(hostile_folder))), encoding="utf-8")
    result = subprocess.run(
        [compiler, "-halt-on-error", "-interaction=nonstopmode", "tables.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize(
    "options",
    [
        {"n_clips": 0, "failing": 0}, {"n_clips": 1, "failing": 0}, {"systems": ()}, {"systems": (), "anchors": ()},
        {"n_clips": 3, "failing": 3}, {"anchors": ()},
    ],
)  # fmt: skip
def test_odd_runs_still_get_every_format(options: dict[str, object], tmp_path: Path) -> None:
    run = record_factory.make_run(**options)  # type: ignore[arg-type]
    paths = write_report(run, formats=("csv", "json", "md", "html", "latex"), output=tmp_path, figures=False)
    assert all(path.stat().st_size > 0 for path in paths)
    assert coverage_sentence(run.record) in (tmp_path / "table.md").read_text()


def test_all_failed_says_so_and_shows_no_number() -> None:
    run = record_factory.make_run(n_clips=3, systems=("x", "broken"), failing=3)
    row = next(row for row in build_tables(run.record)[0].rows if row.system.name == "broken")
    clip_cells = [cell for cell in row.cells if cell.status == "undefined"]
    assert clip_cells
    assert all(cell.value is None and cell.text == "undefined" for cell in clip_cells)


def test_not_a_number_in_a_record_is_undefined() -> None:
    run = record_factory.make_run(n_clips=2)
    values = tuple(v.model_copy(update={"value": float("nan")}) if v.status == "ok" else v for v in run.record.values)
    broken = dataclasses.replace(run, record=run.record.model_copy(update={"values": values}))
    assert all(cell.value is None for table in build_tables(broken.record) for row in table.rows for cell in row.cells)
    assert "nan" not in markdown_report(Material(broken)).lower()
    json.loads(tables_json(broken))


def test_numbers_keep_their_digits_and_sign() -> None:
    assert format_number(1234.5, 0) in {"1234", "1235"}
    assert format_number(-0.0001, 3) == "0.000"
    assert format_number(float("inf"), 2) == "undefined"


def test_a_winner_on_fewer_clips_is_named_with_their_number() -> None:
    record = _with_verdicts({("good", "middle"): "a_better", ("good", "last"): "a_better"})
    first, second = record.comparisons
    part = first.model_copy(update={"reason": "on the 4 clips that both have, of 6 that either has"})
    rows = comparison_rows(record.model_copy(update={"comparisons": (part, second)}))
    assert [row.cells[-1].text for row in rows] == ["good, on 4 clips", "good"]


def test_one_is_no_plural(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=1, systems=("one",), anchors=("ground_truth",), failing=0)
    texts = [path.read_text() for path in write_report(run, formats=("html", "latex"), output=tmp_path, figures=False)]
    assert "and 1 anchor<" in texts[0]
    assert "1 clip of 1 person." in texts[1]
    assert not any(re.search(r"\b1 (anchors|clips|people|systems)\b", text) for text in texts)


def test_latex_has_letters_for_the_labels_titles_and_units_of_all_protocols() -> None:
    specs = [getattr(import_module(place.split(":")[0]), place.split(":")[1]).spec for place in METRICS.values()]
    texts = [text for spec in specs for text in (spec.title, *(t for v in spec.values for t in (v.label, v.unit)))]
    assert "ΔSync" in texts
    assert not [text for text in texts if "U+" in escape_latex(text)]


def test_wide_latex_tables_stack_numbers_and_intervals_unless_they_are_long() -> None:
    wide = latex_document(Material(record_factory.make_run(n_clips=6, failing=0)))
    assert r"\begin{tabular}[t]{@{}r@{}}" in wide
    systems = [f"system-{number:02d}" for number in range(20)]
    long = latex_document(Material(record_factory.make_run(n_clips=6, systems=systems, failing=0)))
    assert r"\begin{tabular}[t]" not in long
    assert r"0.8\textheight" in long
