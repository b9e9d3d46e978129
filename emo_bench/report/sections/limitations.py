"""What the numbers of the run do not show."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.schema import RunRecord
from emo_bench.report.content import Material, Notes, Section
from emo_bench.report.notes import SYNTHETIC_NOTICE
from emo_bench.report.sections import section


@section("limitations", place=100, formats=("pdf",))
def limitations(material: Material) -> Sequence[Section]:
    """A list of sentences."""
    return (Section("limitations", "Limitations", (Notes(limitation_sentences(material.run.record)),), main=True),)


def limitation_sentences(record: RunRecord) -> tuple[str, ...]:
    """What a reader must not conclude."""
    people = len({clip.identity for clip in record.clips})
    sentences = [SYNTHETIC_NOTICE] if record.synthetic else []
    sentences.append(
        f"Intervals and tests resample people, and there {'is' if people == 1 else 'are'} {people}: they say nothing "
        "about people, languages or recording conditions that are not in the data."
    )
    families = sorted({protocol.family for protocol in record.protocols if protocol.status == "ok"} - {"reference"})
    if families:
        sentences.append(
            f"Values of the {' and '.join(families)} protocols use other networks than the papers and compare with no "
            "published number."
        )
    if len(record.config.get("seeds", [0])) == 1:
        sentences.append("Each clip was generated once, so chance within a system is not part of the intervals.")
    undecided = sorted({check.protocol for check in record.checks if check.verdict in ("fail", "tie")})
    if undecided:
        sentences.append(f"These metrics did not order all anchors on this data: {', '.join(undecided)}.")
    absent = [protocol.name for protocol in record.protocols if protocol.status != "ok"]
    if absent:
        sentences.append(f"Not computed: {', '.join(absent)}.")
    return tuple(sentences)
