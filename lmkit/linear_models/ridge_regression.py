"""Ridge regression of sparse vectors: y = w x + b with the least sum_n (y_n - w x_n - b)^2 + l2 |w|^2.

Hoerl and Kennard (1970); scikit-learn's Ridge with alpha = l2. N examples, D columns.
"""

import numpy as np

from lmkit.linear_models import conjugate_gradients
from lmkit.linear_models.linear_map import LinearMap, Matrix, column_products
from lmkit.protocols import F64

TOLERANCE = 1e-6
"""What is left of the normal equations, relative to their right side."""


def fit(x: Matrix, values: F64, l2: float) -> LinearMap:
    """Fit a map to values, (N,), by conjugate gradients."""

    def product(point: F64) -> F64:
        """(X' X + l2) v; the bias is not penalised."""
        image = column_products(x, x.dot(point[:, :-1]) + point[:, -1:])
        image[:, :-1] += l2 * point[:, :-1]
        return image

    middle = float(values.mean())
    right = column_products(x, (values - middle)[None])
    diagonal = column_products(x.squared(), np.ones((1, x.height)))
    diagonal[:, :-1] += l2
    found = conjugate_gradients.solve(product, right, diagonal, TOLERANCE * float(np.linalg.norm(right)))
    return LinearMap(found[:, :-1], found[:, -1] + middle)
