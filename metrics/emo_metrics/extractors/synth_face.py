"""The extractors ``face/synth@1`` and ``identity/synth@1``: what a rendered face does, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Need, Piece
from emo_metrics.synth.face import FACE, FILE, IDENTITY, FaceNetworks
from emo_metrics.synth.pins import PINS


class FaceSynth(Extractor):
    """What the face does on every frame; frames are squashed to 128 x 128 by torch's antialiased bilinear filter.

    Arrays, one row a frame, NaN where no face was found: ``found`` bool [n]; ``points68`` float32 [n, 68, 2] in pixels
    of the frame; ``expression`` float32 [n, 26] (columns ``EXPRESSION_NAMES``); ``pose`` float32 [n, 3], yaw, pitch,
    roll in degrees with the signs of HDTF-Synth (right, down, clockwise in the image positive); ``mouth`` float32
    [n, 3], opening and width in head units, rounding in [0, 1]; ``placement`` float32 [n, 4], the upright square around
    the face in shares of the frame; ``embedding`` float32 [n, 64], unit rows.
    """

    name: ClassVar[str] = FACE
    shipped: ClassVar[Mapping[str, str]] = {FILE: PINS.get(FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._networks = FaceNetworks(device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _FaceRows(self._networks)


class _FaceRows(Accumulator):
    """Rows as soon as frames arrive; nothing is kept."""

    def __init__(self, networks: FaceNetworks) -> None:
        self._networks = networks

    def update(self, piece: Piece) -> Arrays:
        return self._networks.read(piece.frames)

    def finish(self) -> Arrays:
        return {}


class IdentitySynth(Extractor):
    """Identity of every frame and of the reference image.

    Arrays: ``embedding`` float32 [n, 64] and ``reference_embedding`` float32 [1, 64], unit rows, NaN without a face.
    """

    name: ClassVar[str] = IDENTITY
    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})
    shipped: ClassVar[Mapping[str, str]] = {FILE: PINS.get(FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._networks = FaceNetworks(device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _IdentityRows(self._networks, clip.reference_image)


class _IdentityRows(Accumulator):
    def __init__(self, networks: FaceNetworks, reference: FrameArray) -> None:
        self._networks = networks
        self._reference = reference

    def update(self, piece: Piece) -> Arrays:
        return {"embedding": piece.upstream[FACE]["embedding"]}

    def finish(self) -> Arrays:
        return {"reference_embedding": self._networks.read(self._reference[None])["embedding"]}
