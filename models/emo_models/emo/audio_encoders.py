"""Speech encoders: audio in, features per video frame out.

Each gives ``float32 [frames, layers, width]`` for any range of frames, so that a long file is never processed as a
whole. A frame stands for the time in its middle. Frames before the start or behind the end repeat the edge.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_core.network_config import without_code
from emo_models.emo.audio import RATE, frame_count, write_encoder_config
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import load_speech_net_encoder
from emo_models.emo.migration import migrate_audio_encoder_config

WHISPER_SECONDS = 30.0
"""Of audio at once; it hears no more."""


class AudioEncoder(Protocol):
    """What the pipeline asks of a speech encoder."""

    fps: float
    layers: int
    width: int

    def window(self, samples: NDArray[np.float32], first: int, last: int) -> Tensor:
        """Features of the frames ``first <= frame < last``, ``float32 [last - first, layers, width]``.

        Args:
            samples: Mono audio at 16 kHz, ``float32 [n]`` in [-1, 1].
            first: First frame; may be negative.
            last: Frame behind the last; may lie behind the end of the audio.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` and, where there are any, the weights."""
        ...


class TransformerEncoder:
    """Hidden states of all blocks of a pretrained speech transformer, interpolated to the video's frames.

    Audio is processed in chunks of ``chunk_seconds`` with ``context_seconds`` of real audio on both sides; the two
    latest chunks are kept.

    Args:
        model: transformers' ``Wav2Vec2Model`` or ``WhisperModel``.
        kind: ``"wav2vec2"`` or ``"whisper"``.
        fps: Frames per second.
        chunk_seconds: Length of a chunk.
        context_seconds: Audio added on both sides.
        extractor: transformers' feature extractor; Whisper needs one, wav2vec 2.0 only normalises.
    """

    def __init__(
        self,
        model: Any,
        *,
        kind: str,
        fps: float = 30.0,
        chunk_seconds: float = 8.0,
        context_seconds: float = 1.0,
        extractor: Any = None,
    ) -> None:
        if kind not in {"wav2vec2", "whisper"}:
            raise ValueError(f"expected wav2vec2 or whisper, found {kind!r}")
        heard = chunk_seconds + 2 * context_seconds
        if kind == "whisper" and heard > WHISPER_SECONDS:
            raise ValueError(
                f"expected chunk_seconds and twice context_seconds to be at most {WHISPER_SECONDS:g} together, which "
                f"Whisper hears at once, found {heard:g}"
            )
        self.model = model.eval().requires_grad_(False)
        self.kind, self.fps, self.extractor = kind, fps, extractor
        self.chunk_seconds, self.context_seconds = chunk_seconds, context_seconds
        config = model.config
        if kind == "wav2vec2":
            self.layers, self.width = config.num_hidden_layers + 1, config.hidden_size
            self.stride, self.field = _conv_geometry(config.conv_kernel, config.conv_stride)
        else:
            self.layers, self.width = config.encoder_layers + 1, config.d_model
            # Mel columns lie around every 160th sample from the first on, and each state around every second of them.
            self.stride, self.field = 320, 0
        # With the audio itself: while it is held, no other audio can get its address.
        self._chunks: OrderedDict[tuple[int, int, int], tuple[Tensor, NDArray[np.float32]]] = OrderedDict()

    def window(self, samples: NDArray[np.float32], first: int, last: int) -> Tensor:
        """See `AudioEncoder.window`."""
        count = max(frame_count(len(samples), fps=self.fps), 1)
        per_chunk = max(int(self.chunk_seconds * self.fps), 1)
        frames = np.clip(np.arange(first, last), 0, count - 1)
        rows = [self._chunk(samples, int(frame) // per_chunk, per_chunk)[int(frame) % per_chunk] for frame in frames]
        return torch.stack(rows)

    def save(self, folder: Path) -> None:
        """See `AudioEncoder.save`."""
        self.model.save_pretrained(folder / "network", safe_serialization=True)
        if self.extractor is not None:
            self.extractor.save_pretrained(folder / "network")
        config = {"kind": self.kind, "fps": self.fps}
        write_encoder_config(
            folder, {**config, "chunk_seconds": self.chunk_seconds, "context_seconds": self.context_seconds}
        )

    def _chunk(self, samples: NDArray[np.float32], index: int, per_chunk: int) -> Tensor:
        key = (samples.__array_interface__["data"][0], len(samples), index)
        if key in self._chunks:
            return self._chunks[key][0]
        begin = max(round((index * per_chunk / self.fps - self.context_seconds) * RATE), 0)
        end = round(((index + 1) * per_chunk / self.fps + self.context_seconds) * RATE)
        # Silence behind the end, so that the last frames have hidden states of their own.
        piece = np.zeros(end - begin, np.float32)
        given = samples[begin:end]
        piece[: len(given)] = given
        hidden = self._hidden_states(piece, samples)
        frames = torch.arange(index * per_chunk, (index + 1) * per_chunk, dtype=torch.float64)
        position = ((frames + 0.5) / self.fps * RATE - begin - self.field / 2) / self.stride
        position = position.clamp(0, hidden.shape[0] - 1)
        low = position.floor().long()
        high = (low + 1).clamp(max=hidden.shape[0] - 1)
        share = (position - low).float()[:, None, None]
        chunk = torch.lerp(hidden[low], hidden[high], share)
        self._chunks[key] = (chunk, samples)
        while len(self._chunks) > 2:
            self._chunks.popitem(last=False)
        return chunk

    @torch.no_grad()
    def _hidden_states(self, piece: NDArray[np.float32], whole: NDArray[np.float32]) -> Tensor:
        device = next(self.model.parameters()).device
        if self.kind == "wav2vec2":
            # wav2vec 2.0 was trained on audio of zero mean and unit variance; the whole file decides, not the chunk.
            deviation = float(np.sqrt(whole.var() + 1e-7)) if len(whole) else 1.0
            mean = float(whole.mean()) if len(whole) else 0.0
            values = torch.from_numpy((piece - mean) / deviation)[None].to(device)
            states = self.model(values, output_hidden_states=True).hidden_states
            return torch.stack([s[0] for s in states], 1).float().cpu()
        if self.extractor is None:
            raise ValueError("expected a feature extractor for Whisper; load it from the folder of the weights")
        inputs = self.extractor(piece, sampling_rate=RATE, return_tensors="pt").input_features.to(device)
        states = self.model.encoder(inputs, output_hidden_states=True).hidden_states
        used = -(-len(piece) // self.stride)
        return torch.stack([s[0, :used] for s in states], 1).float().cpu()


def load_audio_encoder(folder: Path) -> AudioEncoder:
    """The encoder that ``save`` wrote.

    Raises:
        ValueError: The folder says nothing or something unknown.
    """
    config = migrate_audio_encoder_config(json.loads((folder / "config.json").read_text("utf-8")))
    kind = config.pop("kind", None)
    if kind == "log-mel":
        return LogMelEncoder(**config)
    if kind == "speech-net":
        return load_speech_net_encoder(folder, **config)
    if kind in {"wav2vec2", "whisper"}:
        return load_transformer_encoder(folder / "network", kind=kind, **config)
    raise ValueError(
        f"expected the kind log-mel, speech-net, wav2vec2 or whisper in {folder / 'config.json'}, found {kind!r}"
    )


def load_transformer_encoder(folder: Path, *, kind: str, fps: float, **options: float) -> TransformerEncoder:
    """wav2vec 2.0 or Whisper from a local folder in transformers' layout.

    Only ``config.json``, ``model.safetensors`` and Whisper's preprocessor are read; no code that they name runs.

    Raises:
        FileNotFoundError: The folder has no ``model.safetensors``.
        ValueError: The tensors do not fit the configuration.
    """
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"expected {folder / 'model.safetensors'} (transformers' layout), found no such file; "
            "point the preset at a local folder with the speech encoder's weights"
        )
    extractor: Any = None
    if kind == "whisper":
        from transformers import WhisperFeatureExtractor

        extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)  # type: ignore[no-untyped-call, unused-ignore]
    return TransformerEncoder(_network(folder, kind), kind=kind, fps=fps, extractor=extractor, **options)


def _network(folder: Path, kind: str) -> Any:
    from safetensors.torch import load_file
    from transformers import Wav2Vec2Config, Wav2Vec2Model, WhisperConfig, WhisperModel

    classes: dict[str, Any] = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2Model), "whisper": (WhisperConfig, WhisperModel)}
    config_class, model_class = classes[kind]
    config = without_code(json.loads((folder / "config.json").read_text("utf-8")))
    # Not by the folder's name: transformers would take an adapter that lies there, and the network which that names.
    network, told = model_class.from_pretrained(
        None,
        config=config_class.from_dict(config),
        state_dict=load_file(folder / "model.safetensors"),
        attn_implementation="sdpa",
        output_loading_info=True,
        dtype=torch.float32,
    )
    # Missing tensors would be drawn at random. Those named here take no part in the hidden states.
    lacking = sorted(n for n in told["missing_keys"] if n != "masked_spec_embed" and not n.startswith("decoder."))
    if lacking or told["mismatched_keys"]:
        raise ValueError(
            f"expected the tensors of {folder / 'config.json'} in model.safetensors, found {len(lacking)} missing "
            f"{lacking[:2]} and {len(told['mismatched_keys'])} of another shape; copy both files from the same place"
        )
    return network


def _conv_geometry(kernels: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    stride, field = 1, 1
    for kernel, step in zip(kernels, strides, strict=True):
        field += (kernel - 1) * stride
        stride *= step
    return stride, field
