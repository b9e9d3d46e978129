"""Making the recordings of HDTF-Synth: sentences, voices, espeak-ng in its own process, and a singing voice.

Only who changes the recordings needs this; the recordings themselves are files beside it (``assets``).
"""
