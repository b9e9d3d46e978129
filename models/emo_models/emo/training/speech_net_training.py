"""Training of the small speech encoder: from sound to the shapes of the mouth, a minute or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.averaged_training import gradients, measured
from emo_models.averaging import Average
from emo_models.emo.audio import RATE
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import SpeechNet, SpeechNetEncoder
from emo_models.emo.training.clips import ClipRecord, TrainingClips, step_generator
from emo_models.emo.training.mouth_reader import correlation
from emo_models.workers import ALONE, Workers

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SpeechNetTraining:
    """Settings.

    Attributes:
        steps: Optimizer steps.
        clips: Clips per step, in one voice.
        frames: Of each clip, one after another; 0 is as many as the shortest has.
        lr: Highest learning rate; falls linearly to zero.
        weight_decay: Of AdamW.
        average: Decay of the averaged weights, which are the result.
        voices: Besides as they are, clips are heard with all frequencies times one of these (other throats).
        tempos: Besides as they are, clips are played this much faster, which raises the voice too.
        loudness: Standard deviation of a shift of all log-mel values of a clip (one unit is 40 dB).
        noise: Standard deviation of noise on single values.
        seed: Decides everything random.
    """

    steps: int = 1000
    clips: int = 16
    frames: int = 60
    lr: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.995
    voices: tuple[float, ...] = (0.88, 0.92, 0.96, 1.04, 1.08, 1.12)
    tempos: tuple[float, ...] = (0.85, 0.92, 1.08, 1.15)
    loudness: float = 0.15
    noise: float = 0.1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Lesson:
    """All clips in one voice and tempo: columns ``[clips, t + 2 * context, width]`` and shapes ``[clips, t, 3]``."""

    columns: Tensor
    shapes: Tensor


def train_speech_net(
    mel: LogMelEncoder,
    config: SpeechNetTraining,
    clips: TrainingClips,
    *,
    report: Report,
    workers: Workers = ALONE,
    **shape: int,
) -> SpeechNet:
    """A trained `SpeechNet`; ``shape`` are its arguments besides ``in_width``. Of ``workers`` each hears its share.

    Few voices are known, and they are soon known by heart; so half of the steps are spent on voices that nobody has.

    Raises:
        ValueError: A clip has no known mouth opening, which is what the network learns to hear.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net: SpeechNet = SpeechNet(in_width=mel.width, **shape)
        records = [clips[index] for index in range(len(clips))]
        plain = _lesson(records, mel, net.context)
        others = [_lesson(records, mel.with_vtlp(voice), net.context) for voice in config.voices]
        others += [_lesson(records, mel, net.context, tempo=tempo) for tempo in config.tempos]
        mean, scale = plain.shapes.mean((0, 1)), plain.shapes.std((0, 1)).clamp_min(1e-6)
        # Each clip counts the same, however far its person opens the mouth; that cannot be heard.
        weight = (plain.shapes[..., 0].std(1) / scale[0]).clamp_min(0.3).reciprocal().square()
        optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        average = Average(net, config.average)
        net.train()
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * (1 - step / config.steps)
            rng = step_generator(config.seed, "speech-net", step)
            lesson = others[int(rng.integers(len(others)))] if others and rng.random() < 0.5 else plain
            chosen = torch.from_numpy(rng.integers(len(records), size=config.clips))
            length = lesson.shapes.shape[1]
            count = min(config.frames or length, length)
            first = int(rng.integers(length - count + 1))
            heard = lesson.columns[chosen, first : first + count + 2 * net.context]
            heard = heard + config.loudness * _normal(rng, (len(heard), 1, 1))
            heard = heard + config.noise * _normal(rng, heard.shape)
            goal = (lesson.shapes[chosen, first : first + count] - mean) / scale
            mine = list(workers.share(config.clips))
            error = (net.shapes(net(heard[mine])) - goal[mine]).square() * weight[chosen[mine], None, None]
            loss = error.mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            loss = loss.detach()
            workers.average([loss, *gradients(net), *measured(net)])
            optimizer.step()
            average.update(net, step + 1)
            if (step + 1) % 200 == 0 or step + 1 == config.steps:
                report(f"speech encoder: step {step + 1}/{config.steps} loss {loss.item():.4f}")
        net.load_state_dict(average.tensors)
    return net.eval()


def heard_opening(net: SpeechNet, mel: LogMelEncoder, clips: TrainingClips) -> float:
    """Mean over clips of the correlation between the mouth opening that the network hears and the true one."""
    encoder = SpeechNetEncoder(net, mel)
    records = [clips[index] for index in range(len(clips))]
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


def _lesson(records: list[ClipRecord], mel: LogMelEncoder, context: int, *, tempo: float = 1.0) -> _Lesson:
    length = int(min(len(record.frames) for record in records) / tempo)
    sounds = [record.audio if tempo == 1 else faster(record.audio, tempo) for record in records]
    columns = [mel.window(sound, -context, length + context)[:, 0] for sound in sounds]
    shapes = [at_tempo(_shapes(record), tempo)[:length] for record in records]
    return _Lesson(torch.stack(columns), torch.from_numpy(np.stack(shapes)))


def faster(sound: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    """Sound at 16 kHz played ``tempo`` times as fast, which raises its pitch as much."""
    import soxr

    played: NDArray[np.float32] = soxr.resample(sound, RATE * tempo, RATE)
    return played


def at_tempo(values: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    """``values [t, k]`` of frames, at the middles of the frames of a video played ``tempo`` times as fast."""
    middles = (np.arange(int(len(values) / tempo)) + 0.5) * tempo - 0.5
    frames = np.arange(len(values))
    columns = [np.interp(middles, frames, values[:, k]) for k in range(values.shape[1])]
    return np.stack(columns, 1).astype(np.float32)


def _opening(record: ClipRecord) -> NDArray[np.float32]:
    if record.mouth_opening is None:
        raise ValueError(
            f"expected clips with known mouth opening to train a speech encoder, found {record.id} without; "
            "choose a preset whose speech encoder is pretrained, such as wav2vec2"
        )
    return np.asarray(record.mouth_opening, np.float32)


def _shapes(record: ClipRecord) -> NDArray[np.float32]:
    boxes, faces = (np.asarray(b, np.float32) for b in (record.mouth_boxes, record.face_boxes))
    size = (boxes[:, 2:] - boxes[:, :2]) / np.maximum(faces[:, 3:] - faces[:, 1:2], 1.0)
    # How large a person's mouth is cannot be heard.
    return np.concatenate([_opening(record)[:, None], size - size.mean(0)], 1)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
