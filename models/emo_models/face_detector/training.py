"""Training of the face detector: scenes composed of portraits whose face box is known, and of images without faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from emo_models.face_detector.network import STRIDE, FaceDetector
from emo_models.initial_weights import initial_weights
from emo_models.training.loop import Loop, LoopConfig, Report
from emo_models.training.network import NetworkTrainee

Image = NDArray[np.uint8]
SMALLEST, LARGEST = 0.1, 0.85
"""Height of a face as a share of the image's side, from and to."""


@dataclass(frozen=True)
class Portrait:
    """An image with one face: ``uint8 RGB [H, W, 3]``, and its box (left, top, right, bottom) in pixels."""

    image: Image
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DetectorTraining:
    """Settings of a training.

    Attributes:
        steps: Updates.
        batch: Scenes per update.
        learning_rate: At its peak; falls to zero along a cosine.
        seed: Decides scenes and start weights.
        checkpoint_every: Steps between checkpoints.
    """

    steps: int = 3000
    batch: int = 24
    learning_rate: float = 2e-3
    seed: int = 0
    checkpoint_every: int = 500


def scene(portraits: Sequence[Portrait], rng: np.random.Generator, *, side: int) -> tuple[Image, NDArray[np.float32]]:
    """One training image, ``uint8 [side, side, 3]``, and the boxes of its faces, ``float32 [n, 4]``; n may be 0."""
    kind = rng.choice(4, p=[0.5, 0.2, 0.12, 0.18])
    if kind == 0:
        canvas, boxes = _one_portrait(portraits, rng, side)
    elif kind == 3:
        canvas, boxes = _no_face(portraits, rng, side), np.zeros((0, 4), np.float32)
    else:
        canvas, boxes = _several(portraits, rng, side, count=1 if kind == 1 else int(rng.integers(2, 4)))
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1]
        boxes = boxes.copy()
        boxes[:, [0, 2]] = side - boxes[:, [2, 0]]
    return _degraded(np.ascontiguousarray(canvas), rng), boxes


def _one_portrait(
    portraits: Sequence[Portrait], rng: np.random.Generator, side: int
) -> tuple[Image, NDArray[np.float32]]:
    """A portrait turned, scaled and moved, its surroundings filled in one of four ways."""
    portrait = portraits[int(rng.integers(len(portraits)))]
    left, top, right, bottom = portrait.box
    height = side * float(np.exp(rng.uniform(np.log(0.25), np.log(LARGEST))))
    scale, angle = height / (bottom - top), float(rng.normal(0, 8))
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    reach = side / 2 - 0.35 * min(height, side)
    target = side / 2 + rng.uniform(-1, 1, 2) * max(0.0, reach)
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale)
    matrix[:, 2] += target - centre
    border = [cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT][int(rng.integers(3))]
    colour = tuple(map(float, rng.integers(0, 256, 3)))
    canvas = moved(portrait.image, matrix, side=side, borderMode=border, borderValue=colour)
    if border == cv2.BORDER_REFLECT_101:
        # A mirrored face would be one without a box.
        inside = cv2.warpAffine(np.full(portrait.image.shape[:2], 255, np.uint8), matrix, (side, side))
        blurred = cv2.GaussianBlur(canvas, (0, 0), side / 8)
        canvas = np.where(inside[..., None] > 127, canvas, blurred).astype(np.uint8)
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]]) @ matrix.T
    # The box of a turned box is too large; brow and chin turn about the centre.
    half = scale * np.array([right - left, bottom - top]) / 2
    middle = corners.mean(0)
    box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return np.asarray(canvas, np.uint8), box[None]


def moved(image: Image, matrix: NDArray[Any], *, side: int, **border: Any) -> Image:
    """An image under an affine map, ``uint8 [side, side, 3]``; smoothed when it becomes smaller, as in use.

    Args:
        image: ``uint8 RGB [H, W, 3]``.
        matrix: From pixels of the image to those of the result, ``[2, 3]``.
        side: Of the result.
        border: OpenCV's arguments for what lies beyond the image.
    """
    height, width = image.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        # OpenCV's warp takes single pixels whatever it is asked for, so the image is made smaller before.
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        x, y = width / size[0], height / size[1]
        matrix = matrix @ np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return np.asarray(cv2.warpAffine(image, matrix, (side, side), **border), np.uint8)


def _no_face(portraits: Sequence[Portrait], rng: np.random.Generator, side: int) -> Image:
    """Backgrounds, clothes and hair: a part of a portrait that its face does not reach, or a plain gradient."""
    if rng.random() < 0.15:
        low, high = rng.uniform(0, 255, (2, 3))
        ramp = np.linspace(0, 1, side)[:, None, None] if rng.random() < 0.5 else np.linspace(0, 1, side)[None, :, None]
        noise = rng.normal(0, rng.uniform(0, 30), (side, side, 3))
        return np.asarray(np.clip(low + (high - low) * ramp + noise, 0, 255), np.uint8)
    for _ in range(20):
        portrait = portraits[int(rng.integers(len(portraits)))]
        height, width = portrait.image.shape[:2]
        size = int(rng.integers(24, max(25, min(height, width) // 2)))
        x, y = int(rng.integers(0, width - size + 1)), int(rng.integers(0, height - size + 1))
        left, top, right, bottom = portrait.box
        if x + size < left or x > right or y + size < top or y > bottom:
            part = portrait.image[y : y + size, x : x + size]
            return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    return np.full((side, side, 3), int(rng.integers(0, 256)), np.uint8)


def _several(
    portraits: Sequence[Portrait], rng: np.random.Generator, side: int, *, count: int
) -> tuple[Image, NDArray[np.float32]]:
    """Heads put into a background that shows no face, none over another."""
    canvas = _no_face(portraits, rng, side).astype(np.float32)
    boxes: list[NDArray[np.float32]] = []
    for _ in range(count):
        portrait = portraits[int(rng.integers(len(portraits)))]
        left, top, right, bottom = portrait.box
        height = side * float(np.exp(rng.uniform(np.log(SMALLEST), np.log(0.5))))
        scale = height / (bottom - top)
        half = np.array([right - left, bottom - top]) * scale / 2
        centre = rng.uniform(half * 1.1, side - half * 1.1)
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        if any(_near(box, other) for other in boxes):
            continue
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
        matrix[:, 2] = centre - scale * np.array([(left + right) / 2, (top + bottom) / 2])
        head = moved(portrait.image, matrix, side=side)
        y, x = np.mgrid[:side, :side].astype(np.float32)
        away = np.hypot((x - centre[0]) / (1.35 * half[0]), (y - centre[1] + 0.1 * half[1]) / (1.4 * half[1]))
        known = cv2.warpAffine(np.ones(portrait.image.shape[:2], np.float32), matrix, (side, side))
        share = (np.clip((1.15 - away) / 0.3, 0, 1) * known)[..., None]
        canvas = canvas * (1 - share) + head * share
        boxes.append(box)
    found = np.stack(boxes) if boxes else np.zeros((0, 4), np.float32)
    return canvas.astype(np.uint8), found


def _near(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    grown = 0.4 * (a[2:] - a[:2] + b[2:] - b[:2]) / 2
    return bool(((np.maximum(a[:2], b[:2]) - grown) < np.minimum(a[2:], b[2:])).all())


def _degraded(canvas: Image, rng: np.random.Generator) -> Image:
    """Light, colour, blur, noise and compression as images have them; some become grey or sepia."""
    values = canvas.astype(np.float32)
    if rng.random() < 0.25:
        grey = values @ np.array([0.299, 0.587, 0.114], np.float32)
        tint = np.array([1, 1, 1] if rng.random() < 0.6 else [1.05, 0.95, 0.8], np.float32)
        values = grey[..., None] * tint
    values = (values - 128) * rng.uniform(0.6, 1.3) + 128 + rng.normal(0, 18)
    values *= 1 + rng.normal(0, 0.05, 3)
    if rng.random() < 0.3:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), float(rng.uniform(0.4, 1.8))), np.float32)
    values += rng.normal(0, rng.uniform(0, 8), values.shape)
    result = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, code = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
        result = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return result


def targets_of(boxes: Sequence[NDArray[np.float32]], *, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the network should give.

    Returns:
        Heat map ``[b, 1, n, n]``, 1 at a face's centre and a Gaussian around it; offsets and log sizes
        ``[b, 4, n, n]``; and where those count, ``[b, 1, n, n]``.
    """
    cells = side // STRIDE
    heat = torch.zeros(len(boxes), 1, cells, cells)
    values = torch.zeros(len(boxes), 4, cells, cells)
    known = torch.zeros(len(boxes), 1, cells, cells)
    y, x = torch.meshgrid(torch.arange(cells) + 0.5, torch.arange(cells) + 0.5, indexing="ij")
    for index, rows in enumerate(boxes):
        for left, top, right, bottom in torch.from_numpy(rows).tolist():
            cx, cy = (left + right) / 2 / STRIDE, (top + bottom) / 2 / STRIDE
            if not (0 <= cx < cells and 0 <= cy < cells):
                continue
            w, h = max(1e-3, (right - left) / STRIDE), max(1e-3, (bottom - top) / STRIDE)
            spread = max(0.6, min(w, h) / 6)
            bump = torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * spread**2))
            column, row = int(cx), int(cy)
            heat[index, 0] = torch.maximum(heat[index, 0], bump)
            heat[index, 0, row, column] = 1.0
            near = (bump > 0.5) | ((x - cx).abs() + (y - cy).abs() < 1.2)
            measured = torch.stack([cx - x, cy - y, torch.full_like(x, w).log(), torch.full_like(x, h).log()])
            values[index] = torch.where(near, measured, values[index])
            known[index, 0] = torch.where(near, torch.ones_like(x), known[index, 0])
    return heat, values, known


def loss_of(found: Tensor, heat: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """CornerNet's focal loss on the heat map, plus L1 on offsets and log sizes where a face is."""
    logit = found[:, :1]
    probability = logit.sigmoid().clamp(1e-5, 1 - 1e-5)
    positive = heat == 1
    hit = -((1 - probability) ** 2 * probability.log())[positive].sum()
    miss = -((1 - heat) ** 4 * probability**2 * (1 - probability).log())[~positive].sum()
    count = positive.sum().clamp(min=1)
    box = F.smooth_l1_loss(found[:, 1:] * known, values * known, beta=0.2, reduction="sum") / known.sum().clamp(min=1)
    return (hit + miss) / count + box


def _digest(portraits: Sequence[Portrait]) -> str:
    digest = hashlib.sha256()
    for portrait in portraits:
        digest.update(repr((portrait.image.shape, *map(float, portrait.box))).encode())
        digest.update(portrait.image.tobytes())
    return digest.hexdigest()


def train_detector(
    portraits: Sequence[Portrait],
    settings: DetectorTraining,
    folder: Path,
    *,
    network: FaceDetector | None = None,
    report: Report = print,
) -> FaceDetector:
    """Trains a detector on scenes that are composed as it goes; equal settings and portraits give equal scenes.

    Args:
        portraits: Faces with their boxes.
        settings: Steps and rates.
        folder: Of checkpoints; a training that was interrupted resumes.
        network: Trained in place; a new one when absent.
        report: Called with lines for the user.
    """
    with initial_weights(settings.seed):
        net = network or FaceDetector()
    side = int(net.config.side)

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step])
        scenes = [scene(portraits, rng, side=side) for _ in range(settings.batch)]
        images = torch.from_numpy(np.stack([image for image, _ in scenes])).permute(0, 3, 1, 2).float()
        return loss_of(net(images / 127.5 - 1), *targets_of([boxes for _, boxes in scenes], side=side))

    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.steps, pct_start=0.08
    )
    trainee = NetworkTrainee(net, loss_at, optimizer, schedule=schedule, grad_clip=5.0)
    config = LoopConfig(
        name="face detector",
        steps=settings.steps,
        checkpoint_every=settings.checkpoint_every,
        log_every=100,
        identity={
            **asdict(settings),
            "network": {"width": int(net.config.width), "side": side},
            "portraits": _digest(portraits),
        },
    )
    Loop(trainee, config, folder, report=report).run()
    trainee.finish()
    return net
