"""What generation cost: seconds for each second of video, and the quality that they bought."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from statistics import median

from emo_bench.config.schema import rate_from_text
from emo_bench.record.columns import ordered_systems
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord, SystemEntry
from emo_core.text import format_number

STEP_OPTIONS = ("steps", "sampling_steps", "inference_steps", "num_inference_steps")
"""Options that say in how many steps a system denoises."""


@dataclass(frozen=True)
class SpeedRow:
    """The speed of one system.

    Attributes:
        system: The system.
        median: Wall seconds for one second of video, median over clips.
        mean: The same over all clips together, so that the first clip's loading of the model is in it.
        frames_per_second: Frames made in a second of wall time, from the median.
        n_clips: Clips that were timed.
    """

    system: SystemEntry
    median: float
    mean: float
    frames_per_second: float
    n_clips: int


def frame_rate(record: RunRecord) -> float:
    """Frames per second of the run; 25 when its settings cannot be read."""
    try:
        return float(rate_from_text(str(record.config.get("media", {}).get("fps", "25"))))
    except (ValueError, ZeroDivisionError, AttributeError):
        return 25.0


def speed_rows(run: RunData) -> tuple[SpeedRow, ...]:
    """One row for each system with timed clips, anchors first; none when no system under test was timed."""
    fps = frame_rate(run.record)
    frames = {clip.id: clip.n_frames for clip in run.record.clips if clip.n_frames > 0}
    rows = []
    for system in ordered_systems(run.record):
        timed = [item for item in run.unit_times if item.system == system.name and item.clip in frames]
        if not timed or system.kind == "ground_truth":
            continue
        ratios = [item.seconds * fps / frames[item.clip] for item in timed]
        length = sum(frames[item.clip] for item in timed) / fps
        middle = median(ratios)
        total = sum(item.seconds for item in timed)
        rows.append(SpeedRow(system, middle, total / length, fps / middle, len(timed)))
    return tuple(rows) if any(not row.system.anchor for row in rows) else ()


def speed_notes(run: RunData) -> tuple[str, ...]:
    """What the times are and are not."""
    made = run.record.provenance
    execution = run.record.config.get("execution", {})
    workers = execution.get("workers") if isinstance(execution, dict) else None
    processor = made.host.get("processor", "")
    where = f"{made.device} ({processor})" if processor else made.device
    shared = f", {workers} at once" if isinstance(workers, int) and workers > 1 else ""
    return (
        f"Wall time of a worker on {where}{shared}: reading the input, generating, and storing the clip without loss; "
        "the rows of the anchors show how much of it is not generation. Clips that were in the store already are not "
        "timed. Peak memory is not recorded.",
    )


def significant(value: float) -> str:
    """Three significant digits, without an exponent.

    >>> significant(123.4), significant(12.34), significant(0.01234)
    ('123', '12.3', '0.0123')
    """
    if value == 0 or not math.isfinite(value):
        return format_number(value, 0)
    return format_number(value, min(max(0, 2 - math.floor(math.log10(abs(value)))), 6))


@dataclass(frozen=True)
class StepGroup:
    """Systems that are equal but for their number of denoising steps.

    Attributes:
        option: Name of the option.
        systems: (steps, system), fewest steps first.
    """

    option: str
    systems: tuple[tuple[int, SystemEntry], ...]


def step_groups(record: RunRecord) -> tuple[StepGroup, ...]:
    """Groups of at least two systems under test that differ in nothing but their steps."""
    found: dict[tuple[str, str, str], dict[int, SystemEntry]] = {}
    for system in record.systems:
        for option in STEP_OPTIONS:
            steps = system.options.get(option)
            if system.anchor or not isinstance(steps, int) or isinstance(steps, bool):
                continue
            rest = {key: value for key, value in system.options.items() if key != option}
            place = (system.kind, option, json.dumps(rest, sort_keys=True, default=str))
            found.setdefault(place, {}).setdefault(steps, system)
    return tuple(
        StepGroup(option, tuple(sorted(group.items()))) for (_, option, _), group in found.items() if len(group) > 1
    )
