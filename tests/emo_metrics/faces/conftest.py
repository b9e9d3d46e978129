"""Real weights and clips for the face extractors; tests are skipped where they are not at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipInputs, Extractor, Piece

ASSETS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets"


@pytest.fixture(scope="session")
def weights() -> Mapping[str, Path]:
    folder = ASSETS / "weights"
    if not folder.is_dir():
        pytest.skip(f"real weights are not at hand ({folder} is absent)")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="session")
def clip_frames() -> Callable[..., np.ndarray]:
    """Decodes the first frames of a real clip: ``clip_frames(name, count)``."""
    folder = ASSETS / "clips"
    if not folder.is_dir():
        pytest.skip(f"real clips are not at hand ({folder} is absent)")
    known: dict[tuple[str, int], np.ndarray] = {}

    def decode(name: str, count: int) -> np.ndarray:
        import av

        if (name, count) not in known:
            frames = []
            with av.open(str(folder / name)) as container:
                for frame in container.decode(video=0):
                    frames.append(frame.to_ndarray(format="rgb24"))
                    if len(frames) == count:
                        break
            known[name, count] = np.stack(frames)
        return known[name, count]

    return decode


@pytest.fixture(scope="session")
def extract() -> Callable[..., ClipFeatures]:
    """Runs extractors over frames in pieces, as the harness does."""

    def run(
        extractors: Sequence[Extractor],
        frames: np.ndarray,
        *,
        piece: int = 16,
        reference: np.ndarray | None = None,
        fps: Fraction = Fraction(25),
    ) -> ClipFeatures:
        clip = ClipInputs(
            clip_id="clip",
            fps=fps,
            n_frames=len(frames),
            height=frames.shape[1],
            width=frames.shape[2],
            reference_image=frames[0] if reference is None else reference,
        )
        running = [(extractor, extractor.begin(clip)) for extractor in extractors]
        rows: dict[str, list[Mapping[str, np.ndarray]]] = {extractor.name: [] for extractor in extractors}
        for start in range(0, len(frames), piece):
            upstream: dict[str, Mapping[str, np.ndarray]] = {}
            for extractor, accumulator in running:
                upstream[extractor.name] = accumulator.update(
                    Piece(
                        frames=frames[start : start + piece],
                        start=start,
                        upstream={name: upstream[name] for name in extractor.requires},
                    )
                )
                rows[extractor.name].append(upstream[extractor.name])
        arrays = {
            extractor.name: {
                key: np.concatenate([part[key] for part in rows[extractor.name]]) for key in rows[extractor.name][0]
            }
            | dict(accumulator.finish())
            for extractor, accumulator in running
        }
        return ClipFeatures(clip_id="clip", identity="someone", fps=fps, n_frames=len(frames), arrays=arrays)

    return run
