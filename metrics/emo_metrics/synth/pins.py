"""SHA-256 of the shipped weight files; written by the training together with the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PINS: Final[Mapping[str, str]] = {
    "face.safetensors": "d22fc40980dc683461d8884d9e886513d73478a1dd65118705c8a9c60fcfdb52",
    "appearance.safetensors": "f950985b2c96508f4b022353d83f668c081cd654b88b366e1fbdf018ff1a04e3",
    "video.safetensors": "b58f8fae7f9cf148155466694e40a5d0945bf699d082e6d886ee6853ff96cde5",
    "sync.safetensors": "93d8919cc645696df9a30a4fdf9031099c9cf702ce29d8226e9f428679f00ab6",
}
