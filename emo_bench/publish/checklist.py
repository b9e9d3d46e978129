"""A reproducibility checklist in the manner of NeurIPS, answered from a record alone; the rest is 'not recorded'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from emo_bench.record.schema import RunRecord
from emo_core.text import escape_markdown

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Item:
    """A question and what the record says to it.

    Attributes:
        section: Headline of the conference's checklist that it belongs to.
        question: The question.
        answer: From the record; ``not recorded`` when it says nothing.
    """

    section: str
    question: str
    answer: str

    @property
    def recorded(self) -> bool:
        """Whether the record answers it."""
        return self.answer != NOT_RECORDED


def checklist(record: RunRecord) -> tuple[Item, ...]:
    """All items in a fixed order.

    Args:
        record: A finished run; nothing but the record is looked at.
    """
    return tuple(Item(section, question, answer(record) or NOT_RECORDED) for section, question, answer in _ITEMS)


def checklist_markdown(record: RunRecord) -> str:
    """The checklist as Markdown."""
    lines = [f"# Reproducibility checklist: {escape_markdown(record.name)}", ""]
    lines.append(f"Answered from the run's record alone; what it does not show is “{NOT_RECORDED}”.")
    section = ""
    for item in checklist(record):
        if item.section != section:
            section = item.section
            lines += ["", f"## {section}", ""]
        sign = "x" if item.recorded else " "
        lines.append(f"- [{sign}] **{item.question}** {escape_markdown(item.answer)}")
    return "\n".join(lines) + "\n"


def _data(record: RunRecord) -> str:
    people = len({clip.identity for clip in record.clips})
    kind = "synthetic" if record.synthetic else "real"
    return (
        f"{record.dataset_name} ({kind} video): {len(record.clips)} clips of {people} people, "
        f"SHA-256 {record.digests.dataset} over all files, splits and reference frames."
    )


def _splits(record: RunRecord) -> str:
    counts = Counter(clip.split for clip in record.clips)
    return ", ".join(f"{name}: {count} clips" for name, count in sorted(counts.items()))


def _excluded(record: RunRecord) -> str:
    failed = [clip for clip in record.clips if clip.status == "failed"]
    kinds = Counter(failure.code for failure in record.failures)
    parts = [f"{record.counts.done} of {record.counts.planned} generated clips are complete"]
    if failed:
        parts.append(f"{len(failed)} clips could not be prepared")
    if kinds:
        parts.append("failures: " + ", ".join(f"{code} ×{count}" for code, count in sorted(kinds.items())))
    return "; ".join(parts) + "."


def _protocols(record: RunRecord) -> str:
    return ", ".join(protocol.name for protocol in record.protocols if protocol.status == "ok")


def _validity(record: RunRecord) -> str:
    if not record.checks:
        return ""
    counts = Counter(check.verdict for check in record.checks)
    judged = sum(counts[verdict] for verdict in ("pass", "fail", "tie"))
    return f"Anchors whose order is known: {counts['pass']} of {judged} orders come out right, {counts['fail']} wrong."


def _config(record: RunRecord) -> str:
    changed = f"; overrides: {', '.join(record.overrides)}" if record.overrides else ""
    return f"All values after defaults are in the record, SHA-256 {record.digests.config}{changed}."


def _systems(record: RunRecord) -> str:
    tested = [system for system in record.systems if not system.anchor]
    return ", ".join(f"{s.name} ({s.kind}, SHA-256 {s.digest[:16]} of options, weights and code)" for s in tested)


def _seeds(record: RunRecord) -> str:
    seeds = record.config.get("seeds")
    return f"Generation seeds {', '.join(map(str, seeds))}." if isinstance(seeds, list) and seeds else ""


def _error_bars(record: RunRecord) -> str:
    numbers = [value for value in record.values if value.value is not None]
    known = [value.interval for value in numbers if value.interval is not None]
    if not known:
        return ""
    levels = ", ".join(sorted({f"{100 * interval.level:g} %" for interval in known}))
    methods = "; ".join(sorted({interval.method for interval in known}))
    return f"{len(known)} of {len(numbers)} numbers have a {levels} confidence interval ({methods})."


def _significance(record: RunRecord) -> str:
    tested = [entry for entry in record.comparisons if entry.p_corrected is not None]
    if not tested:
        return ""
    decided = sum(entry.verdict in ("a_better", "b_better") for entry in tested)
    return (
        f"{len(tested)} paired comparisons on the same clips, p corrected for their number: "
        f"{decided} significant, {len(tested) - decided} not."
    )


def _small_samples(record: RunRecord) -> str:
    marked = sorted({value.watermark for value in record.values if value.watermark})
    return f"Marked as too small to quote without saying so: {', '.join(marked)}." if marked else ""


def _code(record: RunRecord) -> str:
    git = record.provenance.git
    version = f"emo-bench {record.provenance.emo_bench}"
    if git is None:
        return f"{version}; no commit."
    return f"{version}, commit {git.commit}{' with uncommitted changes' if git.dirty else ''}."


def _software(record: RunRecord) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(record.provenance.packages.items()))
    return f"Python {record.provenance.python}; {packages}." if packages else ""


def _hardware(record: RunRecord) -> str:
    host = ", ".join(f"{key} {value}" for key, value in record.provenance.host.items())
    return f"Device {record.provenance.device}; {host}." if host else ""


def _time(record: RunRecord) -> str:
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in record.timings.by_stage.items())
    reused = f" {record.timings.units_reused} units were reused." if record.timings.units_reused else ""
    return f"{record.timings.seconds:.0f} s in all{f' ({stages})' if stages else ''}.{reused}"


def _weights(record: RunRecord) -> str:
    weights = {w.file: w for protocol in record.protocols if protocol.status == "ok" for w in protocol.weights}
    return "; ".join(f"{w.file}: {w.licence}, SHA-256 {w.sha256[:16]}" for w in weights.values())


def _nothing(record: RunRecord) -> str:
    del record
    return ""


_ITEMS: tuple[tuple[str, str, Callable[[RunRecord], str]], ...] = (
    ("Experimental result reproducibility", "Are the data identified exactly?", _data),
    ("Experimental result reproducibility", "Are all settings given?", _config),
    ("Experimental result reproducibility", "Are the compared systems and their weights identified?", _systems),
    ("Experimental result reproducibility", "Are the random seeds stated?", _seeds),
    ("Experimental result reproducibility", "Is the version of the code stated?", _code),
    ("Experimental setting", "Are the data splits stated?", _splits),
    ("Experimental setting", "Is it said how every number was computed?", _protocols),
    ("Experimental setting", "Are the optimizer and the training of the systems described?", _nothing),
    ("Statistical significance", "Are error bars reported, with their method?", _error_bars),
    ("Statistical significance", "Were differences tested, with correction for their number?", _significance),
    ("Statistical significance", "Are samples that are too small marked?", _small_samples),
    ("Limitations", "Is it said what failed or was left out?", _excluded),
    ("Limitations", "Was it checked that the metrics see what they must see on these data?", _validity),
    ("Compute resources", "Is the hardware stated?", _hardware),
    ("Compute resources", "Is the time of the experiment stated?", _time),
    ("Compute resources", "Is the software stated?", _software),
    ("Compute resources", "Is the compute of the whole project stated, failed experiments too?", _nothing),
    ("Licences", "Are the licences of the metrics' weights stated?", _weights),
    ("Licences", "Are the licence and terms of the data stated?", _nothing),
    ("Ethics", "Did the people who are shown consent?", _nothing),
    ("Ethics", "Were human raters paid, and was their study reviewed?", _nothing),
    ("Ethics", "Are safeguards against misuse described?", _nothing),
)
