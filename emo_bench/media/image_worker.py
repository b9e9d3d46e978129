"""The child that decodes one picture: limits first, then the file, then raw pixels on stdout."""

from __future__ import annotations

import os
import resource
import sys

from emo_bench.media.image import MAX_PIXELS, MEMORY_BYTES, TIMEOUT_S

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


def main() -> None:
    """Reads the descriptor named on the command line; says what is wrong on stderr and leaves with 1."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT_S), int(TIMEOUT_S)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with os.fdopen(int(sys.argv[1]), "rb") as stream, Image.open(stream, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height} pixels; at most {MAX_PIXELS} are read")
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except UnidentifiedImageError:
        sys.stderr.write("content of no such format\n")
        sys.exit(1)
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
    flat = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    sys.stdout.buffer.write(flat.height.to_bytes(8, "big") + flat.width.to_bytes(8, "big") + flat.tobytes())


if __name__ == "__main__":
    main()
