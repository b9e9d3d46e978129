"""How EMO is trained: stages, loss, batches, checkpoints, diagnostics."""
