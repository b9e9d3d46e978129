"""The loop resumes to the bit, saves when it is asked to stop, and refuses what belongs to another training."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from emo_core.atomic import owner
from emo_models.training.checkpoints import complete_checkpoints
from emo_models.training.loop import Loop, LoopConfig, Losses, Tensors
from emo_models.training.network import NetworkTrainee


def trainee(seed: int = 0) -> NetworkTrainee:
    """A small network with everything that has a state: batch norm, averages, a schedule."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=6)

    def loss_of(step: int) -> torch.Tensor:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        loss: torch.Tensor = (network(x)[:, 0] - x.sum(1)).square().mean()
        return loss

    return NetworkTrainee(network, loss_of, optimizer, schedule=schedule, grad_clip=1.0, ema=0.9)


def loop(trained: NetworkTrainee, folder: Path, *, steps: int = 6, **options: object) -> Loop:
    config = LoopConfig(name="t", steps=steps, checkpoint_every=2, identity={"width": 8})
    return Loop(trained, config, folder, report=lambda line: None, **options)  # type: ignore[arg-type]


def same(first: NetworkTrainee, second: NetworkTrainee) -> bool:
    tensors = first.tensors()
    return all(torch.equal(v, second.tensors()[group][k]) for group in tensors for k, v in tensors[group].items())


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_stopped_and_resumed_training_is_bit_exact(tmp_path: Path, stop: int) -> None:
    whole, cut, resumed = trainee(), trainee(), trainee(seed=9)
    complete = loop(whole, tmp_path / "whole", state={"seen": []})
    complete.run()
    first = loop(cut, tmp_path / "cut", should_stop=lambda: first.step == stop)
    first.run()
    assert first.step == stop
    second = loop(resumed, tmp_path / "cut")
    second.run()
    assert second.history == complete.history
    assert same(whole, resumed)
    whole.finish()
    assert torch.equal(whole.network.state_dict()["0.weight"], whole.tensors()["average"]["0.weight"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_it_comes_in(tmp_path: Path, number: signal.Signals) -> None:
    def ask(step: int, losses: Losses) -> None:
        if step == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        loop(trainee(), tmp_path, after_step=ask).run()
    assert signal.getsignal(number) is before
    assert complete_checkpoints(tmp_path)[-1].name == "step-00000003"
    resumed = loop(trainee(seed=9), tmp_path)
    resumed.run()
    assert [step for step, _ in resumed.history] == [1, 2, 3, 4, 5, 6]


def test_a_signal_while_the_last_step_is_saved_is_not_lost(tmp_path: Path) -> None:
    """What is trained next would go on as if nobody had asked."""
    asked = trainee()
    tensors = asked.tensors

    def ask() -> Tensors:
        if asked.schedule is not None and asked.schedule.last_epoch == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return tensors()

    asked.tensors = ask  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop(asked, tmp_path).run()
    assert complete_checkpoints(tmp_path)[-1].name == "step-00000006"


def test_what_is_kept_besides_comes_back_in_place(tmp_path: Path) -> None:
    state: dict[str, list[int]] = {"values": []}
    loop(trainee(), tmp_path, state=state, after_step=lambda step, losses: state["values"].append(step)).run()
    again: dict[str, list[int]] = {"values": []}
    finished = loop(trainee(), tmp_path, state=again)
    finished.run()
    assert again == {"values": [1, 2, 3, 4, 5, 6]}
    assert finished.step == 6


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    loop(trainee(), tmp_path).run()
    config = LoopConfig(name="t", steps=6, checkpoint_every=2, identity={"width": 9})
    with pytest.raises(ValueError, match=r"other settings \(width\)"):
        Loop(trainee(), config, tmp_path, report=lambda line: None).run()


@pytest.mark.parametrize("clip", [None, 1.0])
def test_gradients_that_are_no_numbers_end_training_before_they_spoil_a_checkpoint(
    tmp_path: Path, clip: float | None
) -> None:
    """The loss itself is one, so the next step would have told: after the checkpoint, or never after the last."""
    spoilt = trainee()
    spoilt.grad_clip = clip
    loss_of = spoilt.loss_of

    def with_edge(step: int) -> torch.Tensor:
        edge = sum((weight * 0).sqrt().sum() for weight in spoilt.network.parameters())
        return loss_of(step) + (edge if step == 3 else 0)

    spoilt.loss_of = with_edge
    with pytest.raises(ValueError, match="expected a finite gradient at step 4, found nan"):
        loop(spoilt, tmp_path, steps=4).run()
    resumed = trainee()
    loop(resumed, tmp_path, steps=4).run()
    assert all(torch.isfinite(value).all() for value in resumed.network.state_dict().values())


@pytest.mark.parametrize("name", ["state.json", "optimizer.pt", "network.safetensors"])
@pytest.mark.parametrize("kept", [0, 0.5, None])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(
    tmp_path: Path, name: str, kept: float | None
) -> None:
    """Such as an interrupted copy of the folder leaves."""
    loop(trainee(), tmp_path).run()
    whole = (tmp_path / "step-00000006" / name).read_bytes()
    if kept is None:
        (tmp_path / "step-00000006" / name).unlink()
    else:
        (tmp_path / "step-00000006" / name).write_bytes(whole[: int(kept * len(whole))])
    if name != "state.json" or kept is not None:
        with pytest.raises(ValueError, match=r"step-00000006, found a damaged one .* delete that folder"):
            loop(trainee(), tmp_path).run()
        shutil.rmtree(tmp_path / "step-00000006")
    going_on = loop(trainee(seed=9), tmp_path)
    going_on.resume()
    assert going_on.step == 4


def test_copies_of_checkpoints_are_the_users(tmp_path: Path) -> None:
    """One kept under another name is neither resumed from nor cleared away."""
    loop(trainee(), tmp_path, steps=2).run()
    copies = [tmp_path / f"step-00000002{ending}" for ending in (".bak", " (copy)", "-best")]
    for copy in copies:
        shutil.copytree(tmp_path / "step-00000002", copy)
    loop(trainee(), tmp_path).run()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-00000004", "step-00000006"]
    assert all((copy / "state.json").is_file() for copy in copies)


def test_what_killed_or_failed_runs_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    left = tmp_path / f".writing-00000002.{owner().split('.')[0]}.{child.pid}-"
    left.mkdir()
    unwritable = trainee()
    tensors = unwritable.tensors
    unwritable.tensors = lambda: {**tensors(), "no/folder": {}}  # type: ignore[method-assign]
    with pytest.raises(Exception, match="No such file"):
        loop(unwritable, tmp_path).run()
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_ends_training_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    begun = trainee()
    loop(begun, tmp_path, steps=2).run()
    spoilt = trainee()
    loss_of = spoilt.loss_of
    spoilt.loss_of = lambda step: loss_of(step) * (float("nan") if step == 3 else 1.0)
    with pytest.raises(ValueError, match="expected a finite loss at step 4, found nan"):
        loop(spoilt, tmp_path, steps=6).run()
    resumed = trainee()
    going_on = loop(resumed, tmp_path, steps=6)
    going_on.run()
    assert [step for step, _ in going_on.history] == [1, 2, 3, 4, 5, 6]
    assert all(torch.isfinite(value).all() for value in resumed.network.state_dict().values())
