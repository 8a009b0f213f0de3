"""Tiny networks with weights that are all at work."""

import numpy as np
import pytest
import tiny_models
import torch

from lmkit.nn import factory


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny():
    """Settings of a small model of a family."""
    return tiny_models.settings_of


@pytest.fixture(scope="session")
def shaken():
    """A network none of whose weights is zero or one, so that each matters."""

    def shaken(settings, *, seed=0, scale=0.4, **options):
        made = factory.initialised(settings, seed=seed, **options)
        generator = np.random.default_rng(seed)
        arrays = {
            name: array + generator.normal(0, scale, array.shape).astype(np.float32)
            for name, array in made.to_arrays().items()
        }
        made.load_arrays(arrays)
        return made

    return shaken


@pytest.fixture(scope="session")
def said():
    """Logits of a network after each of some ids, (B, T, V), as arrays."""

    @torch.no_grad()
    def said(network, ids, start=2):
        rows = torch.as_tensor(np.atleast_2d(ids))
        hidden, _ = network(rows, network.initial(len(rows), start))
        return network.logits(hidden).numpy()

    return said
