"""Configurations of networks that come from elsewhere, in the layout of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FOREIGN: Final = ("auto_map", "quantization_config")


def without_code(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what names code to compute with, which transformers would download and run.

    >>> without_code({"width": 8, "attn_implementation": "somebody/kernel", "part": {"auto_map": {}, "layers": 2}})
    {'width': 8, 'part': {'layers': 2}}
    """
    own = {key: value for key, value in values.items() if "attn_implementation" not in key and key not in _FOREIGN}
    return {key: without_code(value) if isinstance(value, dict) else value for key, value in own.items()}
