"""What made the numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from emo_bench.record.schema import RunRecord
from emo_bench.report.content import Fact, Facts, Listing, Material, Section
from emo_bench.report.notes import duration
from emo_bench.report.sections import section


@section("provenance", place=140, formats=("pdf",))
def provenance(material: Material) -> Sequence[Section]:
    """Versions, devices, digests and times."""
    return (Section("provenance", "Provenance", (provenance_facts(material.run.record),), main=True),)


@section("page-provenance", place=140, formats=("html",))
def page_provenance(material: Material) -> Sequence[Section]:
    """The same with all settings, which print has no room for."""
    record = material.run.record
    settings = json.dumps(record.config, indent=2, ensure_ascii=False, default=str)
    parts = (
        provenance_facts(record),
        Listing("Suite file as given", record.config_given),
        Listing("All settings after defaults and overrides", settings),
    )
    return (Section("provenance", "Provenance", parts, main=True, nav="Provenance"),)


def provenance_facts(record: RunRecord) -> Facts:
    """What made the numbers, without what is not known."""
    made = record.provenance
    git = f"{made.git.commit}{', with uncommitted changes' if made.git.dirty else ''}" if made.git else "no repository"
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record.timings.by_stage.items())
    facts = (
        Fact("Run", f"{record.name}, {record.status}"),
        Fact("Started", record.timings.started),
        Fact("Finished", f"{record.timings.finished} ({duration(record.timings.seconds)})"),
        Fact("Work by stage", stages),
        Fact("Units", f"{record.timings.units_computed} computed, {record.timings.units_reused} reused"),
        Fact("Data set", f"{record.dataset_name}, SHA-256 {record.digests.dataset}"),
        Fact("Configuration", f"SHA-256 {record.digests.config}"),
        Fact("Overrides", ", ".join(record.overrides)),
        Fact("Git", git),
        Fact("emo-bench", made.emo_bench),
        Fact("Python", made.python),
        Fact("Device", made.device),
        Fact("Host", ", ".join(f"{key} {value}" for key, value in made.host.items())),
        Fact("Packages", ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))),
        Fact("Systems", "; ".join(f"{system.name} ({system.kind}, {system.digest[:12]})" for system in record.systems)),
    )
    return Facts(tuple(fact for fact in facts if fact.text))
