"""Results of a system for its model card: the ``model-index`` that model hubs read, with protocol and interval."""

from __future__ import annotations

import io
import math
from typing import Any

from emo_bench.record.columns import Column, columns_of
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord, ValueEntry
from emo_core.errors import ConfigError
from emo_core.text import escape_markdown, format_number

TASK = {"type": "image-to-video", "name": "Audio-driven talking portrait"}


def chosen_system(record: RunRecord, name: str | None) -> str:
    """The system that a card is about: the named one, or the only one under test.

    Raises:
        ConfigError: when there is no such system, or several and none was named.
    """
    names = [system.name for system in record.systems if not system.anchor]
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        raise ConfigError(
            "the run has several systems" if name is None else f"the run has no system {name!r} under test",
            expected=f"--system with one of: {', '.join(names) or '(none)'}",
        )
    return name


def model_index(run: RunData, system: str) -> dict[str, Any]:
    """The block ``model-index`` as plain values; values that are missing are left out.

    Args:
        run: A run as it was written.
        system: Name of a system under test.

    Raises:
        ConfigError: when the run was changed after it was written, or the system has no value.
    """
    if run.damage:
        raise ConfigError("the run is not as it was written", found=run.damage[0])
    record = run.record
    entries = {(v.protocol, v.key): v for v in record.values if v.system == system}
    metrics = [
        _metric(column, entry)
        for column in columns_of(record)
        if (entry := entries.get((column.protocol.name, column.value.key))) is not None and _is_number(entry)
    ]
    if not metrics:
        raise ConfigError(f"{system} has no value in this run", expected="at least one number")
    splits = sorted({clip.split for clip in record.clips})
    dataset = {
        "name": record.dataset_name,
        "type": record.dataset_name,
        "split": ", ".join(splits),
        "revision": record.digests.dataset,
        "args": {"clips": len(record.clips), "synthetic": record.synthetic},
    }
    results = [{"task": dict(TASK), "dataset": dataset, "metrics": metrics}]
    return {"model-index": [{"name": system, "results": results}]}


def _is_number(entry: ValueEntry) -> bool:
    return entry.status == "ok" and entry.value is not None and math.isfinite(entry.value)


def _metric(column: Column, entry: ValueEntry) -> dict[str, Any]:
    interval = entry.interval
    arguments: dict[str, Any] = {
        "protocol": column.protocol.name,
        "direction": column.value.direction,
        "clips": entry.n_scored,
        "clips_planned": entry.n_planned,
    }
    if interval is not None:
        arguments |= {"low": interval.low, "high": interval.high, "level": interval.level}
    if entry.gap_to_ground_truth is not None:
        arguments["distance_to_ground_truth"] = entry.gap_to_ground_truth
    if entry.watermark:
        arguments["small_sample"] = entry.watermark
    return {
        "type": column.value.key,
        "name": f"{column.value.label} ({column.protocol.name})",
        "value": entry.value,
        "args": arguments,
    }


def model_index_yaml(run: RunData, system: str) -> str:
    """The block as YAML."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(model_index(run, system), stream)
    return stream.getvalue()


def model_card(run: RunData, system: str) -> str:
    """A model card to begin with: the block as front matter, the same numbers as a table, what made them."""
    block = model_index_yaml(run, system)
    record = run.record
    entries = {(v.protocol, v.key): v for v in record.values if v.system == system}
    lines = [f"---\n{block}---", "", f"# {escape_markdown(system)}", "", "## Evaluation", ""]
    kind = "synthetic clips" if record.synthetic else "clips"
    seal = record.seal.record[:16] if record.seal is not None else "unsealed"
    lines += [
        f"{len(record.clips)} {kind} of {escape_markdown(record.dataset_name)} "
        f"(SHA-256 `{record.digests.dataset[:16]}`), emo-bench {record.provenance.emo_bench}, record `{seal}`.",
        "",
        "| Value | | Interval | Protocol | Clips |",
        "| :-- | --: | :-- | :-- | --: |",
    ]
    for column in columns_of(record):
        entry = entries.get((column.protocol.name, column.value.key))
        if entry is not None and _is_number(entry) and entry.value is not None:
            lines.append(_line(column, entry, entry.value))
    return "\n".join(lines) + "\n"


def _line(column: Column, entry: ValueEntry, value: float) -> str:
    digits = column.value.decimals
    interval = entry.interval
    ends = ""
    if interval is not None:
        ends = f"{format_number(interval.low, digits)} to {format_number(interval.high, digits)}"
    label = f"{escape_markdown(column.value.label)} {column.arrow}"
    clips = f"{entry.n_scored}/{entry.n_planned}"
    return f"| {label} | {format_number(value, digits)} | {ends} | `{column.protocol.name}` | {clips} |"
