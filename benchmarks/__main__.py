"""What this machine needs for an evaluation, as one table: ``python -m benchmarks`` (docs/benchmarks.md).

Times are processor seconds, decoding processes included, so that they mean something on a busy machine; only ``ray``
is by the clock. ``--check`` measures the ratios of ``LIMITS`` on small made-up clips and fails when one is exceeded;
ratios within one run depend little on the machine.

    python -m benchmarks                          # all parts
    python -m benchmarks store scoring            # some of them
    python -m benchmarks --check store start-up   # for continuous integration, about half a minute of processor time
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.many_clips import many_clips
from benchmarks.parts import Row, emo, machine, ray, scoring, startup, store


def inference(folder: Path) -> list[Row]:
    """See ``benchmarks.inference``; imported only here, since torch takes memory that the other parts measure."""
    from benchmarks.inference import inference as measure

    return measure(folder)


def gpu(folder: Path) -> list[Row]:
    """See ``benchmarks.gpu``; imported only here for the same reason."""
    from benchmarks.gpu import gpu as measure

    return measure(folder)


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "start-up": startup,
    "store": store,
    "scoring": scoring,
    "inference": inference,
    "clips": many_clips,
    "emo": emo,
    "ray": ray,
    "gpu": gpu,
}

LIMITS = {
    "store / files scored": 5.0,
    "store / one lossless copy a clip": 0.05,
    "reading by recipe / reading a copy": 1.6,
    "validate / start of Python": 45.0,
    "memory gained in generate / most resident": 0.1,
    "four times the clips in generate / once": 6.0,
    "four times the clips in score / once": 6.0,
    "four times the clips in report / once": 6.0,
    "opening report.html / an empty page": 4.0,
    "Inception, a frame: openvino / torch": 1.1,
    "I3D, 16 frames: openvino / torch": 0.9,
    "LPIPS alex, a pair of 256 x 256: openvino / torch": 1.1,
}
"""The most that a ratio may be."""


CHECKED = ("start-up", "store", "clips", "inference")
"""The parts that give such ratios."""


def main(arguments: list[str] | None = None) -> int:
    """Prints the table and returns 1 when a checked ratio is too high."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything when absent")
    parser.add_argument("--check", action="store_true", help="fail when a ratio is above its limit")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    asked = parser.parse_args(arguments)
    rows = machine()
    with tempfile.TemporaryDirectory(prefix="emo-bench-benchmark-") as folder:
        for name in asked.parts or PARTS:
            sys.stderr.write(f"{name} ...\n")
            place = Path(folder) / name
            place.mkdir()
            rows += PARTS[name](place)
    sys.stdout.write(table(rows) + "\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps([row.__dict__ for row in rows], indent=2) + "\n", encoding="utf-8")
    wrong = [text for text in map(complaint, rows) if text] if asked.check else []
    if asked.check:
        wrong += [
            f"{name}: nothing was checked: expected a ratio with a limit, found none (is what it measures installed?)"
            for name in asked.parts
            if name in CHECKED and not any(row.part == name and row.what in LIMITS for row in rows)
        ]
    if asked.check and not any(row.what in LIMITS for row in rows):
        wrong.append("nothing was checked: expected a ratio with a limit, found none here (is openvino installed?)")
    for text in wrong:
        sys.stderr.write(text + "\n")
    return 1 if wrong else 0


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| part | what | value | unit |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {row.part} | {row.what} | {row.shown} | {row.unit} |" for row in rows)])


def complaint(row: Row) -> str:
    """Why a row is worse than allowed; empty when it is not."""
    limit = LIMITS.get(row.what)
    if limit is None or not isinstance(row.value, float) or row.value <= limit:
        return ""
    return f"{row.what}: expected at most {limit:g}, found {row.value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
