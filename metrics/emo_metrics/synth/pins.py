"""SHA-256 of the shipped weight files; written by the training together with the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PINS: Final[Mapping[str, str]] = {
    "face.safetensors": "7aa7b9163816ffbbcf30e8cdd95e0cd6581065ca89e1523aec3aff97e0c714df",
    "appearance.safetensors": "b4a75b8fff4951780154deb3b3515956d0dfd6e23bd9519dd884fd7a0601d1ad",
    "video.safetensors": "e50d258b8f01587dadcf0762cb5a7ef3df467c5cb1a3b3f83e33d66ab5c82030",
    "sync.safetensors": "74eb2d8df533ed88f2fdc3f8db421685f3ac69124a4445c838b15fa63b30b765",
}
