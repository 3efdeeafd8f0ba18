"""ProfiledLikelihood: -2 log L minimised over the nuisance parameters, a function of the coefficients alone.

With q(c, theta) = -2 log L and theta(c) its minimum for given c, the gradient of q(c, theta(c)) is that of q
by c (the derivative by theta vanishes), and its Hessian is the Schur complement
q_cc - q_ct q_tt^-1 q_tc.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import is_jax_array

from .constraints import Constraint
from .datasets.protocol import Dataset
from .errors import InputError
from .likelihood import Likelihood
from .newton import differentiable, join, minimise_over, solve, spectrum
from .polynomial import Array, Point, as_point, convert, namespace

_log = logging.getLogger(__name__)


class ProfiledLikelihood(Likelihood):
    """The likelihood of which every value is the minimum over the nuisances: `operators` are its parameters.

    Made by `Likelihood.profiled()`, and to be fitted and sampled like any other. It is zero at the SM: the
    value of `joint` at (c, theta(c)) less that at (0, theta(0)) with all fixed parameters at zero.
    The search for the minimum starts at theta(0) for every point, so that a value does not depend on what
    was evaluated before. Array API: jax traces values and gradients, jax and torch differentiate twice.

    joint: the likelihood of coefficients and nuisances.
    unconverged: how many of the points evaluated so far found no minimum; their values are the lowest found,
        and the first of them is logged as a warning. Traced functions of jax count when they run.
    """

    def __init__(self, joint: Likelihood) -> None:
        self.__dict__.update(joint.__dict__)
        self.joint = joint
        self.nuisances, self.parameters = (), joint.operators
        self.bounds = {n: b for n, b in joint.bounds.items() if n in joint.operators}
        self.unconverged = 0
        self._start = np.zeros(len(joint.nuisances))
        self._search = joint.conditional()
        sm = Likelihood(
            joint.datasets,
            fixed=dict.fromkeys([n for n in joint.fixed if n in joint.constraints], 0.0),
            constraints=joint.constraints,
            strict=joint.strict,
            allow_overlap=joint.allow_overlap,
        )
        origin = np.zeros(len(sm.operators))
        if joint.nuisances:
            self._start, done = minimise_over(sm, origin, self._start)
            self._hessian = sm.hessian(join(origin, self._start))[len(origin) :, len(origin) :]
            if not done:
                values = zip(joint.nuisances, self._start, strict=True)
                raise InputError(
                    "-2 log L has no minimum over the nuisances at the SM (the search ended at "
                    f"{', '.join(f'{n} = {x:.3g}' for n, x in values)}); "
                    "constrain or fix those that no dataset constrains, and check the responses"
                )
        self._zero = {n: float(x) for n, x in sm.terms(join(origin, self._start)).items()}

    def _profile(self, c: Point) -> tuple[Array, Array]:
        """Return c (..., n) and the nuisances (..., K)."""
        point = as_point(c, self.operators)
        xp = namespace(point)
        if not self.joint.nuisances:
            return point, point[..., :0]
        start, hessian = (convert(xp, a, point.dtype) for a in (self._start, self._hessian))
        theta, done = minimise_over(self._search, point, start, hessian)
        if is_jax_array(point):
            from jax import debug

            debug.callback(self._count, ~done)
        else:
            self._count(~done)
        return point, differentiable(self._search, point, theta)

    def _count(self, failed: Any) -> None:
        number = int(np.sum(np.asarray(failed)))
        if number and not self.unconverged:
            _log.warning(
                "no minimum over the nuisances %s found at %d points; the lowest value stands for it",
                ", ".join(self.joint.nuisances), number,
            )  # fmt: skip
        self.unconverged += number

    def _full(self, c: Point) -> Array:
        return join(*self._profile(c))

    def only(self, operators: Sequence[str]) -> ProfiledLikelihood:
        """Return the likelihood in which of the free coefficients just these vary and the others are zero."""
        return self.joint.only(operators).profiled()

    def with_datasets(
        self, datasets: Sequence[Dataset], constraints: Mapping[str, Constraint | None] | None = None
    ) -> ProfiledLikelihood:
        """Return the profiled likelihood of other data in the same parameters, rules and constraints."""
        return self.joint.with_datasets(datasets, constraints).profiled()

    def profiled(self) -> ProfiledLikelihood:
        """Return the likelihood itself."""
        return self

    def at(self, c: Point) -> dict[str, Array]:
        """Return the nuisances at the minimum by name, shape (...) each, at c (mapping or (..., n))."""
        _, theta = self._profile(c)
        return {name: theta[..., i] for i, name in enumerate(self.joint.nuisances)}

    def m2logl(self, c: Point) -> Array:
        """Return the profiled -2 log L(c), zero at the SM, shape (...)."""
        return self.joint.m2logl(self._full(c)) - sum(self._zero.values())

    def terms(self, c: Point) -> dict[str, Array]:
        """Return what each dataset, and "constraints", add to the profiled -2 log L by name, (...) each."""
        return {name: x - self._zero[name] for name, x in self.joint.terms(self._full(c)).items()}

    def gradient(self, c: Point) -> Array:
        """Return the first derivatives, shape (..., n)."""
        return self.joint.gradient(self._full(c))[..., : len(self.operators)]

    def hessian(self, c: Point) -> Array:
        """Return the second derivatives, shape (..., n, n)."""
        n = len(self.operators)
        whole = self.joint.hessian(self._full(c))
        if not self.joint.nuisances:
            return whole
        xp = namespace(whole)
        sizes, axes, _ = spectrum(whole[..., n:, n:])
        mixed = whole[..., n:, :n]
        columns = [solve(sizes, axes, mixed[..., i]) for i in range(n)]
        return whole[..., :n, :n] - xp.matmul(xp.matrix_transpose(mixed), xp.stack(columns, axis=-1))

    def coefficients(self, c: Point) -> dict[str, Array]:
        """Return every coefficient and nuisance by name: free, dependent, fixed, and profiled ones."""
        return self.joint.coefficients(self._full(c))

    def non_positive(self, c: Point) -> int:
        """Return how many events have a ratio that is not positive at one point c, over all datasets."""
        return self.joint.non_positive(self._full(c))
