"""What one frame shows: pose and face as named numbers. The renderer reads them, the truth files store them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class FrameState:
    """Pose and expression of one frame; *left* and *right* are the person's own, as in ARKit.

    Attributes:
        yaw: Turn of the head in degrees; positive shows the face moving to the picture's right.
        pitch: Nod in degrees; positive looks down.
        roll: Tilt in degrees; positive is clockwise in the picture.
        x: Shift of the head to the right, in head units (1 = half of the head's height).
        y: Shift downwards, in head units.
        scale: Size of the head relative to the usual.
        jaw_open: Lowering of the jaw; this and all that follow lie in [0, 1] unless said otherwise.
        lips_pressed: Lips pressed together, as for m, b, p.
        mouth_pucker: Lips narrow and pushed forward, as for u.
        mouth_funnel: Lips open and round, as for o and sh.
        mouth_stretch: Corners pulled outwards, as for i.
        smile_left: Left corner of the mouth up.
        smile_right: Right corner up.
        mouth_frown: Both corners down.
        lip_tuck: Lower lip under the upper teeth, as for f, v.
        upper_lip_up: Upper lip raised.
        lower_lip_down: Lower lip lowered, showing the lower teeth.
        tongue_up: Tip of the tongue up, as for l, t, d, n, th.
        brow_inner_up: Inner ends of the brows up.
        brow_outer_up_left: Left outer brow up.
        brow_outer_up_right: Right outer brow up.
        brow_down_left: Left brow down.
        brow_down_right: Right brow down.
        blink_left: Left eye closed.
        blink_right: Right eye closed.
        eye_wide_left: Left eye wide open.
        eye_wide_right: Right eye wide open.
        eye_squint_left: Left lower lid up.
        eye_squint_right: Right lower lid up.
        cheek_raise: Cheeks up, as in a smile that reaches the eyes.
        look_x: Gaze relative to the head, [-1, 1], positive to the picture's right.
        look_y: Gaze relative to the head, [-1, 1], positive downwards.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    jaw_open: float = 0.0
    lips_pressed: float = 0.0
    mouth_pucker: float = 0.0
    mouth_funnel: float = 0.0
    mouth_stretch: float = 0.0
    smile_left: float = 0.0
    smile_right: float = 0.0
    mouth_frown: float = 0.0
    lip_tuck: float = 0.0
    upper_lip_up: float = 0.0
    lower_lip_down: float = 0.0
    tongue_up: float = 0.0
    brow_inner_up: float = 0.0
    brow_outer_up_left: float = 0.0
    brow_outer_up_right: float = 0.0
    brow_down_left: float = 0.0
    brow_down_right: float = 0.0
    blink_left: float = 0.0
    blink_right: float = 0.0
    eye_wide_left: float = 0.0
    eye_wide_right: float = 0.0
    eye_squint_left: float = 0.0
    eye_squint_right: float = 0.0
    cheek_raise: float = 0.0
    look_x: float = 0.0
    look_y: float = 0.0


POSE_NAMES = ("yaw", "pitch", "roll", "x", "y", "scale")
"""Columns of ``pose``: three angles in degrees, two shifts in head units, one factor."""

EXPRESSION_NAMES = tuple(item.name for item in fields(FrameState) if item.name not in POSE_NAMES)
"""Columns of ``expression``, in this order for ever; new ones are added at the end."""
