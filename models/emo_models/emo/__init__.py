"""EMO: Emote Portrait Alive (arXiv 2402.17485), complete and trainable; one file per part of the paper."""
