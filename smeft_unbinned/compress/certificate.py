"""The certificate of a compression: the largest |change of -2 log L| in the region, found by optimisation.

Delta(c) = -2 log L_compressed(c) + 2 log L(c), zero at the SM. From points of the region, a sample of it, its
tips and the dips of single ratios, where Delta is largest and smallest, and from others at random, Delta and
-Delta are maximised by sequential quadratic programming under -2 log L(c) <= minimum + rise, with the
gradients of both functions over all events. A local method from several starts finds the largest maximum as a
rule, which proves no bound.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..errors import InputError
from ..likelihood import Likelihood
from .dips import dips
from .rebuild import at_nominal, bounding
from .region import bottoms, explore, principal_axes, scales, values
from .tips import tips

Real = NDArray[np.float64]
_SAMPLE = 512
_INNER = 0.25
_STARTS = 6
"""Starts of each of the two kinds, for either sign."""
_SLACK = 1e-4
"""How far beyond the rise a point still counts, as a part of it: ends lie on the boundary up to rounding."""
_PEAK = 0.01
"""Height of the peaks of single events that are looked at."""
_OPTIONS = {"maxiter": 100, "ftol": 1e-3}
_VIOLATIONS = 4
"""Maxima above the tolerance after which no further ones are looked for."""


@dataclass(frozen=True)
class Certificate:
    """How much a compression changes -2 log L where that is within `rise` of its minimum, all operators free.

    largest: the largest |change| found, relative to the SM. at: the coefficients there, TeV^-2. height:
    -2 log L of all events there, above the minimum. rise: where the region ends. starts: optimisations made,
    of which `converged` ended in a maximum. points: size of the sample, whose largest |change| is `sampled`.
    seed: as given; a compression makes several searches, with the seeds that follow, and counts all.
    """

    largest: float
    at: dict[str, float]
    height: float
    rise: float
    starts: int
    converged: int
    points: int
    sampled: float
    seed: int

    def manifest(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)


def certify(
    full: UnbinnedDataset, small: UnbinnedDataset, *, rise: float = 25.0, seed: int = 0
) -> Certificate:
    """Return the largest |change of -2 log L| from `full` to `small` in the region of `full`.

    full, small: datasets of the same operators and nuisances, the second a compression of the first.
    rise: of -2 log L above its minimum, where the region ends. seed: of the sample and of the starts.
    The sample is drawn with -2 log L of `small`, which is cheap; what lies inside all events decide.
    Raises InputError for different parameters and for a region without end.
    """
    return search(full, small, rise, seed)[0]


def search(
    full: UnbinnedDataset,
    small: UnbinnedDataset,
    rise: float,
    seed: int,
    more: Real | None = None,
    tolerance: float = np.inf,
) -> tuple[Certificate, Real]:
    """Return the certificate and the maxima found, (K, n): arguments as for `certify`.

    more: further points to start from, (K, n). tolerance: several maxima above it end the search, so that the
    certificate is that of a failure.
    """
    names = full.operators
    if (small.operators, small.nuisances) != (names, full.nuisances):
        raise InputError(
            f"datasets {full.name!r} and {small.name!r} do not depend on the same operators and nuisances in "
            "the same order; compare a dataset with its own compression"
        )
    rng = np.random.default_rng(seed)
    function, cheap = bounding(full), bounding(small)
    scale = scales(cheap)
    region = explore(cheap, scale, rise, _SAMPLE, rng, _INNER)
    lowest = float(values(function, bottoms(function, scale, region.best)).min())
    further = np.zeros((0, len(names))) if more is None else more
    low = [dips(d, cheap, region.points, region.lowest + rise, _PEAK)[1] for d in (full, small)]
    points = np.concatenate([region.points, tips(cheap, scale, region, rise), *low, further])
    climber = _Climber(full, small, function, lowest + rise, _SLACK * rise, points)
    delta = climber.sample(points)
    sampled = climber.largest
    starts = converged = 0
    ends: list[Real] = []
    plan = [(points[k], sign) for sign in (1.0, -1.0) for k in np.argsort(-sign * delta)[:_STARTS]]
    plan += [(points[k], sign) for k in rng.choice(len(points), _STARTS) for sign in (1.0, -1.0)]
    for start, sign in plan:
        end, size, done = climber.climb(start, sign)
        starts, converged = starts + 1, converged + done
        if size > tolerance:
            ends.append(end)
            if len(ends) == _VIOLATIONS:
                break
    certificate = Certificate(
        largest=climber.largest,
        at={name: float(x) for name, x in zip(names, climber.where, strict=True)},
        height=climber.height - lowest,
        rise=float(rise),
        starts=starts,
        converged=converged,
        points=len(points),
        sampled=sampled,
        seed=int(seed),
    )
    return certificate, np.array([climber.where, *ends])


class _Climber:
    """Maximises +-Delta in the region and remembers the largest |Delta| of all points inside that it saw."""

    def __init__(
        self,
        full: UnbinnedDataset,
        small: UnbinnedDataset,
        function: Likelihood,
        limit: float,
        slack: float,
        points: Real,
    ) -> None:
        self.full, self.small, self.function = full, small, function
        self.limit, self._highest = limit, limit + slack
        self.largest, self.where, self.height = -1.0, points[0], np.inf
        self._origin = points.mean(axis=0)
        self._axes = principal_axes(points)
        self._last: tuple[bytes, tuple[float, Real, float, Real]] | None = None

    def sample(self, points: Real) -> Real:
        """Return Delta at points (K, n), zero outside the region, (K,)."""
        at = at_nominal(self.full, points)
        value = values(self.full, at)
        heights = values(self.function, points) if self.full.nuisances else value
        delta = np.where(heights <= self._highest, values(self.small, at) - value, 0.0)
        self._note(points, delta, heights)
        return np.asarray(delta)

    def climb(self, start: Real, sign: float) -> tuple[Real, float, bool]:
        """Maximise sign * Delta: return the end, |Delta| there if that is inside, and if it converged."""
        y, done = np.linalg.solve(self._axes, start - self._origin), False
        unit = max(self.largest, 1e-9)
        bound = {
            "type": "ineq",
            "fun": lambda z: self.limit - self._at(z)[2],
            "jac": lambda z: -self._at(z)[3],
        }
        slsqp: Any = scipy.optimize.minimize
        for _ in range(2):  # a second time from where the first gave up
            found = slsqp(
                lambda z: -sign * self._at(z)[0] / unit,
                y,
                jac=lambda z: -sign * self._at(z)[1] / unit,
                constraints=bound,
                method="SLSQP",
                options=_OPTIONS,
            )
            if not np.isfinite(found.x).all():
                break
            y, done = np.asarray(found.x), bool(found.success)
            if done:
                break
        delta, _, height, _ = self._at(y)
        return self._origin + self._axes @ y, abs(delta) if height <= self._highest else 0.0, done

    def _at(self, y: Real) -> tuple[float, Real, float, Real]:
        """Return Delta and the function that bounds the region at y, each with its gradient."""
        if self._last is not None and self._last[0] == y.tobytes():
            return self._last[1]
        c = self._origin + self._axes @ y
        point = at_nominal(self.full, c[None])[0]
        value, slope = (np.asarray(a) for a in self.full.value_and_gradient(point))
        other, its_slope = (np.asarray(a) for a in self.small.value_and_gradient(point))
        delta, by_c = float(other - value), (its_slope - slope)[: len(c)]
        height, rising = float(value), slope[: len(c)]
        if self.full.nuisances:
            height, rising = float(self.function.m2logl(c)), np.asarray(self.function.gradient(c))
        self._note(c[None], np.array([delta]), np.array([height]))
        result = delta, self._axes.T @ by_c, height, self._axes.T @ rising
        self._last = y.tobytes(), result
        return result

    def _note(self, points: Real, delta: Real, heights: Real) -> None:
        size = np.where(heights <= self._highest, np.abs(delta), -1.0)
        k = int(np.argmax(size))
        if size[k] > self.largest:
            self.largest, self.where, self.height = float(size[k]), points[k].copy(), float(heights[k])
