"""p values corrected for the number of comparisons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values by Holm's step-down procedure; they bound the chance of any false finding.

    Args:
        p_values: Comparison -> p in [0, 1].

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    names = _ascending(p_values)
    count = len(names)
    adjusted: dict[str, float] = {}
    running = 0.0
    for place, name in enumerate(names):
        running = max(running, min(1.0, p_values[name] * (count - place)))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values by Benjamini and Hochberg; they bound the share of false findings.

    Args:
        p_values: Comparison -> p in [0, 1].

    >>> {name: round(p, 12) for name, p in benjamini_hochberg({"a": 0.01, "b": 0.04, "c": 0.03}).items()}
    {'a': 0.03, 'b': 0.04, 'c': 0.04}
    """
    names = _ascending(p_values)
    count = len(names)
    adjusted: dict[str, float] = {}
    running = 1.0
    for place in range(count, 0, -1):
        name = names[place - 1]
        running = min(running, p_values[name] * count / place)
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def _ascending(p_values: Mapping[str, float]) -> list[str]:
    wrong = {name: p for name, p in p_values.items() if not (np.isfinite(p) and 0.0 <= p <= 1.0)}
    if wrong:
        raise ValueError(f"expected p values in [0, 1], found {wrong}")
    return sorted(p_values, key=lambda name: (p_values[name], name))
