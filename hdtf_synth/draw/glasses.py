"""Glasses: a frame on a plane in front of the eyes, so that it shifts more than the face when the head turns."""

from __future__ import annotations

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, window_around
from hdtf_synth.draw.head import View
from hdtf_synth.exact import F32, clamp, smoothstep
from hdtf_synth.identity import Identity


def draw_glasses(canvas: Canvas, who: Identity, view: View) -> None:
    """Paints the glasses of an identity that wears some."""
    if who.glasses == "none":
        return
    depth = who.depth + 0.03
    sy, cy = view.yaw
    sp, cp = view.pitch
    px, py = view.project(0.0, who.eye_y + 0.02, depth)
    window = window_around(px, py, 0.92 * view.unit, 0.36 * view.unit, canvas.size)
    if window.empty:
        return
    x, y = view.to_plane(window)
    # The frame is bent around the face: further back at its ends.
    X = (x - depth * sy) * (1.0 / cy)
    Z = depth - 0.42 * X * X
    X = (x - Z * sy) * (1.0 / cy)
    Z = depth - 0.42 * X * X
    Y = (y - (Z * cy - X * sy) * sp) * (1.0 / cp) - who.eye_y - 0.03
    half_x = who.eye_width + 0.085
    half_y = half_x * (0.86 if who.glasses == "round" else 0.70)
    centre = max(who.eye_x, half_x + 0.035)
    side = np.abs(X) - centre
    if who.glasses == "round":
        dx, dy = side * (1.0 / half_x), Y * (1.0 / half_y)
        lens = (np.sqrt(dx * dx + dy * dy + 1e-5) - 1.0) * half_y
    else:
        corner = 0.07
        qx, qy = np.abs(side) - half_x + corner, np.abs(Y) - half_y + corner
        ox, oy = np.maximum(qx, 0.0), np.maximum(qy, 0.0)
        lens = np.sqrt(ox * ox + oy * oy) + np.minimum(np.maximum(qx, qy), 0.0) - corner
    distance = np.asarray(lens * view.unit, np.float32)
    _lens(canvas, who, window, distance, side, Y)
    thick = max(0.022 * view.unit, 0.55)
    rim = clamp(0.5 + thick - np.abs(distance))
    bridge_y = np.abs(Y + 0.05 - 0.25 * X * X) - 0.5 * thick / view.unit
    bridge = coverage(np.asarray(np.maximum(bridge_y, np.abs(X) - (centre - half_x + 0.015)) * view.unit, np.float32))
    arm_y = np.abs(Y + 0.06) - 0.55 * thick / view.unit
    arm = coverage(np.asarray(np.maximum(arm_y, centre + half_x - 0.01 - np.abs(X)) * view.unit, np.float32))
    arm = arm * coverage(np.asarray((np.abs(x + 0.05 * sy) - 0.97 * who.width) * view.unit, np.float32))
    frame = np.asarray(np.maximum(np.maximum(rim, bridge), arm), np.float32)
    top = smoothstep(0.05, -0.2, Y)
    colour = np.stack([c * (0.85 + 0.35 * top) for c in who.glasses_colour])
    canvas.hide_ink(window, np.asarray(frame * 0.5, np.float32))
    canvas.paint(window, np.asarray(frame * 0.96, np.float32), np.asarray(colour, np.float32))
    if who.style == "sketch":
        canvas.draw_ink(window, np.asarray(frame * 0.9, np.float32))


def _lens(canvas: Canvas, who: Identity, window: Window, distance: F32, side: F32, Y: F32) -> None:
    glass = coverage(distance)
    light = 1.0 if who.light_x > 0 else -1.0
    streak = smoothstep(0.05, 0.02, np.abs(side * light - Y * 0.7 - 0.05)) + smoothstep(
        0.025, 0.0, np.abs(side * light - Y * 0.7 - 0.13)
    )
    fade = smoothstep(0.15, -0.12, Y)
    canvas.paint(window, np.asarray(glass * (0.04 + 0.16 * clamp(streak) * fade), np.float32), (0.95, 0.97, 1.0))
