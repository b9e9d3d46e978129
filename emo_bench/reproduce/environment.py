"""What software and machine differ between two records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emo_bench.record.schema import Provenance


@dataclass(frozen=True)
class Change:
    """Something about the environment that is not as it was."""

    what: str
    before: str
    after: str


def environment_changes(before: Provenance, after: Provenance) -> tuple[Change, ...]:
    """Everything in the provenance that differs: version, commit, interpreter, packages, device, machine."""
    return tuple(
        Change(what, a or "not there", b or "not there")
        for what, a, b in _pairs(before, after)
        if (a or "") != (b or "")
    )


def _pairs(before: Provenance, after: Provenance) -> Iterator[tuple[str, str | None, str | None]]:
    yield "emo-bench", before.emo_bench, after.emo_bench
    yield "commit", _commit(before), _commit(after)
    yield "python", before.python, after.python
    yield "device", before.device, after.device
    for name in sorted({*before.packages, *after.packages}):
        yield f"package {name}", before.packages.get(name), after.packages.get(name)
    for name in sorted({*before.host, *after.host}):
        yield f"host {name}", before.host.get(name), after.host.get(name)


def _commit(provenance: Provenance) -> str | None:
    if provenance.git is None:
        return None
    return provenance.git.commit[:12] + (" with changes" if provenance.git.dirty else "")
