"""Wav2Lip (Prajwal et al., "A Lip Sync Expert Is All You Need", ACM Multimedia 2020, arXiv 2008.10010).

Networks, audio preparation, inference and training; the published checkpoints load by name and shape.
"""
