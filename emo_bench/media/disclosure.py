"""The text in a generated video that says so: title and comment, which players and editors show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from emo_core.atomic import atomic_path
from emo_core.errors import ClipError


def disclosure_tags(title: str, facts: Mapping[str, object]) -> dict[str, str]:
    """Metadata of a container.

    Args:
        title: A sentence for people.
        facts: For programs; JSON in the comment.
    """
    return {"title": title, "comment": json.dumps(dict(facts), sort_keys=True)}


def write_tagged(source: Path, target: Path, tags: Mapping[str, str]) -> Path:
    """Copies an MP4 of our own and adds metadata; packets of picture and sound stay as they are.

    Args:
        source: An MP4.
        target: Where the copy goes, atomically; may be ``source``.
        tags: Metadata of the container; those of ``source`` with the same name are replaced.

    Raises:
        ClipError: when ``source`` cannot be read.
        OSError: as the file system reports it.
    """
    import av

    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    try:
        # The format is said: FFmpeg would take a list of other files for a video, whatever its name.
        with (
            atomic_path(target) as temporary,
            av.open(str(source.absolute()), format="mp4") as reader,
            av.open(str(temporary.absolute()), "w", format="mp4", options=options) as writer,
        ):
            writer.metadata.update({**reader.metadata, **tags})
            copies = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
            for packet in reader.demux():
                if packet.dts is not None:  # the packet that ends a stream has no time
                    packet.stream = copies[packet.stream.index]
                    writer.mux(packet)
    except av.FFmpegError as error:
        raise ClipError(
            f"{source.name} cannot be copied", expected="an MP4 that can be read", found=str(error)
        ) from None
    return target
