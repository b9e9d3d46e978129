"""The small autoencoder: shapes, standard latents, the thumbnail in its first channels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_bytes, to_signed


def small(*, thumbnail: bool) -> SmallAutoencoder:
    torch.manual_seed(0)
    return SmallAutoencoder(
        latent_channels=5, widths=(4, 4, 8), encoder_blocks=(0, 0, 1), decoder_blocks=(0, 0, 1), thumbnail=thumbnail
    )


@pytest.mark.parametrize("thumbnail", [False, True])
def test_latents_are_an_eighth_of_the_size_and_become_standard(thumbnail: bool) -> None:
    vae = small(thumbnail=thumbnail).train()
    images = torch.rand(8, 3, 32, 40) * 2 - 1
    for _ in range(1000):
        vae.encode(images)
    latents = vae.eval().encode(images)
    assert latents.shape == (8, 5, 4, 5)
    assert latents.mean((0, 2, 3)).abs().max() < 0.05
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 0.05
    assert vae.decode(latents).shape == images.shape


def test_the_first_channels_are_the_picture_at_an_eighth_of_its_size() -> None:
    vae = small(thumbnail=True).train()
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    for _ in range(50):
        vae.encode(images)
    thumbnails, latents = F.avg_pool2d(images, 8), vae.eval().encode(images)[:, :3]
    scale = (vae.standardise.running_var[:3] + vae.standardise.eps).sqrt()[:, None, None]
    torch.testing.assert_close(latents * scale + vae.standardise.running_mean[:3, None, None], thumbnails)


def test_sizes_that_are_no_multiple_of_eight_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        small(thumbnail=True).encode(torch.zeros(1, 3, 32, 36))


def test_bytes_survive_the_way_to_signed_numbers_and_back() -> None:
    frames = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(to_bytes(to_signed(frames)), frames)
