"""Vectors laid out on a plane: principal components, and t-SNE. Knows no words.

Shapes: N points, D numbers in a vector.
"""

import numpy as np

from lmkit.protocols import F64, Floats, ProgressCallback, no_progress

EXAGGERATION, EARLY = 12.0, 250
"""Points attract each other so many times more in so many steps at first, so that groups find together."""
TINY = 1e-12


def principal(vectors: Floats) -> F64:
    """The two directions of most variance, (N, D) to (N, 2), exactly, by singular values.

    In each direction the number of largest size is positive. Where points lie on a line the second is 0.
    """
    points = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(points, full_matrices=False)
    plane = np.zeros((len(points), 2))
    count = min(2, len(lengths))
    plane[:, :count] = left[:, :count] * lengths[:count]
    if count and lengths[0] > 0:
        plane[:, :count][:, lengths[:count] < 1e-9 * lengths[0]] = 0
    largest = plane[np.abs(plane).argmax(axis=0), [0, 1]]
    return np.where(largest < 0, -plane, plane)


def tsne(
    vectors: Floats,
    *,
    perplexity: float = 30.0,
    steps: int = 1000,
    draw: np.random.Generator,
    stage: ProgressCallback = no_progress,
) -> F64:
    """t-distributed stochastic neighbour embedding, exact, (N, D) to (N, 2).

    van der Maaten and Hinton (2008), with early exaggeration and gains as there. It begins with the principal
    components, made small, and a little noise, so that groups lie to each other as in the whole.
    `perplexity`, how many neighbours a point has in mind, is at most (N - 1) / 3. Takes time and memory of N^2.
    """
    count = len(vectors)
    begin = principal(vectors)
    spread = begin[:, 0].std()
    places = begin * (1e-4 / spread if spread > 0 else 0) + draw.normal(scale=1e-6, size=(count, 2))
    if count < 4:
        return begin
    near = joint(vectors, min(perplexity, (count - 1) / 3))
    nearer = near * EXAGGERATION
    velocity, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(count / EXAGGERATION / 4, 50.0)
    done = stage("placing words", steps)
    for step in range(steps):
        early = step < min(EARLY, steps // 2)
        slopes = gradient(nearer if early else near, places)
        same = np.sign(slopes) == np.sign(velocity)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01)
        velocity = (0.5 if early else 0.8) * velocity - rate * gains * slopes
        places = places + velocity
        places -= places.mean(axis=0)
        done(1)
    return places


def gradient(near: F64, places: F64) -> F64:
    """4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2), (N, N) and (N, 2) to (N, 2); equation 5."""
    weights = 1 / (1 + _squares(places))
    np.fill_diagonal(weights, 0)
    pulls = (near - weights / weights.sum()) * weights
    slopes: F64 = 4 * (pulls.sum(axis=1, keepdims=True) * places - pulls @ places)
    return slopes


def joint(vectors: Floats, perplexity: float) -> F64:
    """How near points are, (N, N): p_ij = (p_j|i + p_i|j) / 2N, where each p_.|i has the given perplexity.

    p_j|i is exp(-b_i |x_i - x_j|^2) over its sum over j; b_i is found by halving.
    """
    squares = _squares(vectors.astype(np.float64))
    np.fill_diagonal(squares, np.inf)
    squares -= squares.min(axis=1, keepdims=True)  # the same probabilities, which don't vanish
    usual = np.median(squares[np.isfinite(squares)])
    low, high = np.zeros((len(squares), 1)), np.full((len(squares), 1), np.inf)
    sharpness = np.full((len(squares), 1), 1 / usual if usual > 0 else 1.0)
    for _ in range(64):
        given = np.exp(-sharpness * squares)
        given /= given.sum(axis=1, keepdims=True)
        entropy = -(given * np.log(np.maximum(given, 1e-300))).sum(axis=1, keepdims=True)
        flat = entropy > np.log(perplexity)
        low, high = np.where(flat, sharpness, low), np.where(flat, high, sharpness)
        sharpness = np.where(np.isinf(high), sharpness * 2, (low + high) / 2)
    near: F64 = (given + given.T) / (2 * len(given))
    return np.maximum(near, TINY)


def _squares(points: F64) -> F64:
    """Squared distances of all pairs, (N, N)."""
    lengths = np.vecdot(points, points)
    found: F64 = lengths[:, None] + lengths - 2 * (points @ points.T)
    return np.maximum(found, 0)
