"""``python -m emo_bench``: the same as the program ``emo-bench``."""

from __future__ import annotations

from emo_bench.cli.main import script

if __name__ == "__main__":
    script()
