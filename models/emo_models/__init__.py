"""EMO (Emote Portrait Alive), part by part, and the baselines it is compared with."""
