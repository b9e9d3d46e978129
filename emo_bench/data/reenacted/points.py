"""Which of MediaPipe's 478 face points move what in a re-enactment."""

from __future__ import annotations

import numpy as np

INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Contour of the inner lips: left corner, upper lip, right corner, lower lip."""
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""Contour of the outer lips in the same order."""
UPPER_INNER, LOWER_INNER = INNER_LIPS[1:10], INNER_LIPS[19:10:-1]
UPPER_OUTER, LOWER_OUTER = OUTER_LIPS[1:10], OUTER_LIPS[19:10:-1]
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 300, 293, 334, 296, 336, 285, 295, 282)
NOSE = (1, 2, 98, 327, 168, 6, 197, 195, 4, 48, 278, 64, 294)
CHEEKS = (50, 280, 101, 330, 205, 425, 36, 266, 199, 200, 18, 151, 9, 69, 299)
SKIN = (50, 280, 101, 330, 205, 425)
"""Cheeks, where the colour of the skin is taken."""
ORBIT = (117, 118, 119, 346, 347, 348, 143, 372)
"""Below and beside the eyes, where the rims of glasses lie."""
RIGID = (10, 151, 9, 8, 168, 6, 197, 195, 33, 133, 362, 263, 127, 356, 234, 454, 21, 251)
"""Points that hardly move against the skull: they carry the head's pose."""
LIDS = (((159, 158, 160, 157, 161), (145, 153, 144, 154, 163)), ((386, 385, 387, 384, 388), (374, 380, 373, 381, 390)))
"""Upper and lower lid of either eye, the eye on the image's left first."""
JAW = (152, 148, 176, 377, 400, 149, 378, 18, 200, 199)
CONTROL = (*INNER_LIPS, *OUTER_LIPS, *LEFT_EYE, *RIGHT_EYE, *BROWS, *NOSE, *CHEEKS, *ORBIT)
"""Points that hold the warp, beside the face's oval."""
N_POINTS = 478


def expression_weights() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How much of the driver's expression each point takes, ``[478]``; little where glasses would bend."""
    weights = np.ones(N_POINTS)
    weights[list(BROWS)] = 0.7
    weights[list(NOSE)] = 0.5
    weights[list(ORBIT)] = 0.15
    return weights
