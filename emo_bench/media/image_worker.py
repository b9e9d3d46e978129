"""The child that decodes one image: limits first, then the file, then raw pixels on stdout."""

from __future__ import annotations

import json
import os
import sys

from PIL import Image, ImageOps, UnidentifiedImageError

from emo_bench.media.image import MAX_PIXELS, MEMORY_BYTES, TIMEOUT_S
from emo_bench.media.image_colour import has_coded_colours, stated_colours
from emo_bench.media.image_pixels import as_srgb, is_negative
from emo_bench.media.limits import limit_this_process

ORIENTATION = 0x0112
"""The EXIF tag that states how to rotate an image."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


def main() -> None:
    """Reads the descriptor named on the command line; reports errors on stderr and exits with 1."""
    limit_this_process(
        {
            "RLIMIT_AS": (MEMORY_BYTES, MEMORY_BYTES),
            "RLIMIT_CPU": (int(TIMEOUT_S), int(TIMEOUT_S)),
            "RLIMIT_FSIZE": (0, 0),
            "RLIMIT_CORE": (0, 0),
        }
    )
    notes: list[str] = []

    try:
        with os.fdopen(int(sys.argv[1]), "rb") as stream:
            coded = has_coded_colours(stream)
            stream.seek(0)
            opened = Image.open(stream, formats=FORMATS)
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height} pixels; at most {MAX_PIXELS} are read")
            count = int(getattr(opened, "n_frames", 1))
            if count > 1:
                notes.append(f"the first of {count} images in the file is used")
            turned = opened.getexif().get(ORIENTATION, 1)
            if turned in range(2, 9):
                notes.append("turned upright as the file asks")
            stated = stated_colours(opened)
            if coded:
                notes.append("the file states its colours by code points (cICP), which are not read: sRGB assumed")
            upright = ImageOps.exif_transpose(opened)
            flat = as_srgb(upright, notes, negative=is_negative(opened), stated=stated)
    except UnidentifiedImageError:
        sys.stderr.write("content of no such format\n")
        sys.exit(1)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
    said = json.dumps(notes).encode()
    sizes = b"".join(number.to_bytes(8, "big") for number in (flat.height, flat.width, len(said)))
    sys.stdout.buffer.write(sizes + said + flat.tobytes())


if __name__ == "__main__":
    main()
