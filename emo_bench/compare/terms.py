"""The conditions under which two records are comparable: data, media rules, image sizes, protocols, seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emo_bench.config.schema import Media
from emo_bench.record.schema import ClipEntry, ProtocolEntry, RunRecord


def other_media(a: RunRecord, b: RunRecord) -> Iterator[str]:
    """Sentences on media rules and prepared clips that are not the same; numbers depend on both."""
    rules = [{**Media().model_dump(mode="json"), **_mapping(record.config.get("media"))} for record in (a, b)]
    for key in dict.fromkeys([*rules[0], *rules[1]]):
        values = [rule.get(key) for rule in rules]
        if values[0] != values[1]:
            yield f"The media rules differ: {key} is {_said(values[0])} and {_said(values[1])}."
    first, second = ({clip.id: clip for clip in record.clips} for record in (a, b))
    shared = sorted(set(first) & set(second))
    for what, of in (("frames of another size or length", _shape), ("another identity", _identity)):
        other = [clip for clip in shared if of(first[clip]) != of(second[clip])]
        if other:
            name = other[0]
            yield (f"{len(other)} clips have {what}, for example {name!r}: {of(first[name])} and {of(second[name])}.")


def other_protocol(a: ProtocolEntry, b: ProtocolEntry) -> str:
    """What is not the same in two protocols of one name, in words; empty when nothing is."""
    parts = {
        "weights": a.weights != b.weights,
        "values": a.values != b.values,
        "extractors": a.extractors != b.extractors,
        "granularity": a.granularity != b.granularity,
    }
    return " and ".join(name for name, differs in parts.items() if differs)


def _shape(clip: ClipEntry) -> str:
    return f"{clip.n_frames} frames, {clip.width} x {clip.height}" if clip.status == "ok" else clip.code or clip.status


def _identity(clip: ClipEntry) -> str:
    return repr(clip.identity)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return " x ".join(str(part) for part in value.values())
    return "the source's own" if value is None else repr(value)
