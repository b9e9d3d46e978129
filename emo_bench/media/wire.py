"""The messages that the decoding process sends to its parent: one kind byte, a length, then the content.

Both sides import this file, so it must stay free of heavy imports.
"""

from __future__ import annotations

import struct
from enum import IntEnum

HEADER = struct.Struct("<BQ")
"""Kind of the message and number of bytes that follow."""


class Kind(IntEnum):
    """What a message holds."""

    INFO = 1
    """JSON: what the container declares."""
    FRAME = 2
    """One frame, ``height * width * 3`` bytes of RGB, before rotation."""
    AUDIO = 3
    """A line of JSON (format, channels, rate, samples), a line feed, then the planes one after another."""
    DONE = 4
    """JSON: the outcome; the last message of a success."""
    ERROR = 5
    """JSON ``{"code": "decode" | "limit", "message": ...}``; the last message of a failure."""


JSON_LIMIT = 64 << 20
"""No JSON message is longer than this."""
