"""Mirrors of runs and trainings in TensorBoard, MLflow, W&B and trackio; only where the user asks for one."""
