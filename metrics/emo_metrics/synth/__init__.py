"""The synth family: small networks trained on HDTF-Synth, shipped inside the package, and the protocols that use them.

They make a complete run possible without a download. They know rendered faces only: their numbers rank systems on
HDTF-Synth and compare with nothing published.
"""
