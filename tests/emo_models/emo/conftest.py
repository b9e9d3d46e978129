"""Makes ``emo_scenes`` importable; tests are collected by file, not as packages."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
