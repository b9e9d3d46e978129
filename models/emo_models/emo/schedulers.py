"""Noise schedules and samplers: diffusers' classes, built from a few words.

The paper prints the epsilon objective and DDIM with 40 steps and says nothing about parametrisation or schedule. The
default is velocity prediction with zero terminal SNR, as in all open trainings of this family; ``LITERAL`` is what the
paper's preliminary section and Stable Diffusion 1.5 would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.schedulers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

Prediction = Literal["v_prediction", "epsilon", "sample"]
Betas = Literal["scaled_linear", "squaredcos_cap_v2", "linear"]
Sampler = Literal["ddim", "dpmsolver++", "unipc"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """A noise schedule; training and sampling use the same one.

    Attributes:
        prediction: What the Backbone predicts.
        betas: diffusers' name of the schedule.
        zero_terminal_snr: Rescale so that the last step is pure noise (arXiv 2305.08891).
        train_steps: Steps of the training schedule.
    """

    prediction: Prediction = "v_prediction"
    betas: Betas = "scaled_linear"
    zero_terminal_snr: bool = True
    train_steps: int = 1000

    def __post_init__(self) -> None:
        if self.prediction == "epsilon" and self.zero_terminal_snr:
            raise ValueError(
                "expected zero_terminal_snr=False with epsilon prediction, because noise cannot be told from noise at "
                "the last step; found True"
            )


_SAMPLERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "dpmsolver++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
}

LITERAL = ScheduleConfig(prediction="epsilon", betas="scaled_linear", zero_terminal_snr=False)
COSINE = ScheduleConfig(betas="squaredcos_cap_v2")


def make_scheduler(config: ScheduleConfig, *, sampler: Sampler = "ddim") -> Any:
    """A diffusers scheduler.

    Args:
        config: The noise schedule.
        sampler: ``"ddim"`` is the paper's (40 steps); ``"dpmsolver++"`` and ``"unipc"`` do with 8 to 15.
    """
    common: dict[str, Any] = {
        "num_train_timesteps": config.train_steps,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": config.betas,
        "prediction_type": config.prediction,
        "rescale_betas_zero_snr": config.zero_terminal_snr,
        "timestep_spacing": "trailing" if config.zero_terminal_snr else "leading",
    }
    if sampler == "ddim":
        last = {"clip_sample": False, "set_alpha_to_one": config.zero_terminal_snr, "steps_offset": 1}
        return _SAMPLERS[sampler](**common, **last)
    if sampler == "dpmsolver++":
        return _SAMPLERS[sampler](**common, algorithm_type="dpmsolver++", steps_offset=1)
    if sampler == "unipc":
        return _SAMPLERS[sampler](**common, steps_offset=1)
    raise ValueError(f"expected sampler to be one of ddim, dpmsolver++, unipc, found {sampler!r}")


def set_steps(scheduler: Any, steps: int, *, shift: float = 1.0) -> None:
    """Chooses the times of a sampler from `make_scheduler`: even steps from pure noise down, or more of them up there.

    Args:
        scheduler: Changed in place.
        steps: Denoising steps.
        shift: See `shifted_times`; other than 1 for ``"dpmsolver++"`` alone, the one that takes any times.
    """
    if shift == 1.0:
        scheduler.set_timesteps(steps)
    else:
        scheduler.set_timesteps(
            timesteps=shifted_times(steps, shift=shift, train_steps=scheduler.config.num_train_timesteps)
        )


def shifted_times(steps: int, *, shift: float, train_steps: int) -> list[int]:
    """Times from pure noise downwards; a share t of the schedule becomes ``shift * t / (1 + (shift - 1) * t)``.

    The more values say the same thing, the deeper in the noise it is decided; whole videos of a face say where its head
    is hundreds of times (arXiv 2403.03206, equation 23, has the formula for larger images).

    Raises:
        ValueError: The schedule has too few times for so many steps.

    >>> shifted_times(4, shift=1.0, train_steps=1000), shifted_times(4, shift=4.0, train_steps=1000)
    ([999, 749, 499, 249], [999, 922, 799, 570])
    """
    shares = [1 - index / steps for index in range(steps)]
    times = [round(shift * share / (1 + (shift - 1) * share) * train_steps) - 1 for share in shares]
    if len(set(times)) < steps:
        raise ValueError(f"expected fewer than {steps} steps for a shift of {shift:g}: two would fall on the same time")
    return times


def schedule_of(scheduler: Any) -> ScheduleConfig:
    """The noise schedule a diffusers scheduler was built with."""
    config = scheduler.config
    return ScheduleConfig(
        prediction=config.prediction_type,
        betas=config.beta_schedule,
        zero_terminal_snr=bool(config.get("rescale_betas_zero_snr", False)),
        train_steps=config.num_train_timesteps,
    )


class NoiseSchedule:
    """The training side of a schedule: add noise, say what the target is, weigh it.

    Args:
        config: The noise schedule.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        self.signal_power: Tensor = make_scheduler(config).alphas_cumprod.double()

    def _amplitudes(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        power = self.signal_power.to(timesteps.device)[timesteps]
        shape = [*timesteps.shape, *[1] * (like.dim() - timesteps.dim())]
        return power.sqrt().to(like.dtype).view(shape), (1 - power).sqrt().to(like.dtype).view(shape)

    def add_noise(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Noisy latents at ``timesteps`` (leading dimensions of ``clean``)."""
        signal, sigma = self._amplitudes(timesteps, clean)
        return signal * clean + sigma * noise

    def target(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the Backbone should predict."""
        if self.config.prediction == "epsilon":
            return noise
        if self.config.prediction == "sample":
            return clean
        signal, sigma = self._amplitudes(timesteps, clean)
        return signal * noise - sigma * clean

    def clean(self, noisy: Tensor, prediction: Tensor, timesteps: Tensor) -> Tensor:
        """The estimate of the clean latents that a prediction implies."""
        if self.config.prediction == "sample":
            return prediction
        signal, sigma = self._amplitudes(timesteps, noisy)
        if self.config.prediction == "epsilon":
            return (noisy - sigma * prediction) / signal.clamp_min(1e-4)
        return signal * noisy - sigma * prediction

    def noise(self, noisy: Tensor, prediction: Tensor, timesteps: Tensor) -> Tensor:
        """The estimate of the noise that a prediction implies."""
        if self.config.prediction == "epsilon":
            return prediction
        signal, sigma = self._amplitudes(timesteps, noisy)
        if self.config.prediction == "sample":
            return (noisy - signal * prediction) / sigma.clamp_min(1e-4)
        return sigma * noisy + signal * prediction

    def snr(self, timesteps: Tensor) -> Tensor:
        """Signal-to-noise ratio, float32."""
        power = self.signal_power.to(timesteps.device)[timesteps]
        return (power / (1 - power).clamp_min(1e-12)).float()

    def min_snr_weight(self, timesteps: Tensor, *, gamma: float) -> Tensor:
        """Min-SNR weight per sample (arXiv 2303.09556).

        For velocities the exact weight min(SNR, gamma) / (SNR + 1) is zero at the last step of a zero-terminal-SNR
        schedule, which would then never be trained; as in the open trainings SNR + 1 stands in the minimum.
        """
        snr = self.snr(timesteps)
        if self.config.prediction == "epsilon":
            return torch.clamp(snr, max=gamma) / snr.clamp_min(1e-8)
        if self.config.prediction == "sample":
            return torch.clamp(snr, max=gamma)
        return torch.clamp(snr + 1, max=gamma) / (snr + 1)
