"""A dataset that is not linear in its nuisance parameters: counts in bins with exponential responses."""

from __future__ import annotations

from typing import Any

import numpy as np

from smeft_unbinned import Polynomial, SumOfSquares
from smeft_unbinned.polynomial import as_point, convert, namespace


class Counting:
    """2 sum_b [rate_b - n_b log rate_b], zero at the origin, rate_b = nu_b(c) exp(theta D_b + theta^2 DD_b).

    linear, quadratic: (K, B). yields: batch (B,). The derivatives by theta are written by hand.
    """

    basis = "warsaw"

    def __init__(
        self,
        name: str,
        yields: Polynomial,
        counts: Any,
        linear: dict[str, Any],
        quadratic: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.yields, self.counts = name, yields, np.asarray(counts, dtype=float)
        self.operators, self.nuisances = yields.operators, tuple(linear)
        self.parameters = (*self.operators, *self.nuisances)
        zero = np.zeros(len(self.counts))
        self.d = np.array([linear[k] for k in linear])
        self.dd = np.array([(quadratic or {}).get(k, zero) for k in linear])
        self.penalised = 0
        self._zero = 0.0
        self._zero = float(self.m2logl(np.zeros(len(self.parameters))))

    def _parts(self, p: Any) -> tuple[Any, Any, Any, Any]:
        point = as_point(p, self.parameters)
        xp = namespace(point)
        c, theta = point[..., : len(self.operators)], point[..., len(self.operators) :]
        d, dd = convert(xp, self.d, point.dtype), convert(xp, self.dd, point.dtype)
        log = xp.matmul(theta, d) + xp.matmul(theta**2, dd)
        return xp, c, log, d + 2.0 * theta[..., None] * dd

    def m2logl(self, p: Any) -> Any:
        xp, c, log, _ = self._parts(p)
        nu, n = self.yields.evaluate(c), convert(xp, self.counts, c.dtype)
        if xp is namespace(np.zeros(1)):
            self.penalised += int(np.sum(nu <= 0))
        nu = xp.where(nu > 1e-10, nu, 1e-10 + 0.0 * nu)
        return 2.0 * xp.sum(nu * xp.exp(log) - n * (xp.log(nu) + log), axis=-1) - self._zero

    def gradient(self, p: Any) -> Any:
        xp, c, log, slope = self._parts(p)
        nu, n = self.yields.evaluate(c), convert(xp, self.counts, c.dtype)
        excess = nu * xp.exp(log) - n
        by_c = xp.sum((excess / nu)[..., None] * self.yields.gradient(c), axis=-2)
        return 2.0 * xp.concat([by_c, xp.sum(excess[..., None, :] * slope, axis=-1)], axis=-1)

    def hessian(self, p: Any) -> np.ndarray:
        point = np.asarray(p if not hasattr(p, "keys") else as_point(p, self.parameters), dtype=float)
        if point.ndim > 1:
            rows = [self.hessian(x) for x in point.reshape(-1, point.shape[-1])]
            return np.array(rows).reshape((*point.shape, point.shape[-1]))
        _, c, log, slope = self._parts(point)
        nu, first, second = self.yields.evaluate(c), self.yields.gradient(c), self.yields.hessian()
        rate, n = nu * np.exp(log), self.counts
        cc = np.einsum("b,bij->ij", np.exp(log) - n / nu, second) + np.einsum(
            "b,bi,bj->ij", n / nu**2, first, first
        )
        ct = np.einsum("b,bi,kb->ik", np.exp(log), first, slope)
        tt = np.einsum("b,kb,lb->kl", rate, slope, slope) + np.diag(2.0 * self.dd @ (rate - n))
        return 2.0 * np.block([[cc, ct], [ct.T, tt]])

    def in_basis(self, target: str) -> Counting:
        assert target == self.basis
        return self

    def restrict(self, operators: Any) -> Counting:
        assert tuple(operators) == self.operators
        return self

    def non_positive(self, p: Any) -> int:
        return int(np.sum(self.yields.evaluate(as_point(p, self.parameters)[: len(self.operators)]) <= 0))


def counting(
    seed: int = 0,
    operators: tuple[str, ...] = ("cHW", "cHq3"),
    nuisances: tuple[str, ...] = ("scale", "lumi"),
    name: str = "counts",
    bins: int = 8,
) -> Counting:
    """Return counts of about a hundred in each bin, with responses of some per cent, asymmetric ones too."""
    rng = np.random.default_rng(seed)
    factors = 0.3 * rng.normal(size=(bins, len(operators) + 1, len(operators) + 1))
    factors[:, :, 0] = np.eye(len(operators) + 1)[0]
    yields = SumOfSquares(operators, factors).dense() * rng.uniform(60, 150, size=bins)
    linear = {k: 0.1 * rng.normal(size=bins) for k in nuisances}
    linear[nuisances[-1]] = np.full(bins, 0.05)
    quadratic = {nuisances[0]: 0.01 * rng.normal(size=bins)}
    return Counting(name, yields, rng.poisson(yields.constant), linear, quadratic)
