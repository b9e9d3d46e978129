r"""Tables as LaTeX with booktabs, ready for a paper: each file compiles as it is and can be \input as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emo_bench.compare.join_runs import Block
from emo_bench.record.columns import Column
from emo_bench.record.published import PublishedTable
from emo_bench.record.run_data import RunData
from emo_bench.report.notes import MARK_LEGEND, SYNTHETIC_NOTICE, table_notes
from emo_bench.report.speed import speed_view
from emo_bench.report.tables import Cell, Table, build_tables

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    # After the end of a line, a bracket or a star would be taken for its argument.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "−": r"\ensuremath{-}",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    "→": r"\ensuremath{\rightarrow}",
    "≈": r"\ensuremath{\approx}",
    "×": r"\ensuremath{\times}",
    "°": r"\ensuremath{^\circ}",
    "²": r"\ensuremath{^2}",
    "–": "--",
    "…": r"\ldots{}",
    "†": r"\textdagger{}",
    "’": "'",
}
_MARKS = {
    "": "{}",
    "best": r"\textbf{{{}}}",
    "second": r"\underline{{{}}}",
    "tie": r"{}\ensuremath{{^\approx}}",
}


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints and never runs; letters that pdfLaTeX has no font for become their code point.

    >>> escape_latex(r"\input{x} 50%")
    '\\textbackslash{}input\\{x\\} 50\\%'
    """
    return "".join(_character(letter) for letter in " ".join(text.split()))


def _character(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if " " <= letter <= "~" or 0xA1 <= ord(letter) <= 0xFF:
        return letter
    return f"(U+{ord(letter):04X})"


def latex_document(run: RunData, *, published: Sequence[PublishedTable] = (), others: Sequence[Block] = ()) -> str:
    """A document of all tables; compiles with pdfLaTeX, XeLaTeX and LuaLaTeX."""
    own = [latex_table(run, table) for table in build_tables(run.record)]
    if view := speed_view(run):
        own.append(_speed(view))
    for number, block in enumerate(others, start=2):
        why = f"Not comparable with the first table: {block.why}."
        own += [latex_table(block.run, table, why=why, suffix=f"-{number}") for table in build_tables(block.run.record)]
    tables = "\n\n".join([*own, *(_published(block.view()) for block in published)])
    body = tables or "The run holds no values."
    return "\n".join(
        (
            r"% The tables need booktabs, graphicx, xcolor and textcomp; copy any of them into a paper.",
            r"\documentclass[10pt]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[utf8]{inputenc}",
            r"\usepackage[a4paper,landscape,margin=15mm]{geometry}",
            r"\usepackage{booktabs,graphicx,xcolor,textcomp}",
            r"\begin{document}",
            body,
            r"\end{document}",
            "",
        )
    )


def latex_table(run: RunData, table: Table, *, why: str = "", suffix: str = "") -> str:
    """One floating table.

    Args:
        run: The run.
        table: One of its tables.
        why: Why it must not be compared with other tables of the document.
        suffix: Put behind the label, which must be unique in a document.
    """
    lines = [
        r"\begin{table}[htb]",
        r"\centering\small",
        rf"\caption{{{escape_latex(why)}{' ' if why else ''}{_caption(run, table)}}}",
        rf"\label{{tab:{table.name}{suffix}}}\vspace{{1.5ex}}",
        # A wide table shrinks to the text width, a narrow one keeps its size.
        r"\sbox0{%",
        r"\begin{tabular}{@{}l" + "r" * len(table.columns) + "@{}}",
        r"\toprule",
        "System & " + " & ".join(_head(column) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    previous_anchor = None
    for row in table.rows:
        if previous_anchor and not row.system.anchor:
            lines.append(r"\midrule")
        previous_anchor = row.system.anchor
        name = escape_latex(_shortened(row.system.name))
        label = rf"\textit{{{name}}}" if row.system.anchor else name
        lines.append(f"{label} & " + " & ".join(_cell(cell) for cell in row.cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", _FIT, r"\end{table}"])


def _speed(view: dict[str, Any]) -> str:
    """What generation cost; narrow, so it keeps its size."""
    lines = [
        r"\begin{table}[htb]",
        r"\centering\small",
        rf"\caption{{Speed. {escape_latex(' '.join(view['notes']))}}}",
        r"\label{tab:speed}\vspace{1.5ex}",
        r"\begin{tabular}{@{}l" + "r" * (len(view["heads"]) - 1) + "@{}}",
        r"\toprule",
        " & ".join(escape_latex(head) for head in view["heads"]) + r" \\",
        r"\midrule",
    ]
    for row in view["rows"]:
        name = escape_latex(_shortened(row["name"]))
        label = rf"\textit{{{name}}}" if row["anchor"] else name
        lines.append(" & ".join((label, *map(escape_latex, row["texts"]))) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _published(view: dict[str, Any]) -> str:
    """A paper's table in grey."""
    source = escape_latex(f"{view['source']}, {view['table']}")
    caption = f"Published numbers, protocol {view['protocol']}, not comparable with this run: {source}."
    lines = [
        r"\begin{table}[htb]",
        r"\centering\small\color{gray}",
        rf"\caption{{{caption} {escape_latex(view['note'])}}}\vspace{{1.5ex}}",
        r"\sbox0{%",
        r"\begin{tabular}{@{}l" + "r" * len(view["labels"]) + "@{}}",
        r"\toprule",
        "System & " + " & ".join(escape_latex(label) for label in view["labels"]) + r" \\",
        r"\midrule",
        *(
            " & ".join(escape_latex(text) for text in (_shortened(row["system"]), *row["texts"])) + r" \\"
            for row in view["rows"]
        ),
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", _FIT, r"\end{table}"])


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _head(column: Column) -> str:
    return f"{escape_latex(column.value.label)} {escape_latex(column.arrow)}"


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return rf"\textcolor{{gray}}{{\textit{{{escape_latex(cell.text)}}}}}"
    text = _MARKS[cell.mark].format(escape_latex(cell.text))
    if cell.interval_text:
        text += rf" {{\scriptsize {cell.interval_text.replace('−', '$-$')}}}"
    if cell.coverage_text:
        text += rf" {{\scriptsize ({escape_latex(cell.coverage_text)})}}"
    return text + (r"\textsuperscript{\textdagger}" if cell.watermark else "")


def _caption(run: RunData, table: Table) -> str:
    record = run.record
    identities = len({clip.identity for clip in record.clips})
    sentences = [f"{table.title} on {record.dataset_name}: {len(record.clips)} clips of {identities} people."]
    if record.synthetic:
        sentences.append(SYNTHETIC_NOTICE)
    sentences += table_notes(record, table)
    marks = {cell.mark for row in table.rows for cell in row.cells}
    legend = [f"{_MARKS[mark].format(word)}: {MARK_LEGEND[mark]}" for mark, word in _LEGEND_WORDS if mark in marks]
    protocols = ", ".join(dict.fromkeys(column.protocol.name for column in table.columns))
    text = escape_latex(" ".join(sentences))
    if legend:
        text += " " + "; ".join(legend) + "."
    return text + f" Protocols: {escape_latex(protocols)}."


_LONGEST_NAME = 40
_FIT = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
_LEGEND_WORDS = (("best", "bold"), ("second", "underlined"), ("tie", ""))
