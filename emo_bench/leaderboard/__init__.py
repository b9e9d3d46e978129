"""A static site of ranked systems from a folder of records."""

from __future__ import annotations

from emo_bench.leaderboard.site import Site, build_site

__all__ = ["Site", "build_site"]
