"""Training of the small speech encoder: from audio to the shapes of the mouth, a minute or two."""

from __future__ import annotations

from collections.abc import Sequence
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
    """All clips in one voice and tempo: of each columns ``[t + 2 * context, width]`` and shapes ``[t, 3]``."""

    columns: list[Tensor]
    shapes: list[Tensor]

    def stretches(
        self, chosen: Sequence[int], wanted: int, context: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each chosen clip ``wanted`` frames (0: as many as the shortest has) from somewhere in it.

        Returns:
            Columns ``[n, count + 2 * context, width]``, shapes ``[n, count, 3]``, and which frames there are
            ``[n, count]``: a clip that is too short repeats its last one.
        """
        lengths = [len(shapes) for shapes in self.shapes]
        count = min(wanted or min(lengths), max(lengths))
        if len(set(lengths)) == 1:
            firsts = [int(rng.integers(lengths[0] - count + 1))] * len(chosen)
        else:
            firsts = [int(rng.integers(max(lengths[clip] - count, 0) + 1)) for clip in chosen]
        places = list(zip(chosen, firsts, strict=True))
        columns = [_stretch(self.columns[clip], first, count + 2 * context) for clip, first in places]
        shapes = [_stretch(self.shapes[clip], first, count) for clip, first in places]
        there = torch.tensor([[first + frame < lengths[clip] for frame in range(count)] for clip, first in places])
        return torch.stack(columns), torch.stack(shapes), there


def _stretch(rows: Tensor, first: int, count: int) -> Tensor:
    return rows[np.minimum(np.arange(first, first + count), len(rows) - 1)]


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
        shapes = torch.cat(self.plain.shapes)
        self.mean, self.scale = shapes.mean(0), shapes.std(0).clamp_min(1e-6)
        # Each clip counts the same, however far its person opens the mouth; audio does not say that.
        spreads = torch.stack([clip[:, 0].std() for clip in self.plain.shapes])
        self.weight = (spreads / self.scale[0]).clamp_min(0.3).reciprocal().square()
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
        columns, shapes, there = features.stretches(chosen.tolist(), config.frames, net.context, rng)
        columns = columns + config.loudness * _normal(rng, (len(columns), 1, 1))
        columns = columns + config.noise * _normal(rng, columns.shape)
        goal = (shapes - self.mean) / self.scale
        mine = list(self.workers.share(config.clips))
        error = (net.shapes(net(columns[mine])) - goal[mine]).square() * self.weight[chosen[mine], None, None]
        loss: Tensor = error.mean() if there.all() else error[there[mine]].mean()
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
    shapes = [torch.from_numpy(at_tempo(_shapes(record), tempo)) for record in records]
    sounds = (record.audio if tempo == 1 else faster(record.audio, tempo) for record in records)
    columns = [
        mel.window(audio, -context, len(shape) + context)[:, 0] for audio, shape in zip(sounds, shapes, strict=True)
    ]
    return _Features(columns, shapes)


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
