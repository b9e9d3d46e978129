"""Whisper's hidden states stand for the time they are about."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emo_models.emo.audio_encoders import TransformerEncoder


def test_a_click_is_heard_as_much_before_as_after_it() -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    shape = WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    model = WhisperModel(shape)
    with torch.no_grad():
        for convolution in (model.encoder.conv1, model.encoder.conv2):
            convolution.weight.copy_((convolution.weight + convolution.weight.flip(-1)) / 2)
    encoder = TransformerEncoder(model, kind="whisper", fps=50.0, extractor=WhisperFeatureExtractor(feature_size=80))
    # On the border of two frames; a frame stands for the time in its middle.
    sound = np.zeros(16_000, np.float32)
    sound[25 * 320] = 0.9
    quiet = np.zeros(16_000, np.float32)
    heard = (encoder.window(sound, 0, 50)[:, 0] - encoder.window(quiet, 0, 50)[:, 0]).norm(dim=1)
    assert heard[24] > 0
    for distance in range(4):
        torch.testing.assert_close(heard[24 - distance], heard[25 + distance], rtol=1e-3, atol=1e-4)


def test_pieces_longer_than_whisper_hears_are_refused() -> None:
    from transformers import WhisperConfig, WhisperModel

    shape = WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"expected chunk_seconds .* at most 30"):
        TransformerEncoder(WhisperModel(shape), kind="whisper", chunk_seconds=29.0, context_seconds=1.0)
