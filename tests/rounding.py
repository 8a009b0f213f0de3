"""How far results in float32 may be apart that were summed in another order. Every test that compares such asks here.

The processor decides in which order products are summed and whether a product is rounded before it is added: by the
lanes of its registers, by its multiply-add instructions, and by the kernel and the block sizes that BLAS has for it.
Two right answers therefore differ. By how much depends on three things: the `width` of the products and the `depth` of
the layers, over which roundings add up like a random walk, sqrt(depth x width); and the size of the numbers, as one
rounding is half an epsilon of what is rounded. `lmkit.inference.linear.tolerance` is that for each unit of size, and a
model's `tolerance` is that of its own shape. What is compared here is given depth, width and size: a constant would be
right on one processor, for numbers as large as they were there. Of models of the tests, in thirty orders of summation,
the worst difference was a fifth of what is allowed.
"""

import numpy as np

from lmkit.inference.linear import tolerance


def allowance(size, *, depth=1, width=1):
    """The largest difference between two right results, the largest number of which is `size`."""
    return tolerance(depth, width) * size


def assert_close(found, expected, *, depth=1, width=1, size=None):
    """Arrays are equal but for rounding; `size` is that of the numbers summed up, where these are larger than sums."""
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    largest = max(float(np.abs(expected).max(initial=0)), size or 0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=allowance(largest, depth=depth, width=width))


def shape_of(settings):
    """Depth and width of a model, as its family states them for `tolerance`."""
    if settings.kind == "transformer":
        return {"depth": settings.layers, "width": settings.width}
    return {"width": settings.width * (settings.context if settings.kind == "ffn" else 1)}


def spread(logs):
    """Nats from the least probable token to the most probable one: what errors of log-probabilities grow with."""
    logs = np.asarray(logs)
    return float(np.ptp(logs[np.isfinite(logs)])) if np.isfinite(logs).any() else 0.0


def assert_nats(model, found, expected, *, size=None):
    """Log-probabilities under a neural model, or sums of them, are equal but for rounding."""
    size = max(spread(model.next(model.start())), size or 0.0)
    assert_close(found, expected, size=size, **shape_of(model.settings))
