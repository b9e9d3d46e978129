"""Prints the hashes of ten frames; the tests run it in processes with and without the processor's wide instructions."""

from __future__ import annotations

import hashlib
import json
import sys

from hdtf_synth.identity import identity_from_seed
from hdtf_synth.render import render_frame
from hdtf_synth.state import FrameState


def main() -> None:
    """Renders and prints."""
    state = FrameState(
        yaw=11.3, pitch=-4.2, roll=3.1, x=0.03, jaw_open=0.61, smile_left=0.3, mouth_stretch=0.4, look_x=0.5
    )
    frames = [render_frame(identity_from_seed(index), state, size=128) for index in range(10)]
    sys.stdout.write(json.dumps([hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]))


if __name__ == "__main__":
    main()
