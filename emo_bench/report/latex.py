r"""Tables as LaTeX with booktabs, ready for a paper: each file compiles as it is and can be \input as well."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.compare.join_runs import Block
from emo_bench.record.published import PublishedTable
from emo_bench.record.run_data import RunData
from emo_bench.report.content import Cell, Material, Notes, Section, Table, Text
from emo_bench.report.notes import MARK_LEGEND
from emo_bench.report.results import results_tables
from emo_bench.report.sections import make_sections

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
    """A document of all tables and sections; compiles with pdfLaTeX, XeLaTeX and LuaLaTeX."""
    parts = [latex_table(table) for table in results_tables(run.record)]
    for section in make_sections(Material(run, others, published)):
        parts += _section(section)
    body = "\n\n".join(parts) or "The run holds no values."
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


def _section(section: Section) -> list[str]:
    """Tables and figures float, so texts of a section with tables stand in their captions."""
    title = f"{section.title}{'' if section.title.endswith(('.', '!', '?')) else '.'}"
    words = " ".join(section.texts)
    found = (
        [] if section.tables or not words else [rf"\paragraph{{{escape_latex(section.title)}}} {escape_latex(words)}"]
    )
    for part in section.parts:
        if isinstance(part, Table):
            found.append(latex_table(part, before=" ".join(filter(None, ("" if part.about else title, words)))))
        elif isinstance(part, Notes):
            items = "\n".join(rf"\item {escape_latex(item)}" for item in part.items)
            heading = "" if found else rf"\paragraph{{{escape_latex(section.title)}}}"
            found.append(f"{heading}\n" + r"\begin{itemize}" + f"\n{items}\n" + r"\end{itemize}")
        elif not isinstance(part, Text):
            width = r"\linewidth" if part.full else r"0.6\linewidth"
            found.append(
                "\n".join(
                    (
                        r"\begin{figure}[htb]",
                        r"\centering",
                        rf"\includegraphics[width={width}]{{figures/{part.name}.pdf}}",
                        rf"\caption{{{escape_latex(part.caption)}}}",
                        r"\end{figure}",
                    )
                )
            )
    return found


def latex_table(table: Table, *, before: str = "") -> str:
    """One floating table.

    Args:
        table: The table.
        before: What stands first in its caption.
    """
    lines = [
        r"\begin{table}[htb]",
        r"\centering\small\color{gray}" if table.quiet else r"\centering\small",
        rf"\caption{{{_caption(table, before)}}}",
        rf"\label{{tab:{table.name}}}\vspace{{1.5ex}}",
        # A wide table shrinks to the text width, a narrow one keeps its size.
        r"\sbox0{%",
        r"\begin{tabular}{@{}l" + "r" * len(table.heads) + "@{}}",
        r"\toprule",
        " & ".join(escape_latex(text) for text in (table.first, *(head.text for head in table.heads))) + r" \\",
        r"\midrule",
    ]
    previous_anchor = None
    for row in table.rows:
        if previous_anchor and not row.anchor:
            lines.append(r"\midrule")
        previous_anchor = row.anchor
        name = escape_latex(_shortened(row.label))
        label = rf"\textit{{{name}}}" if row.anchor and not table.quiet else name
        lines.append(f"{label} & " + " & ".join(_cell(cell) for cell in row.cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", _FIT, r"\end{table}"])


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _cell(cell: Cell) -> str:
    if cell.is_missing:
        return rf"\textcolor{{gray}}{{\textit{{{escape_latex(cell.text)}}}}}"
    text = _MARKS[cell.mark].format(escape_latex(cell.text))
    if cell.interval_text:
        text += rf" {{\scriptsize {cell.interval_text.replace('−', '$-$')}}}"
    if cell.coverage_text:
        text += rf" {{\scriptsize ({escape_latex(cell.coverage_text)})}}"
    return text + (r"\textsuperscript{\textdagger}" if cell.watermark else "")


def _caption(table: Table, before: str) -> str:
    marks = {cell.mark for row in table.rows for cell in row.cells}
    legend = [f"{_MARKS[mark].format(word)}: {MARK_LEGEND[mark]}" for mark, word in _LEGEND_WORDS if mark in marks]
    about = table.about or (f"{table.title}." if table.title else "")
    text = escape_latex(" ".join(part for part in (before, about, *table.notes) if part))
    if legend:
        text += " " + "; ".join(legend) + "."
    return text + (f" Protocols: {escape_latex(', '.join(table.protocols))}." if table.protocols else "")


_LONGEST_NAME = 40
_FIT = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
_LEGEND_WORDS = (("best", "bold"), ("second", "underlined"), ("tie", ""))
