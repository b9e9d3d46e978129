"""Digests: equal values give equal digests, other values others, on every machine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_core.hashing import canonical_json, digest_of, sha256_bytes, sha256_file

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def backwards(value: Any) -> Any:
    """The same value with every mapping built in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_canonical_json_is_json_and_knows_no_order(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert canonical_json(backwards(value)) == text
    assert canonical_json(json.loads(text)) == text


@given(VALUES, VALUES)
def test_other_values_have_other_digests(first: Any, second: Any) -> None:
    assert (canonical_json(first) == canonical_json(second)) == (digest_of(first) == digest_of(second))


def test_one_and_one_point_zero_and_true_are_different_values() -> None:
    assert len({digest_of(value) for value in (1, 1.0, True, "1", [1])}) == 5


def test_plain_forms_of_special_values() -> None:
    assert canonical_json(Fraction(30000, 1001)) == '"30000/1001"'
    assert canonical_json({"p": Path("a") / "b", "t": (1, 2)}) == '{"p":"a/b","t":[1,2]}'
    assert canonical_json({3, 1, 2}) == canonical_json(frozenset({2, 3, 1})) == "[1,2,3]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_no_identity_for_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


@pytest.mark.parametrize("value", [b"ab", bytearray(b"ab"), object(), {"a": {1j}}, PurePosixPath])
def test_no_identity_for_what_is_not_plain(value: Any) -> None:
    with pytest.raises(TypeError, match="not a plain value"):
        canonical_json(value)


def test_the_digest_does_not_depend_on_the_process() -> None:
    program = "from emo_core.hashing import digest_of; print(digest_of({'b': {'x', 'y', 'z'}, 'a': 0.1}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {digest_of({"a": 0.1, "b": {"x", "y", "z"}}) + "\n"}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_files_are_hashed_whole(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "f").write_bytes(data[:size])
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data[:size]).hexdigest() == sha256_bytes(data[:size])
