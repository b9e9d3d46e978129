"""The child process that touches untrusted bytes; `fork_server` starts it.

It gets a request (JSON on standard input) and an already opened file descriptor, limits itself, decodes, and writes
``wire`` messages to standard output. It opens no other file, knows no file name, and imports neither NumPy nor anything
else of the project that is not needed, so that it stays small.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import av.logging

from emo_bench.media.container_end import examine_end
from emo_bench.media.limits import limit_this_process
from emo_bench.media.pixels import RgbConverter, packed_bytes
from emo_bench.media.untrusted import Decoder, RefusedError, TooMuchError, open_container
from emo_bench.media.wire import HEADER, Kind


class Sender:
    """Writes messages to the parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, kind: Kind, *parts: bytes | memoryview) -> None:
        """Writes one message; its content is given in pieces to avoid copies."""
        self._write(HEADER.pack(kind, sum(len(part) for part in parts)))
        for part in parts:
            self._write(part)

    def send_json(self, kind: Kind, value: Any) -> None:
        """Writes a message whose content is JSON."""
        self.send(kind, json.dumps(value).encode())

    def _write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def limit_process(limits: dict[str, Any]) -> None:
    """Applies the limits of a request to this process."""
    cpu = int(limits["cpu_seconds"])
    limit_this_process(
        {
            "RLIMIT_CORE": (0, 0),
            "RLIMIT_FSIZE": (0, 0),
            "RLIMIT_CPU": (cpu, cpu + 5),
            "RLIMIT_AS": (int(limits["memory_bytes"]),) * 2,
            "RLIMIT_NOFILE": (int(limits["open_files"]),) * 2,
        }
    )


def scan(request: dict[str, Any], stream: BinaryIO, sender: Sender) -> None:
    """Decodes everything once: collects timing facts, and sends the audio when requested."""
    end = examine_end(stream)
    with open_container(stream) as container:
        decoder = Decoder(container, request["limits"], with_video=request["video"], with_audio=request["audio"])
        sender.send_json(Kind.INFO, decoder.describe())
        if decoder.video is None and decoder.audio is None:
            wanted = "video or audio" if request["video"] else "audio"
            if request["video"] or decoder.n_video == 0:
                raise RefusedError(f"the file holds no {wanted} stream")
        else:
            for frame in decoder.run():
                if request["send_audio"] and hasattr(frame, "samples"):
                    send_audio(frame, sender)
        sender.send_json(Kind.DONE, decoder.outcome() | {"end": end.as_json()})


def send_audio(frame: Any, sender: Sender) -> None:
    """Sends the samples of an audio frame as they are, without padding."""
    fmt = frame.format
    per_plane = frame.samples * fmt.bytes * (1 if fmt.is_planar else frame.layout.nb_channels)
    head = {
        "format": fmt.name,
        "channels": frame.layout.nb_channels,
        "rate": frame.sample_rate,
        "samples": frame.samples,
    }
    sender.send(
        Kind.AUDIO, json.dumps(head).encode() + b"\n", *(memoryview(plane)[:per_plane] for plane in frame.planes)
    )


def frames(request: dict[str, Any], stream: BinaryIO, sender: Sender) -> None:
    """Sends the frames with the requested (ascending) indices as RGB, resized when requested."""
    size = request["size"] or (None, None)
    converter = RgbConverter(width=size[0], height=size[1])
    wanted: list[int] = request["indices"]
    sent = 0
    with open_container(stream) as container:
        decoder = Decoder(container, request["limits"], with_video=True, with_audio=False)
        if decoder.video is None:
            raise RefusedError("the file holds no video stream")
        for index, image in enumerate(_stop_after(decoder.run(), wanted[-1] + 1)):
            if index == wanted[sent]:
                sender.send(Kind.FRAME, packed_bytes(converter.convert(image)))
                sent += 1
    if sent < len(wanted):
        raise RefusedError(
            f"only {sent} of {len(wanted)} wanted frames could be decoded; the file changed while it was read"
        )
    sender.send_json(Kind.DONE, {})


def _stop_after(items: Iterable[Any], count: int) -> Iterator[Any]:
    for index, item in enumerate(items, start=1):
        yield item
        if index == count:
            return


def serve(request: dict[str, Any], stream: BinaryIO, sender: Sender) -> None:
    """Carries out the request and turns every failure into an error message."""
    try:
        {"scan": scan, "frames": frames}[request["what"]](request, stream, sender)
    except RefusedError as error:
        sender.send_json(Kind.ERROR, {"code": "decode", "message": str(error)})
    except TooMuchError as error:
        sender.send_json(Kind.ERROR, {"code": "limit", "message": str(error)})
    except MemoryError:
        sender.send_json(Kind.ERROR, {"code": "limit", "message": "decoding needs more memory than it may use"})
    except BrokenPipeError:
        return
    except Exception as error:  # whatever a hostile file provokes must reach the parent as a message
        sender.send_json(Kind.ERROR, {"code": "decode", "message": f"decoding failed: {type(error).__name__}: {error}"})


def main() -> None:
    """Entry point of the child process: descriptor number and request come from the parent."""
    request = json.loads(sys.stdin.buffer.read())
    av.logging.set_level(av.logging.ERROR)
    limit_process(request["limits"])
    sender = Sender(sys.stdout.fileno())
    with open(request["descriptor"], "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor, not a path
        serve(request, stream, sender)


if __name__ == "__main__":
    main()
