"""The painter of HDTF-Synth: a small deterministic renderer for portraits in five styles."""
