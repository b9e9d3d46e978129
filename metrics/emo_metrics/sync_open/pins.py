"""SHA-256 of the shipped weight file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PINS: Final[Mapping[str, str]] = {
    "sync_open.safetensors": "bd0ee96f8fbd8fe535cfda97244a4cf57ef063ebee59ce6adde7c04fe6362af0",
}
