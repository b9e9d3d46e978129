"""Training under torchrun: two processes on the CPU, one model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from emo_scenes import MovingSquares
from emo_models.emo.training import run
from emo_models.emo.training.config import TrainConfig
from emo_models.training.checkpoints import complete_checkpoints, read_checkpoint
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.training.speech_net_training import SpeechNetTraining, train_speech_net
from emo_models.training.workers import Workers
import emo_models.emo.training.trainer as trainer

torch.set_num_threads(1)
rank = int(os.environ.get("RANK", "0"))
seen = []
finish = trainer.Trainer.run
def watched(self):
    finish(self)
    seen.append(float(sum(p.detach().double().abs().sum() for p in self.model.parameters())))
    seen.append(self.history[-1][1])
trainer.Trainer.run = watched
config = TrainConfig.model_validate_json(json.dumps({{
    "preset": "tiny", "log_every": 1, "checkpoint_every": 2, "reader_steps": 0,
    "autoencoder": {{"steps": 2, "batch": 2, "crop": 32}},
    "refiner": {{"steps": 2, "batch": 2, "clips": 3, "rounds": 1}},
    "stages": [
        {{"name": "image", "steps": 2, "clips": 2, "frames": 2, "lr": 0.001}},
        {{"name": "video", "steps": 2, "clips": 2, "lr": 0.001}},
    ],
}}), strict=True)
out = Path(sys.argv[1])
run(config, MovingSquares(), out)
workers = Workers(rank=rank, count=int(os.environ["WORLD_SIZE"]))
settings, mel = SpeechNetTraining(steps=8, clips=4), LogMelEncoder(bands=8, steps=2)
net = train_speech_net(
    mel, settings, MovingSquares(clips=4), out / "speech", report=print, width=16, blocks=1, workers=workers
)
seen.append({{name: float(value.double().sum()) for name, value in net.state_dict().items()}})
(out / f"rank-{{rank}}.json").write_text(json.dumps(seen))
"""


def _train(folder: Path, *, processes: int) -> list[tuple[float, float, dict[str, float]]]:
    program = folder / "program.py"
    program.write_text(PROGRAM.format(here=str(Path(__file__).parent)))
    out = folder / f"out-{processes}"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*launcher, str(program), str(out)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (out / "pipeline" / "model_index.json").is_file()
    return [tuple(json.loads((out / f"rank-{rank}.json").read_text())) for rank in range(processes)]


def test_two_processes_train_one_model_on_different_batches(tmp_path: Path) -> None:
    first, second = _train(tmp_path, processes=2)
    assert first[0] == second[0], "weights differ between processes: gradients were not averaged"
    assert first[1] != second[1], "both processes saw the same batch"
    assert first[2] == second[2], "the speech encoder differs between processes"
    assert (tmp_path / "out-2" / "pipeline" / "refiner").is_dir()
    (alone,) = _train(tmp_path, processes=1)
    assert alone[0] != first[0], "the second process changed nothing"
    assert first[2]["center.running_mean"] == pytest.approx(alone[2]["center.running_mean"], rel=1e-4)
