r"""Tables as LaTeX with booktabs, ready for a paper: each file compiles as it is and can be \input as well."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Cell, Entries, Fact, Facts, Listing, Material, Notes, Part, Row, Section, Table
from emo_bench.report.figure_style import NamedFigure
from emo_bench.report.notes import MARK_LEGEND
from emo_bench.report.results import results_tables
from emo_bench.report.sections import make_sections
from emo_core.text import shortened

_GREEK = "αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΥΦΨΩµ"
_GREEK_NAMES = (
    *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "varsigma", "tau", "upsilon", "varphi", "chi", "psi", "omega", "Gamma", "Delta"),
    *("Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "mu"),
)
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
    "·": r"\textperiodcentered{}",
    "∞": r"\ensuremath{\infty}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    **{letter: rf"\ensuremath{{^{sign}}}" for letter, sign in zip("⁰⁴⁵⁶⁷⁸⁹⁺⁻", "0456789+-", strict=True)},
    **{letter: rf"\ensuremath{{\{name}}}" for letter, name in zip(_GREEK, _GREEK_NAMES, strict=True)},
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


def latex_document(material: Material) -> str:
    """A document of all tables and sections; compiles with pdfLaTeX, XeLaTeX and LuaLaTeX."""
    parts = [latex_table(table) for table in results_tables(material.run.record)]
    for section in make_sections(material, "latex"):
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
    words = " ".join(section.texts)
    title = f"{section.title}{'' if section.title.endswith(('.', '!', '?')) else '.'}"
    lists = any(isinstance(part, (Notes, Facts, Entries, Listing)) for part in section.parts)
    heading = rf"\paragraph{{{escape_latex(section.title)}}}"
    found = [f"{heading} {escape_latex(words)}"] if words and not section.tables else [heading] if lists else []
    for part in section.parts:
        if isinstance(part, Table):
            before = " ".join(filter(None, ("" if part.about else title, words)))
            found.append(latex_table(part.for_print, before=before))
        else:
            found += _part(part)
    return found


def _part(part: Part) -> list[str]:
    """A part but tables and texts; players and rankings are for a page only."""
    match part:
        case Notes():
            return [_items([escape_latex(item) for item in part.items])]
        case NamedFigure():
            return [_figure(part)]
        case Facts():
            return [_items([_fact(fact) for fact in part.items])]
        case Entries():
            heads = [rf"\texttt{{{escape_latex(entry.name)}}} {escape_latex(entry.title)}" for entry in part.items]
            facts = [_items([_fact(fact) for fact in entry.facts]) for entry in part.items]
            return [text for pair in zip(heads, facts, strict=True) for text in pair]
        case Listing():
            lines = [rf"\texttt{{{escape_latex(line)}}}" for line in part.text.splitlines()]
            return [escape_latex(part.title), "\\\\\n".join(lines)]
    return []


def _items(items: Sequence[str]) -> str:
    return "\n".join((r"\begin{itemize}", *(rf"\item {item}" for item in items), r"\end{itemize}"))


def _fact(fact: Fact) -> str:
    code = rf" \texttt{{{escape_latex(fact.code)}}}" if fact.code else ""
    return f"{escape_latex(fact.label)}: {escape_latex(fact.text)}{code}"


def _figure(figure: NamedFigure) -> str:
    width = r"\linewidth" if figure.full else r"0.6\linewidth"
    return "\n".join(
        (
            r"\begin{figure}[htb]",
            r"\centering",
            rf"\includegraphics[width={width},height=0.8\textheight,keepaspectratio]{{figures/{figure.name}.pdf}}",
            rf"\caption{{{escape_latex(figure.caption)}}}",
            r"\end{figure}",
        )
    )


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
    stacked = len(table.heads) > _INLINE_UP_TO and sum(map(_lines, table.rows)) <= _LINES
    previous_anchor = None
    for row in table.rows:
        if previous_anchor and not row.anchor:
            lines.append(r"\midrule")
        previous_anchor = row.anchor
        name = escape_latex(shortened(row.label, _LONGEST_NAME))
        label = rf"\textit{{{name}}}" if row.anchor and not table.quiet else name
        lines.append(f"{label} & " + " & ".join(_cell(cell, stacked=stacked) for cell in row.cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", _FIT, r"\end{table}"])


def _cell(cell: Cell, *, stacked: bool) -> str:
    if cell.is_missing:
        return rf"\textcolor{{gray}}{{\textit{{{escape_latex(cell.text)}}}}}"
    text = _MARKS[cell.mark].format(escape_latex(cell.text))
    dagger = r"\textsuperscript{\textdagger}" if cell.watermark else ""
    small = []
    if cell.interval_text:
        small.append(rf"{{\scriptsize {cell.interval_text.replace('−', '$-$')}}}")
    if cell.coverage_text:
        small.append(rf"{{\scriptsize ({escape_latex(cell.coverage_text)})}}")
    if not stacked or not small:
        return " ".join((text, *small)) + dagger
    lines = r"\\\noalign{\vskip-0.5ex}".join((text + dagger, *small))
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{lines}\end{{tabular}}"


def _lines(row: Row) -> int:
    """Lines of a row whose intervals stand below the numbers."""
    return 1 + max((bool(cell.interval_text) + bool(cell.coverage_text) for cell in row.cells), default=0)


def _caption(table: Table, before: str) -> str:
    marks = {cell.mark for row in table.rows for cell in row.cells}
    legend = [f"{_MARKS[mark].format(word)}: {MARK_LEGEND[mark]}" for mark, word in _LEGEND_WORDS if mark in marks]
    about = table.about or (f"{table.title}." if table.title else "")
    text = escape_latex(" ".join(part for part in (before, about, *table.notes) if part))
    if legend:
        text += " " + "; ".join(legend) + "."
    return text + (f" Protocols: {escape_latex(', '.join(table.protocols))}." if table.protocols else "")


_LONGEST_NAME = 40
_INLINE_UP_TO = 5
"""Tables of more columns have intervals below the numbers; with them beside, tables shrink until none can be read."""
_LINES = 36
"""So many lines are no higher than a page."""
_FIT = "\n".join(
    (
        r"\ifdim\wd0>\linewidth\sbox0{\resizebox{\linewidth}{!}{\usebox0}}\fi",
        r"\ifdim\dimexpr\ht0+\dp0\relax>0.8\textheight\resizebox*{!}{0.8\textheight}{\usebox0}\else\usebox0\fi",
    )
)
"""What is wider than the text or higher than a page shrinks."""
_LEGEND_WORDS = (("best", "bold"), ("second", "underlined"), ("tie", ""))
