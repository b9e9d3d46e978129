"""How many votes tell which difference: exact power of the sign test, as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from emo_bench.report.figure_style import PALETTE, figure_bytes, new_figure, style
from emo_core.atomic import write_bytes, write_text

SHARES = (0.52, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.90)
MOST_VOTES = 20_000


def power_of(n_votes: int, share: float, *, alpha: float) -> float:
    """Chance that the two-sided exact sign test finds a true preference.

    Args:
        n_votes: Independent votes on one pair of systems.
        share: True share of votes for the better one, in (0.5, 1].
        alpha: Size of the test.

    >>> round(power_of(100, 0.65, alpha=0.05), 2)
    0.83
    """
    return float(_powers(np.array([n_votes]), share, alpha=alpha)[0])


def _powers(n_votes: NDArray[np.int64], share: float, *, alpha: float) -> NDArray[np.float64]:
    """The same for many numbers of votes."""
    # The fewest votes for one side whose upper tail is at most alpha / 2.
    least = scipy.stats.binom.isf(alpha / 2, n_votes, 0.5) + 1
    found = scipy.stats.binom.sf(least - 1, n_votes, share) + scipy.stats.binom.cdf(n_votes - least, n_votes, share)
    return np.asarray(np.where(least > n_votes, 0.0, found), dtype=np.float64)


def votes_needed(share: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Fewest independent votes on one pair of systems from which on the power is always reached.

    The exact power of a sign test is a saw of the number of votes; the answer is past its last tooth below the target.

    Raises:
        ValueError: for a share at or below 0.5, or one so near that more than 20,000 votes are needed.

    >>> votes_needed(0.75)
    35
    """
    if not 0.5 < share <= 1:
        raise ValueError(f"expected a share between 0.5 and 1, found {share}")
    z = scipy.stats.norm.ppf(1 - alpha / 2) + scipy.stats.norm.ppf(power)
    guess = int(z**2 / (4 * (share - 0.5) ** 2)) + 20
    if guess > MOST_VOTES:
        raise ValueError(f"a share of {share} needs more than {MOST_VOTES} votes")
    tried = np.arange(max(4, guess // 2), guess * 2)
    missed = tried[_powers(tried, share, alpha=alpha) < power]
    return int(missed[-1]) + 1 if len(missed) else int(tried[0])


def power_table(
    *, n_systems: int, alpha: float, power: float, design_effect: float, shares: Sequence[float] = SHARES
) -> list[dict[str, Any]]:
    """Votes for each pair of systems and for the whole study, with Bonferroni's correction over all pairs.

    Args:
        n_systems: Systems of the study.
        alpha: Chance of any false verdict.
        power: Chance of finding a difference.
        design_effect: How many votes of few raters on few clips are worth one independent vote; 1 for independent ones.
        shares: True shares of votes for the better system.

    Returns:
        A row for each share; numbers of votes are None where 20,000 independent ones on a pair do not suffice.
    """
    n_pairs = max(1, n_systems * (n_systems - 1) // 2)
    rows = []
    for share in shares:
        try:
            n = int(np.ceil(votes_needed(share, alpha=alpha / n_pairs, power=power) * design_effect))
        except ValueError:  # more than anyone collects
            n = None
        rows.append(
            {
                "share": share,
                "log_odds": float(np.log(share / (1 - share))) if share < 1 else None,
                "votes_per_pair": n,
                "votes": None if n is None else n * n_pairs,
            }
        )
    return rows


def power_markdown(rows: Sequence[dict[str, Any]], *, about: str) -> str:
    """The table in Markdown."""
    lines = [about, "", "| true share for the better | log odds | votes per pair | votes in all |", "|--:|--:|--:|--:|"]
    for row in rows:
        known = row["votes"] is not None
        votes = f"{row['votes_per_pair']:,} | {row['votes']:,}" if known else f"more than {MOST_VOTES:,} | –"
        lines.append(f"| {row['share']:.2f} | {row['log_odds']:.2f} | {votes} |")
    return "\n".join(lines) + "\n"


def write_power(folder: Path, *, text: str, n_systems: int, alpha: float, design_effect: float) -> tuple[Path, ...]:
    """Writes ``power.md``, ``power.svg`` and ``power.pdf``."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = power_figure(n_systems=n_systems, alpha=alpha, design_effect=design_effect)
    write_text(folder / "power.md", text)
    write_bytes(folder / "power.svg", figure_bytes(figure, "svg"))
    write_bytes(folder / "power.pdf", figure_bytes(figure, "pdf"))
    return tuple(folder / f"power.{kind}" for kind in ("md", "svg", "pdf"))


def power_figure(*, n_systems: int, alpha: float, design_effect: float) -> Any:
    """Votes per pair of systems against the true share, for a power of 0.8 and of 0.9."""
    n_pairs = max(1, n_systems * (n_systems - 1) // 2)
    shares = np.round(np.linspace(0.54, 0.9, 19), 3)
    with style():
        figure, axes = new_figure(4.6, 3.0)
        for colour, power in zip(PALETTE, (0.8, 0.9), strict=False):
            needed = [votes_needed(float(s), alpha=alpha / n_pairs, power=power) * design_effect for s in shares]
            axes[0].plot(shares, needed, color=colour, label=f"power {power:g}")
        axes[0].set_yscale("log")
        axes[0].set_xlabel("true share of votes for the better system")
        axes[0].set_ylabel("votes per pair of systems")
        axes[0].set_title(f"{n_systems} systems, {n_pairs} pairs, {alpha:g} for all of them", fontsize=8)
        axes[0].legend()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure
