"""SHA-256 of the shipped weight files; written by the training together with the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PINS: Final[Mapping[str, str]] = {}
