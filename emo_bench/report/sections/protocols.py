"""The protocols of the run, with everything that their numbers depend on."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.columns import DIRECTION_WORDS
from emo_bench.record.schema import ProtocolEntry, ValueDescription
from emo_bench.report.content import Entries, Entry, Fact, Material, Section, Text
from emo_bench.report.sections import section

ABOUT = (
    "A protocol fixes everything that a number depends on. Numbers of different protocols are never ranked together."
)


@section("protocols", place=130, formats=("html", "pdf"))
def protocols(material: Material) -> Sequence[Section]:
    """An entry for each protocol."""
    entries = Entries(tuple(map(_entry, material.run.record.protocols)))
    return (Section("protocols", "Protocols", (Text(ABOUT), entries), main=True, nav="Protocols"),)


def _entry(protocol: ProtocolEntry) -> Entry:
    off = protocol.status != "ok"
    taken = "per clip, then averaged over clips" if protocol.granularity == "clip" else "per set of clips"
    facts = [
        Fact("Status", protocol.reason),
        Fact("Values", "; ".join(map(_value, protocol.values))),
        Fact("Taken", taken),
        Fact("Extractors", ", ".join(protocol.extractors)),
        *(
            Fact(
                "Weights",
                f"{entry.file}, {entry.licence}{', no commercial use' if entry.non_commercial else ''}, SHA-256",
                entry.sha256,
            )
            for entry in protocol.weights
        ),
        Fact("Source", protocol.source),
    ]
    tag = "not computed" if off else protocol.family
    return Entry(protocol.name, protocol.title, tag, off, tuple(fact for fact in facts if fact.text))


def _value(value: ValueDescription) -> str:
    unit = f", {value.unit}" if value.unit else ""
    return f"{value.label} ({value.key}{unit}): {DIRECTION_WORDS[value.direction]}"
