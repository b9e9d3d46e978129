"""HDTF (Zhang et al., CVPR 2021) from its published annotation files and the videos that the user has."""
