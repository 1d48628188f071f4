"""The three distributions that the bounds need: beta, binomial and Student's t.

One function carries them: the regularized incomplete beta function, by its continued fraction.
Sources: NIST Digital Library of Mathematical Functions 8.17.22 (fraction), 8.17.5 (binomial).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_EPSILON: Final = 1e-15
_TINY: Final = 1e-300
_MAX_TERMS: Final = 100_000  # about the square root of the largest parameter is needed


def beta_cdf(x: float, a: float, b: float) -> float:
    """Probability that a beta variable with parameters ``a`` and ``b`` is at most ``x``."""
    if not (a > 0 and b > 0):
        raise ValueError(f"a and b must be above 0, got {a:g} and {b:g}")
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges fast on this side of the mean only.
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(log_front) * _fraction(x, a, b) / a


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The ``x`` at which :func:`beta_cdf` is ``probability``."""
    return _inverse(lambda x: beta_cdf(x, a, b), probability, 0.0, 1.0)


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Probability of at most ``k`` successes in ``n`` trials of probability ``p``."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return 1.0 - beta_cdf(p, k + 1, n - k)


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t with ``freedom`` degrees of freedom."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    # 1 - cdf(t) = I_x(freedom / 2, 1 / 2) / 2 at x = freedom / (freedom + t^2)
    x = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), evaluated by Lentz's method."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MAX_TERMS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            value *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            return value
    raise ArithmeticError(f"the incomplete beta function did not converge at {x, a, b}")


def _inverse(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if rising(middle) < wanted:
            low = middle
        else:
            high = middle
