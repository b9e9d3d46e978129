"""What every network here is trained with: clips, the loop, averages, checkpoints, work shared between processes."""
