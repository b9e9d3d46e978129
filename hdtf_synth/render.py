"""From an identity and a frame's numbers to a picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.draw.background import bake_background
from hdtf_synth.draw.body import bake_outfit, body_shift, draw_neck
from hdtf_synth.draw.canvas import Canvas
from hdtf_synth.draw.eyes import draw_eyes
from hdtf_synth.draw.face import draw_ears, draw_face
from hdtf_synth.draw.finish import bake_medium, finish
from hdtf_synth.draw.glasses import draw_glasses
from hdtf_synth.draw.hair import draw_back_hair, draw_front_hair, draw_locks, hair_shell
from hdtf_synth.draw.head import view_of
from hdtf_synth.draw.light import light_of
from hdtf_synth.draw.mouth import draw_mouth
from hdtf_synth.draw.skin import bake_skin
from hdtf_synth.identity import Identity
from hdtf_synth.state import FrameState


class Painter:
    """Paints frames of one identity at one size; what does not change is computed once.

    Args:
        who: The identity.
        size: Side of the square picture in pixels, a multiple of 4.
    """

    def __init__(self, who: Identity, size: int) -> None:
        self.who = who
        self.size = size
        self.light = light_of(who)
        self.skin = bake_skin(who, size)
        self.outfit = bake_outfit(who, self.light, size)
        self.background = bake_background(who, size)
        self.medium = bake_medium(who, size)

    def paint(self, state: FrameState) -> NDArray[np.uint8]:
        """One frame, ``uint8 [size, size, 3]``, RGB."""
        who, light = self.who, self.light
        canvas = Canvas(self.background.copy())
        view = view_of(state, self.size)
        shell = hair_shell(who, view, light)
        shift = body_shift(state, self.size)
        outfit = self.outfit
        if outfit.behind is not None:
            outfit.behind.lay_over(canvas, outfit.window, *shift)
        draw_back_hair(canvas, who, view, light, shell)
        draw_neck(canvas, who, view, light, state)
        outfit.front.lay_over(canvas, outfit.window, *shift)
        draw_locks(canvas, who, view, light, shell)
        draw_ears(canvas, who, view, light)
        face = draw_face(canvas, who, view, light, self.skin, state)
        draw_eyes(canvas, who, view, face, state)
        draw_mouth(canvas, who, view, face, state)
        draw_front_hair(canvas, who, view, light, shell)
        draw_glasses(canvas, who, view)
        return finish(canvas, who, self.medium)


@lru_cache(maxsize=4)
def painter_of(who: Identity, size: int) -> Painter:
    """The painter of an identity, kept for a few identities at a time."""
    return Painter(who, size)


def render_frame(identity: Identity, state: FrameState, *, size: int = 128) -> NDArray[np.uint8]:
    """Paints one frame.

    Args:
        identity: Who is seen.
        state: Pose and expression.
        size: Side of the square picture in pixels, a multiple of 4.

    Returns:
        ``uint8 [size, size, 3]``, RGB; the same bytes on every machine.
    """
    return painter_of(identity, size).paint(state)
