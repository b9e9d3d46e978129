"""Training of the small speech encoder: from sound to the shapes of the mouth, a minute or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emo_models.emo.log_mel import LogMelEncoder
from emo_models.emo.speech_net import SpeechNet
from emo_models.emo.training.clips import ClipRecord, TrainingClips, step_generator
from emo_models.emo.training.mouth_reader import correlation

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SpeechNetTraining:
    """Settings.

    Attributes:
        steps: Optimizer steps.
        clips: Whole clips per step.
        lr: Highest learning rate; falls linearly to zero.
        weight_decay: Of AdamW.
        loudness: Standard deviation of a shift of all log-mel values of a clip (one unit is 40 dB).
        noise: Standard deviation of noise on single values.
        seed: Decides everything random.
    """

    steps: int = 1000
    clips: int = 16
    lr: float = 2e-3
    weight_decay: float = 0.05
    loudness: float = 0.15
    noise: float = 0.1
    seed: int = 0


def train_speech_net(
    mel: LogMelEncoder, config: SpeechNetTraining, clips: TrainingClips, *, report: Report, **shape: int
) -> SpeechNet:
    """A trained `SpeechNet`; ``shape`` are its arguments besides ``in_width``.

    Raises:
        ValueError: A clip has no known mouth opening, which is what the network learns to hear.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net: SpeechNet = SpeechNet(in_width=mel.width, **shape)
        records = [clips[index] for index in range(len(clips))]
        length = min(len(record.frames) for record in records)
        columns = torch.stack([_columns(record, mel, net.context, length) for record in records])
        shapes = torch.stack([_shapes(record, length) for record in records])
        scale = shapes.std((0, 1)).clamp_min(1e-6)
        goal = (shapes - shapes.mean((0, 1))) / scale
        optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        net.train()
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * (1 - step / config.steps)
            rng = step_generator(config.seed, "speech-net", step)
            chosen = torch.from_numpy(rng.integers(len(records), size=config.clips))
            heard = columns[chosen]
            heard = (
                heard + config.loudness * _normal(rng, (len(heard), 1, 1)) + config.noise * _normal(rng, heard.shape)
            )
            loss = (net.shapes(net(heard)) - goal[chosen]).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if (step + 1) % 200 == 0 or step + 1 == config.steps:
                report(f"speech encoder: step {step + 1}/{config.steps} loss {loss.item():.4f}")
    return net.eval()


@torch.no_grad()
def heard_opening(net: SpeechNet, mel: LogMelEncoder, clips: TrainingClips) -> float:
    """Mean over clips of the correlation between the mouth opening that the network hears and the true one."""
    found = []
    for index in range(len(clips)):
        record = clips[index]
        length = len(record.frames)
        heard = net.shapes(net(_columns(record, mel, net.context, length)[None]))[0, :, 0]
        found.append(correlation(heard.double().numpy(), _opening(record).astype(np.float64)))
    return float(np.mean(found))


def _columns(record: ClipRecord, mel: LogMelEncoder, context: int, length: int) -> Tensor:
    return mel.window(record.audio, -context, length + context)[:, 0]


def _opening(record: ClipRecord) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if record.mouth_opening is None:
        raise ValueError(
            f"expected clips with known mouth opening to train a speech encoder, found {record.id} without; "
            "choose a preset whose speech encoder is pretrained, such as wav2vec2"
        )
    return np.asarray(record.mouth_opening, np.float32)


def _shapes(record: ClipRecord, length: int) -> Tensor:
    boxes, faces = (np.asarray(b, np.float32)[:length] for b in (record.mouth_boxes, record.face_boxes))
    size = (boxes[:, 2:] - boxes[:, :2]) / np.maximum(faces[:, 3:] - faces[:, 1:2], 1.0)
    # How large a person's mouth is cannot be heard.
    values = np.concatenate([_opening(record)[:length, None], size - size.mean(0)], 1)
    return torch.from_numpy(np.ascontiguousarray(values))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
