"""HDTF-Synth: a talking-portrait test set made by a program, with the truth about every frame.

``make.make_hdtf_synth`` writes it; ``render.render_frame`` paints one frame of an ``identity.identity_from_seed``;
``motion.motion_from_speech`` moves a face with speech. Every byte is the same on every machine: see ``exact``
(arithmetic), ``container`` (video files), ``truth`` (truth files) and docs/adr/0005-bit-identical-rendering.md.
It shows no real person and stands for no real data set.
"""
