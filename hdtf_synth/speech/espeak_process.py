"""A small program around the espeak-ng library (GPL-3, from the optional package ``espeakng-loader``).

It runs as its own process, reads one JSON request a line and answers one JSON line each: the library is never loaded
into a process of emo-bench itself. Request: text, voice, rate, pitch, range. Answer: rate, samples (base64 of
little-endian int16) and events ``[[milliseconds, symbol], ...]``.
"""

from __future__ import annotations

import base64
import ctypes
import json
import sys
from array import array
from typing import Any

_SYNCHRONOUS = 2
_PHONEME_EVENTS_AS_IPA = 3
_PHONEME_EVENT = 7
_UTF8 = 1


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def main() -> None:
    """Answers requests until the input ends."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONEME_EVENTS_AS_IPA)
    for row in sys.stdin:
        answer = _say(library, json.loads(row))
        answer["rate"] = rate
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _say(library: ctypes.CDLL, request: dict[str, Any]) -> dict[str, Any]:
    samples: array[int] = array("h")
    events: list[tuple[int, str]] = []

    def receive(wave: Any, count: int, event: Any) -> int:
        if count > 0:
            samples.extend(wave[:count])
        index = 0
        while event[index].type != 0:
            if event[index].type == _PHONEME_EVENT:
                events.append((event[index].audio_position, event[index].id.string.decode("utf-8", "ignore")))
            index += 1
        return 0

    callback = _CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(str(request["voice"]).encode()) != 0:
        return {"error": f"unknown voice {request['voice']!r}"}
    for parameter, key in ((1, "rate"), (3, "pitch"), (4, "range")):
        library.espeak_SetParameter(parameter, int(request[key]), 0)
    text = str(request["text"]).encode()
    library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return {"samples": base64.b64encode(samples.tobytes()).decode(), "events": events}


if __name__ == "__main__":
    main()
