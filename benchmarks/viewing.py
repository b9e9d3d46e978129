"""What ``emo-bench view`` costs a running suite: ``python -m benchmarks.viewing [--rounds N] [--clips N]``.

The same suite runs with a fresh store alternately alone and while a viewer follows it, asked for its list every two
seconds as the page does. Processor seconds are taken from the system, so that other work counts little; the
viewer's are held against the time by the clock, since it is asked by the clock, however slowly the suite gets on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITE = """\
name: watched
dataset: {{kind: hdtf-synth, slice: mini, max_clips: {clips}}}
metrics: [sync/synth@1, f-sim/synth@1, psnr/rgb@1, ssim/gauss11@1]
execution: {{workers: 1}}
"""
PERIOD_S = 2.0
"""Of the page's own look at the list."""


def run_suite(folder: Path) -> float:
    """Processor seconds of a run, with those of its own processes."""
    arguments = [sys.executable, "-m", "emo_bench.cli.main", "run", "--config", str(folder.parent / "suite.yaml")]
    arguments += ["--set", f"store={folder / 'store'}", "-o", str(folder / "run")]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(said.decode(errors="replace")[-2000:])
    return used.ru_utime + used.ru_stime


def seconds_of(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def viewer(folder: Path, seconds: list[float], answers: list[int]) -> Iterator[None]:
    """A viewer that is asked for its list while the block lasts; adds its processor seconds since its start."""
    arguments = [sys.executable, "-u", "-m", "emo_bench.cli.main", "view", str(folder), "--no-browser"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[1]
        stop = threading.Event()
        unanswered: list[OSError] = []

        def ask() -> None:
            try:
                while not stop.wait(PERIOD_S):
                    with urllib.request.urlopen(f"{url}runs.json", timeout=60) as answer:  # noqa: S310 - our own
                        answers.append(len(answer.read()))
            except OSError as error:  # a viewer that answers nothing costs nothing either
                unanswered.append(error)

        asking = threading.Thread(target=ask)
        began = seconds_of(process.pid)
        asking.start()
        yield
        stop.set()
        asking.join()
        if unanswered:
            raise RuntimeError(f"the viewer did not answer: {unanswered[0]}")
        seconds.append(seconds_of(process.pid) - began)
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Prints a table; 1 when the viewer took a hundredth of one processor or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--clips", type=int, default=4)
    asked = parser.parse_args()
    alone: list[float] = []
    followed: list[float] = []
    viewing: list[float] = []
    answers: list[int] = []
    clock = 0.0
    with tempfile.TemporaryDirectory(prefix="emo-bench-benchmark-") as name:
        folder = Path(name)
        (folder / "suite.yaml").write_text(SUITE.format(clips=asked.clips), encoding="utf-8")
        for turn in range(asked.rounds):
            alone.append(run_suite(folder / f"alone-{turn}"))
            with viewer(folder, viewing, answers):
                since = time.monotonic()
                followed.append(run_suite(folder / f"followed-{turn}"))
                clock += time.monotonic() - since
            sys.stderr.write(
                f"{turn}: {alone[-1]:.2f} s alone, {followed[-1]:.2f} s followed, {viewing[-1]:.2f} s viewer\n"
            )
    share = sum(viewing) / clock
    differences = [after / before - 1 for before, after in zip(alone, followed, strict=True)]
    sys.stdout.write("| what | processor s |\n| --- | --: |\n")
    sys.stdout.write(f"| suite alone, median of {asked.rounds} | {statistics.median(alone):.2f} |\n")
    sys.stdout.write(f"| suite followed, median | {statistics.median(followed):.2f} |\n")
    sys.stdout.write(f"| followed / alone - 1, pair by pair | {', '.join(f'{d:+.1%}' for d in differences)} |\n")
    sys.stdout.write(f"| viewer while it was asked {len(answers)} times | {sum(viewing):.2f} |\n")
    sys.stdout.write(f"| viewer, share of one processor over {clock:.0f} s | {share:.2%} |\n")
    return int(share >= 0.01)


if __name__ == "__main__":
    sys.exit(main())
