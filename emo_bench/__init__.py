"""emo-bench: evaluation and reproducibility suite for audio-driven talking-portrait models.

>>> import emo_bench
>>> callable(emo_bench.run), callable(emo_bench.score)
(True, True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emo_core.version import __version__

if TYPE_CHECKING:
    from emo_bench.api import RunResult, run, score

__all__ = ["RunResult", "__version__", "run", "score"]


def __getattr__(name: str) -> Any:
    # Importing the package costs nothing; its functions come when they are asked for.
    if name in ("run", "score", "RunResult"):
        from emo_bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'emo_bench' has no attribute {name!r}")
