"""emo-bench: evaluation and reproducibility suite for audio-driven talking-portrait models."""

__version__ = "0.1.0"
