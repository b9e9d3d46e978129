"""Training of the small speech encoder: from audio to the shapes of the mouth, a minute or two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.emo.audio import RATE
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import SpeechNet, SpeechNetEncoder
from emo_models.emo.training.config import SpeechNetTraining
from emo_models.training.clips import TrainingClip, TrainingClips, chooser, every_clip, moving, step_generator
from emo_models.training.loop import Loop, LoopConfig, Report
from emo_models.training.mouth_reader import correlation
from emo_models.training.network import NetworkTrainee
from emo_models.training.workers import ALONE, Workers


@dataclass(frozen=True, eq=False)
class _Features:
    """All clips in one voice and tempo: columns ``[clips, t + 2 * context, width]`` and shapes ``[clips, t, 3]``."""

    columns: Tensor
    shapes: Tensor


def train_speech_net(
    mel: LogMelEncoder,
    config: SpeechNetTraining,
    clips: TrainingClips,
    folder: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
    **shape: int,
) -> SpeechNet:
    """A trained `SpeechNet`; ``shape`` are its arguments besides ``in_width``. Each of ``workers`` trains on its share.

    The data have few voices, which are soon overfitted; so half of the steps are spent on voices that nobody has.
    Checkpoints lie in ``folder``.

    Raises:
        ValueError: A clip has no known mouth opening, which is what the network learns to predict.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # of dropout too, which draws from the generator of the device
        net: SpeechNet = SpeechNet(in_width=mel.width, **shape)
        objective = _Objective(net, mel, config, clips, workers)
        trainee = NetworkTrainee(
            net,
            objective,
            torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay),
            rate=lambda step: config.lr * (1 - step / config.steps),
            ema=config.ema,
            workers=workers,
        )
        settings = LoopConfig(
            name="speech encoder", steps=config.steps, checkpoint_every=config.checkpoint_every, log_every=200
        )
        Loop(trainee, settings, folder, report=report, workers=workers).run()
        trainee.finish()
    return net


class _Objective:
    """Squared error of the mouth's shapes, each in units of its spread."""

    def __init__(
        self, net: SpeechNet, mel: LogMelEncoder, config: SpeechNetTraining, clips: TrainingClips, workers: Workers
    ) -> None:
        self.net, self.config, self.workers = net, config, workers
        records = list(every_clip(moving(clips, sound=True)))
        if not records:
            raise ValueError("expected clips with audio to train a speech encoder, found none")
        self.choose = chooser([record.weight for record in records])
        self.plain = _features(records, mel, net.context)
        self.others = [_features(records, mel.with_vtlp(scale), net.context) for scale in config.vtlp_factors]
        self.others += [_features(records, mel, net.context, tempo=tempo) for tempo in config.tempos]
        shapes = self.plain.shapes
        self.mean, self.scale = shapes.mean((0, 1)), shapes.std((0, 1)).clamp_min(1e-6)
        # Each clip counts the same, however far its person opens the mouth; audio does not say that.
        self.weight = (shapes[..., 0].std(1) / self.scale[0]).clamp_min(0.3).reciprocal().square()
        self.even = len({record.weight for record in records}) == 1

    def __call__(self, step: int) -> Tensor:
        config, net = self.config, self.net
        rng = step_generator(config.seed, "speech-net", step)
        other = self.others and rng.random() < 0.5
        features = self.others[int(rng.integers(len(self.others)))] if other else self.plain
        if self.even:
            chosen = torch.from_numpy(rng.integers(len(self.weight), size=config.clips))
        else:
            chosen = torch.tensor([self.choose(rng) for _ in range(config.clips)])
        length = features.shapes.shape[1]
        count = min(config.frames or length, length)
        first = int(rng.integers(length - count + 1))
        columns = features.columns[chosen, first : first + count + 2 * net.context]
        columns = columns + config.loudness * _normal(rng, (len(columns), 1, 1))
        columns = columns + config.noise * _normal(rng, columns.shape)
        goal = (features.shapes[chosen, first : first + count] - self.mean) / self.scale
        mine = list(self.workers.share(config.clips))
        error = (net.shapes(net(columns[mine])) - goal[mine]).square() * self.weight[chosen[mine], None, None]
        loss: Tensor = error.mean()
        return loss


def heard_opening(net: SpeechNet, mel: LogMelEncoder, clips: TrainingClips) -> float:
    """Mean over clips of the correlation between the mouth opening that the network predicts and the labels."""
    encoder = SpeechNetEncoder(net, mel)
    records = list(every_clip(moving(clips, sound=True)))
    return float(
        np.mean(
            [
                correlation(
                    encoder.heard_opening(record.audio, len(record.frames)), _opening(record).astype(np.float64)
                )
                for record in records
            ]
        )
    )


def _features(records: list[TrainingClip], mel: LogMelEncoder, context: int, *, tempo: float = 1.0) -> _Features:
    length = int(min(len(record.frames) for record in records) / tempo)
    sounds = [record.audio if tempo == 1 else faster(record.audio, tempo) for record in records]
    columns = [mel.window(audio, -context, length + context)[:, 0] for audio in sounds]
    shapes = [at_tempo(_shapes(record), tempo)[:length] for record in records]
    return _Features(torch.stack(columns), torch.from_numpy(np.stack(shapes)))


def faster(audio: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    """Audio at 16 kHz played ``tempo`` times as fast, which raises its pitch as much."""
    import soxr

    played: NDArray[np.float32] = soxr.resample(audio, RATE * tempo, RATE)
    return played


def at_tempo(values: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    """``values [t, k]`` of frames, at the middles of the frames of a video played ``tempo`` times as fast."""
    middles = (np.arange(int(len(values) / tempo)) + 0.5) * tempo - 0.5
    frames = np.arange(len(values))
    columns = [np.interp(middles, frames, values[:, k]) for k in range(values.shape[1])]
    return np.stack(columns, 1).astype(np.float32)


def _opening(record: TrainingClip) -> NDArray[np.float32]:
    if record.mouth_opening is None:
        raise ValueError(
            f"expected clips with known mouth opening to train a speech encoder, found {record.id} without; "
            "choose a preset whose speech encoder is pretrained, such as wav2vec2"
        )
    return np.asarray(record.mouth_opening, np.float32)


def _shapes(record: TrainingClip) -> NDArray[np.float32]:
    boxes, faces = (np.asarray(b, np.float32) for b in (record.mouth_boxes, record.face_boxes))
    size = (boxes[:, 2:] - boxes[:, :2]) / np.maximum(faces[:, 3:] - faces[:, 1:2], 1.0)
    # Audio does not say how large a person's mouth is.
    return np.concatenate([_opening(record)[:, None], size - size.mean(0)], 1)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
