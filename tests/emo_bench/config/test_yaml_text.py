"""YAML from anywhere: small texts cannot ask for gigabytes, minutes, objects or a traceback."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_bench.config.load import parse_yaml, read_yaml
from emo_bench.config.schema import Media, rate_from_text
from emo_bench.config.yaml_text import MAX_BYTES, MAX_DEPTH, plain_values
from emo_core.errors import ConfigError

BOMB = "\n".join(
    ["a0: &a0 [" + ",".join(["lol"] * 9) + "]"]
    + [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 10)]
)
MERGES = "m0: &m0 {k: 1}\n" + "\n".join(
    f"m{n}: &m{n} {{<<: *m{n - 1}, x{n}: *m{n - 1}, y{n}: *m{n - 1}}}" for n in range(1, 30)
)

REFUSED = {
    "alias bomb": (BOMB, "too much in one file"),
    "merge bomb": (MERGES, "nested too deeply|too much in one file"),
    "long text copied by aliases": ("a: &a " + "x" * 900_000 + "\nb: [" + ",".join(["*a"] * 900) + "]", "too much"),
    "many aliases": ("a: &a 1\nb: [" + ",".join(["*a"] * 2000) + "]", "too many aliases"),
    "cyclic merge": ("a: &a\n  <<: *a\n", "contains itself"),
    "cyclic list": ("a: &a [1, *a]", "contains itself"),
    "deep lists": ("a: " + "[" * 100_000, "nested too deeply"),
    "deep mappings": ("a: " + "{b: " * 5000, "nested too deeply"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(900)), "nested too deeply"),
    "depth by aliases": (
        "a0: &a0 [1]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)),
        "nested too deeply",
    ),
    "long integer": ("a: " + "9" * 5000, "number is too long"),
    "long hexadecimal": ("a: 0x" + "f" * 5000, "number is too long"),
    "long float": ("a: 1." + "0" * 5000, "number is too long"),
    "python object": ("a: !!python/object/apply:os.system ['true']", "tags are not read"),
    "python name": ("a: !!python/name:os.system", "tags are not read"),
    "binary": ("a: !!binary 'AAAA!!'", "tags are not read"),
    "wrong int": ("a: [!!int abc]", "tags are not read"),
    "own tag": ("a: !secret x", "tags are not read"),
    "tag on a mapping": ("a: !!set {b, c}", "tags are not read"),
    "timestamp": ("a: !!timestamp 2001-02-30", "tags are not read"),
    "list as key": ("? [a, b]\n: 1", "key is not plain text"),
    "half a character": ('a: "x\\ud800"', "half a character"),
    "half a character in a key": ('"\\udc00": 1', "half a character"),
    "too large": ("a: 1\n" + "# " + "x" * MAX_BYTES, "too large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_goes_beyond_the_limits_is_one_line_of_error_at_once(case: str) -> None:
    text, words = REFUSED[case]
    started = time.process_time()
    with pytest.raises(ConfigError, match=words) as caught:
        parse_yaml(text, path=Path("a.yaml"))
    assert time.process_time() - started < 20
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("a.yaml")
    assert len(str(caught.value)) < 500


def test_what_stays_within_them_is_read() -> None:
    nested = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse_yaml(nested).values["a"] == eval("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))  # noqa: S307
    text = "a: &x [1, two]\nb: *x\nc: {<<: [{d: 1}, {d: 2, e: 3}], e: 4}\n'<<': 5\nf: 2001-99-99\ng: 1_000\n"
    values, lines = plain_values(text, name="t")
    assert values == {
        "a": [1, "two"], "b": [1, "two"], "c": {"d": 1, "e": 4}, "<<": 5, "f": "2001-99-99", "g": 1000
    }  # fmt: skip
    assert (lines["a", 0], lines["b",], lines["c", "e"], lines["f",]) == (1, 2, 3, 5)


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ConfigError, match="too large"):
        read_yaml(path)


@given(st.text(alphabet="ab:-[]{},&*!|>'\"?#%<\n\t \\0x.1e", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_as_the_library_reads_it_or_refused(text: str) -> None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = parse_yaml(text).values
    except ConfigError:
        return
    try:
        expected = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, OverflowError):
        return  # dates that are none, for example: text for us
    assert _as_text(values) == _as_text(expected)


def _as_text(value: object) -> object:
    """Values with keys and odd scalars as text, since only their kind may differ."""
    if isinstance(value, dict):
        return {_key(key): _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if isinstance(value, (str, bool)) or value is None else f"{float(value):g}"


def _key(key: object) -> str:
    if isinstance(key, bool) or key is None:
        return "other"
    return f"{float(key):g}" if isinstance(key, (int, float)) else _number(key)


def _number(key: object) -> str:
    try:
        return f"{float(int(str(key), 0)):g}"
    except ValueError:
        pass
    try:
        return f"{float(str(key)):g}"
    except ValueError:
        return "other" if str(key) in ("", "~") else str(key)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_yaml('a: "\\ud83d\\ude00"', path=Path("a.yaml")).values == {"a": "\U0001f600"}


@pytest.mark.parametrize("text", ["1e999999999", "1/0", "25/0", "nan", "-25", " 25", "9" * 5000, "1e2", "2_5", "٢٥"])
def test_a_rate_is_an_integer_a_fraction_or_a_decimal(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match="integer or a fraction"):
        rate_from_text(text)
    with pytest.raises(ValueError, match="integer or a fraction"):
        Media(fps=text)
    assert time.process_time() - started < 5
    assert Media(fps="30000/1001").rate * 1001 == 30000
    assert float(Media(fps="29.97").rate) == 29.97
