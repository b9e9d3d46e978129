"""Text that is safe where it is shown: in terminals, spreadsheets and Markdown; and numbers with fixed digits."""

from __future__ import annotations

import math
import re

_SPREADSHEET_COMMANDS = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def printable(text: str) -> str:
    r"""Text that cannot move a terminal's cursor or colour: control characters become visible escapes.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def file_name(text: str) -> str:
    """A name for a file or folder, whatever the text: at most 80 of letters, digits, '.', '_', '+' and '-'.

    >>> file_name("../../x"), file_name("a b"), file_name("..")
    ('_.._x', 'a_b', '_')
    """
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", text).lstrip(".-")[:80]
    return plain or "_"


def shortened(text: str, longest: int) -> str:
    """Text of at most so many letters; its end stays as well, by which names of one family differ.

    >>> shortened("emo-synth-step-000300", 15), shortened("short", 15)
    ('emo-syn…-000300', 'short')
    """
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[len(text) - end :]}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its word.

    >>> counted(1, "clip"), counted(12, "clip"), counted(2, "person", "people")
    ('1 clip', '12 clips', '2 people')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def csv_cell(value: str | float | int | bool | None) -> str | float | int:
    r"""A cell that no spreadsheet takes for a formula; numbers stay numbers.

    >>> csv_cell("=cmd()"), csv_cell(-1.5), csv_cell(None), csv_cell("plain")
    ("'=cmd()", -1.5, '', 'plain')

    Control characters become visible escapes; a bare carriage return would start a line of its own.

    >>> csv_cell("a\r=cmd()")
    'a\\r=cmd()'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else ""
    flat = printable(value.replace("\r\n", "\n").replace("\x00", ""))
    return f"'{flat}" if flat.lstrip(" \n").startswith(_SPREADSHEET_COMMANDS) else flat


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line, without mentions or markup.

    >>> print(escape_markdown("a|b <script>"))
    a\|b &lt;script&gt;
    """
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        escaped = escaped.replace(letter, entity)
    return escaped


def markdown_code(text: str) -> str:
    """Text as code in Markdown, on one line; nothing in it ends the code early.

    >>> markdown_code("a`b"), markdown_code("psnr/rgb@1")
    ("`a'b`", '`psnr/rgb@1`')
    """
    return f"`{printable(' '.join(text.split())).replace('`', chr(39))}`"


def format_number(value: float, decimals: int) -> str:
    """Fixed digits with a true minus sign; never ``-0.00``.

    >>> format_number(-0.001, 2), format_number(-1.5, 1), format_number(float("nan"), 1)
    ('0.00', '−1.5', 'undefined')
    """
    if not math.isfinite(value):
        return "undefined"
    text = f"{value:.{decimals}f}"
    negative = text.startswith("-") and float(text) != 0.0
    return ("−" if negative else "") + text.removeprefix("-")
