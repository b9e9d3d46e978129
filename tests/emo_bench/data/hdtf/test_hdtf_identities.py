"""The test split of HDTF: a tenth of the people, the same on every machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emo_bench.data.hdtf.identities import (
    SHARE,
    choose_test_identities,
    draw,
    identity_of,
    list_text,
    read_test_identities,
)
from emo_core.errors import DataError

ROOT = Path(__file__).resolve().parents[4]
COMMITTED = ROOT / "emo_bench" / "data" / "hdtf" / "test_identities.txt"
SHOWN = ROOT / "configs" / "datasets" / "hdtf_test_identities.txt"


def remarks() -> dict[str, str]:
    return dict(re.findall(r"^# ([a-z ]+): (\S+)$", COMMITTED.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_the_two_copies_are_one() -> None:
    assert SHOWN.read_bytes() == COMMITTED.read_bytes()


def test_the_list_is_what_the_function_gives() -> None:
    names, said = read_test_identities(), remarks()
    everyone = int(said["identities in all"])
    assert len(names) == round(SHARE * everyone)
    assert max(draw(name, seed=int(said["seed"])) for name in names) == said["largest digest chosen"]
    # Whoever was not chosen has a larger digest; such strangers are found by trying.
    strangers = [name for name in map("Nobody{}".format, range(2000)) if draw(name) > said["largest digest chosen"]]
    assert len(strangers) > everyone
    together = {*names, *strangers[: everyone - len(names)]}
    assert set(choose_test_identities(together)) == names
    assert list_text(together) == COMMITTED.read_text(encoding="utf-8")


def test_another_seed_chooses_others() -> None:
    people = [f"Person{number}" for number in range(200)]
    first, second = choose_test_identities(people), choose_test_identities(people, seed=1)
    assert len(first) == len(second) == 20
    assert set(first) != set(second)
    assert choose_test_identities(reversed(people)) == first
    assert choose_test_identities(["only"]) == ["only"]


def test_people_are_names_without_numbers() -> None:
    names = read_test_identities()
    assert not [name for name in names if name[-1].isdigit() and not name.startswith("Radio")]
    assert identity_of("WDA", "WhipJimClyburn") == identity_of("WDA", "JamesClyburn1") == "JamesClyburn"
    assert identity_of("RD", "Radio1") != identity_of("RD", "Radio2")
    assert identity_of("WDA", "007") == "007"


def test_lists_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_test_identities(tmp_path / "absent")
    (tmp_path / "empty").write_text("# nobody\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="empty"):
        read_test_identities(tmp_path / "empty")
