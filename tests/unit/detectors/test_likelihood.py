"""The closed forms of the likelihood ratios against the laws of scipy."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from detectors.likelihood import beta_binomial_ratio


def log_law(failing, users, p, rho):
    """Log of the beta-binomial law, without its binomial coefficient."""
    size = 1.0 / rho - 1.0
    a, b = p * size, (1.0 - p) * size
    return betaln(failing + a, users - failing + b) - betaln(a, b)


def test_the_beta_binomial_ratio_is_that_of_the_two_laws():
    rng = np.random.default_rng(3)
    users = rng.integers(0, 3_000, (5, 1, 60)).astype(float)
    failing = np.floor(users * rng.uniform(0.0, 1.0, users.shape) ** 3)
    p0 = rng.uniform(1e-4, 0.3, (5, 1, 1))
    p1 = np.minimum(p0 * np.array([2.0, 8.0, 50.0])[:, None], 0.95)
    rho = rng.uniform(0.0005, 0.2, (5, 1, 1))
    found = beta_binomial_ratio(failing, users, p1, p0, rho)
    assert found.shape == (5, 3, 60)
    wanted = log_law(failing, users, p1, rho) - log_law(failing, users, p0, rho)
    assert np.allclose(found, wanted, rtol=1e-9, atol=1e-7)
    assert np.all(found[np.broadcast_to(users == 0.0, found.shape)] == 0.0)
    assert float(beta_binomial_ratio(2.0, 10.0, 0.3, 0.01, 0.01)) > 0.0
