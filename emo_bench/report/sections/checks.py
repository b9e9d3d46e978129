"""Which metric orders which pair of anchors."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.columns import columns_of
from emo_bench.record.schema import AnchorCheck, RunRecord
from emo_bench.report.content import Cell, Head, Material, Notes, Row, Section, Table, Text
from emo_bench.report.sections import section

SIGNS = {"pass": "✓", "fail": "✕", "tie": "≈", "cannot": "○", "no_value": "–"}
WORDS = {"pass": "orders", "fail": "wrong order", "tie": "tie", "cannot": "cannot", "no_value": "no value"}
ABOUT = (
    "Anchors are systems whose order is known. A metric that cannot order two of them on this data says nothing about "
    "that kind of error here."
)


@section("checks", place=60, formats=("html",))
def checks(material: Material) -> Sequence[Section]:
    """The matrix of checks, and the failed ones in words; print has it as a figure."""
    table = check_matrix(material.run.record)
    if not table.rows:
        return ()
    failed = failed_checks(material.run.record)
    parts = (Text(ABOUT), table, *((Notes(failed, bad=True),) if failed else ()))
    return (Section("checks", "Does each metric see what it must see?", parts, main=True, nav="Anchor checks"),)


def check_matrix(record: RunRecord) -> Table:
    """A row for each value and a column for each pair of anchors; an empty cell where the pair is not checked."""
    columns = {(column.protocol.name, column.value.key): column for column in columns_of(record)}
    pairs = list(dict.fromkeys((check.better, check.worse) for check in record.checks))
    found = {(check.protocol, check.key, check.better, check.worse): check for check in record.checks}
    present = {(check.protocol, check.key) for check in record.checks}
    rows = tuple(
        Row(
            column.value.label,
            tuple(_cell(found.get((protocol, key, *pair))) for pair in pairs),
            tip=f"protocol {protocol}",
        )
        for (protocol, key), column in columns.items()
        if (protocol, key) in present and column.protocol.status == "ok"
    )
    heads = [f"{better} > {worse}" for better, worse in pairs]
    if len({better for better, _ in pairs}) == 1:
        # The better anchor is named once when it is the same in all columns.
        heads = [heads[0], *(f"> {worse}" for _, worse in pairs[1:])]
    return Table("checks", "", tuple(map(Head, heads)), rows, first="Metric", layout="matrix")


def _cell(check: AnchorCheck | None) -> Cell:
    if check is None:
        return Cell("")
    tip = f"{check.better} must come out better than {check.worse}\n{check.reason}"
    return Cell(WORDS[check.verdict], tip=tip, badge=check.verdict, sign=SIGNS[check.verdict])


def failed_checks(record: RunRecord) -> tuple[str, ...]:
    """A sentence for each check that failed."""
    labels = {(column.protocol.name, column.value.key): column.value.label for column in columns_of(record)}
    return tuple(
        f"{labels.get((check.protocol, check.key), check.key)}: {check.better} should come out better than "
        f"{check.worse}: {check.reason}"
        for check in record.checks
        if check.verdict == "fail"
    )
