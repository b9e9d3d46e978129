"""What the HTML page shows of single clips: players, worst and best clips, every clip's values."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from emo_bench.record.columns import Column, columns_of, ordered_systems
from emo_bench.record.rows import ClipRow
from emo_bench.record.run_data import Preview, RunData
from emo_bench.report.speed import frame_rate
from emo_core.text import format_number

MAX_VIDEO_BYTES = 64 * 1024 * 1024
"""Videos beyond this sum stay outside of the page."""

MAX_CLIP_LINES = 2000
SHOWN_EXTREMES = 3


def players(run: RunData) -> dict[str, Any] | None:
    """Videos as base64, and for every clip which system's player shows which of them; None without videos."""
    if not run.previews:
        return None
    by_place = {(preview.clip, preview.system): preview for preview in run.previews}
    systems = ordered_systems(run.record)
    reasons = _failure_reasons(run)
    videos: list[str] = []
    clips: list[dict[str, Any]] = []
    spent, skipped = 0, 0
    for clip in dict.fromkeys(preview.clip for preview in run.previews):
        found = [by_place[clip, system.name] for system in systems if (clip, system.name) in by_place]
        size = sum(preview.path.stat().st_size for preview in found)
        if clips and spent + size > MAX_VIDEO_BYTES:
            skipped += 1
            continue
        spent += size
        tiles = []
        for system in systems:
            preview: Preview | None = by_place.get((clip, system.name))
            number = None
            if preview is not None:
                number = len(videos)
                videos.append(base64.b64encode(preview.path.read_bytes()).decode("ascii"))
            tiles.append(
                {
                    "system": system.name,
                    "anchor": system.anchor,
                    "video": number,
                    "reason": reasons.get((system.name, clip), "no video for this clip"),
                }
            )
        clips.append({"name": clip, "identity": run.identities.get(clip, ""), "tiles": tiles})
    left_out = f"{skipped} clips are left out to keep the file small." if skipped else ""
    return {"videos": videos, "clips": clips, "left_out": left_out, "fps": frame_rate(run.record)}


def _failure_reasons(run: RunData) -> Mapping[tuple[str, str], str]:
    reasons = {
        (system.name, clip.id): f"{clip.code}: {clip.reason}"
        for clip in run.record.clips
        if clip.status == "failed"
        for system in run.record.systems
    }
    reasons.update(
        {(item.system, item.clip): f"{item.code}: {item.reason}" for item in run.record.failures if item.clip}
    )
    return reasons


def clip_columns(run: RunData) -> tuple[Column, ...]:
    """The values that exist per clip."""
    return tuple(
        column
        for column in columns_of(run.record)
        if column.protocol.granularity == "clip" and column.protocol.status == "ok"
    )


def extremes(run: RunData) -> list[dict[str, Any]]:
    """For every per-clip value and system under test (anchors when there is none): the worst and the best clips."""
    systems = [system.name for system in ordered_systems(run.record) if not system.anchor]
    systems = systems or [system.name for system in ordered_systems(run.record) if system.kind != "ground_truth"]
    panels = []
    for column in clip_columns(run):
        cards = [card for name in systems if (card := _card(run, column, name))]
        if cards:
            rule = {
                "higher": "lowest first",
                "lower": "highest first",
                "closer_to_gt": "by distance to the same clip’s ground truth",
            }
            panels.append(
                {
                    "label": column.value.label,
                    "protocol": column.protocol.name,
                    "rule": rule[column.value.direction],
                    "cards": cards,
                }
            )
    return panels


def _card(run: RunData, column: Column, system: str) -> dict[str, Any] | None:
    protocol, key = column.protocol.name, column.value.key
    values = run.clip_means(system, protocol, key)
    if column.value.direction == "closer_to_gt":
        truth = run.clip_means(run.ground_truth, protocol, key) if run.ground_truth else {}
        costs = {clip: abs(value - truth[clip]) for clip, value in values.items() if clip in truth}
    else:
        sign = -1.0 if column.value.direction == "higher" else 1.0
        costs = {clip: sign * value for clip, value in values.items()}
    if not costs or (len(costs) > 1 and min(costs.values()) == max(costs.values())):
        return None
    order = sorted(costs, key=lambda clip: (-costs[clip], clip))
    # With few clips no clip is listed on both sides.
    half = max(1, min(SHOWN_EXTREMES, len(order) // 2))

    def items(clips: Sequence[str]) -> list[dict[str, str]]:
        return [{"clip": clip, "text": format_number(values[clip], column.value.decimals)} for clip in clips]

    best = list(reversed(order))[:half] if len(order) > 1 else []
    return {"system": system, "worst": items(order[:half]), "best": items(best)}


def per_clip(run: RunData, shown_clips: Sequence[str]) -> dict[str, Any]:
    """One line per clip, system and seed with all per-clip values.

    Args:
        run: The run.
        shown_clips: Clips that have players.
    """
    columns = clip_columns(run)
    playable = set(shown_clips)
    grouped: dict[tuple[str, str, int], dict[tuple[str, str], ClipRow]] = {}
    for row in run.rows:
        grouped.setdefault((row.clip, row.system, row.seed), {})[row.protocol, row.key] = row
    order = {system.name: place for place, system in enumerate(ordered_systems(run.record))}
    keys = sorted(grouped, key=lambda key: (key[0], order.get(key[1], len(order)), key[2]))
    lines = []
    for clip, system, seed in keys[:MAX_CLIP_LINES]:
        found = grouped[clip, system, seed]
        identity = next(iter(found.values())).identity
        cells = [_clip_cell(column, found.get((column.protocol.name, column.value.key))) for column in columns]
        lines.append(
            {
                "clip": clip,
                "identity": identity,
                "system": system,
                "seed": seed,
                "cells": cells,
                "playable": clip in playable,
                "search": f"{clip} {identity} {system}",
            }
        )
    beyond = len(keys) - len(lines)
    return {
        "columns": columns,
        "rows": lines,
        "systems": list(dict.fromkeys(key[1] for key in sorted(keys, key=lambda key: order.get(key[1], len(order))))),
        "seeds": len({seed for _, _, seed in keys}) > 1,
        "left_out": f"{beyond} more lines are in clips.parquet; `emo-bench export` writes them as CSV."
        if beyond
        else "",
    }


def _clip_cell(column: Column, row: ClipRow | None) -> dict[str, Any]:
    if row is None:
        return {"value": None, "text": "missing", "tip": "the run holds no such value"}
    if row.value is None:
        return {"value": None, "text": row.status, "tip": row.reason}
    return {"value": row.value, "text": format_number(row.value, column.value.decimals), "tip": ""}
