"""The values of a record as columns, and its systems as rows, in the order that every table uses."""

from __future__ import annotations

from dataclasses import dataclass

from emo_bench.record.schema import ProtocolEntry, RunRecord, SystemEntry, ValueDescription

ARROWS = {"higher": "↑", "lower": "↓", "closer_to_gt": "→GT"}
DIRECTION_WORDS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "closer_to_gt": "closer to the ground truth's value is better",
}


@dataclass(frozen=True)
class Column:
    """One value of one protocol.

    Attributes:
        protocol: The protocol.
        value: The value's description.
    """

    protocol: ProtocolEntry
    value: ValueDescription

    @property
    def id(self) -> str:
        """``protocol#key``, unique in a run."""
        return f"{self.protocol.name}#{self.value.key}"

    @property
    def arrow(self) -> str:
        """Which way it improves, as a sign."""
        return ARROWS[self.value.direction]


def columns_of(record: RunRecord) -> tuple[Column, ...]:
    """All values of all protocols, in the order that the protocols declare; equal places as the suite lists them."""
    columns = [Column(protocol, value) for protocol in record.protocols for value in protocol.values]
    return tuple(sorted(columns, key=lambda column: column.protocol.order))


def clip_columns(record: RunRecord) -> tuple[Column, ...]:
    """The values that exist per clip."""
    return tuple(
        column
        for column in columns_of(record)
        if column.protocol.granularity == "clip" and column.protocol.status == "ok"
    )


def ordered_systems(record: RunRecord) -> tuple[SystemEntry, ...]:
    """Ground truth, then the other anchors, then the systems under test; within each as the suite lists them."""
    return tuple(
        sorted(record.systems, key=lambda system: (not system.anchor, system.anchor and system.kind != "ground_truth"))
    )
