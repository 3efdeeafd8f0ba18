"""-2 log L with a few parameters held and the others at their minimum, for whole batches of held values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from ..likelihood import Likelihood
from ..newton import join, minimise_over
from .descent import Scaled
from .descent import minima as minima_of
from .minuit import minimise, scales
from .result import FitResult

_HIGHEST = 30.0
"""Height over the best fit up to which a minimum is of interest."""


class Conditional:
    """The others at their minimum for given values of `held`, in coordinates of about unit errors.

    likelihood: of p parameters. held: names of the h that are held. scale: (p,), in the order of the
    likelihood, the sizes of the steps that count as one.
    `evaluations` counts the points at which the likelihood was evaluated, with or without derivatives.
    """

    def __init__(self, likelihood: Likelihood, held: Sequence[str], scale: np.ndarray) -> None:
        names = list(likelihood.parameters)
        for name in held:
            if name not in names:
                raise InputError(f"{name!r} is not a free parameter of the fit.{nearest(name, names)}")
        self.likelihood, self.held = likelihood, tuple(held)
        self.others = tuple(n for n in names if n not in held)
        self._place = np.array([names.index(n) for n in (*self.held, *self.others)])
        self._back = np.argsort(self._place)
        self.scale = scale[self._place]
        self.evaluations = 0

    def _points(self, y: np.ndarray) -> np.ndarray:
        self.evaluations += int(np.prod(y.shape[:-1]))
        return np.asarray((y * self.scale)[..., self._back])

    def m2logl(self, y: np.ndarray) -> np.ndarray:
        """Return the value (...) at y (..., p): held, then others, over the scale."""
        return np.asarray(self.likelihood.m2logl(self._points(y)))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return the first derivatives by y, (..., p)."""
        slope = np.asarray(self.likelihood.gradient(self._points(y)))
        return np.asarray(slope[..., self._place] * self.scale)

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return the second derivatives by y, (..., p, p)."""
        h = np.asarray(self.likelihood.hessian(self._points(y)))
        return np.asarray(h[..., self._place, :][..., self._place] * np.outer(self.scale, self.scale))

    def minimum(self, held: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the others (B, p - h), -2 log L (B,) there, and where a minimum was found (B,).

        held: (B, h). start: (B, p - h), of the others.
        """
        theta, done = np.array(start, dtype=float), np.ones(len(held), dtype=bool)
        if self.others:
            theta, done = minimise_over(self, held, theta)
        return theta, self.m2logl(join(held, theta)), done

    def coordinates(self, points: pd.DataFrame) -> np.ndarray:
        """Return the coordinates (m, p) of the points in the rows of a frame."""
        return np.asarray(points[[*self.held, *self.others]].to_numpy(float) / self.scale)

    def along(self, known: np.ndarray, held: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Return where the others (B, p - h) are expected at held (B, h), from a minimum `known` (p,).

        covariance: (p, p) at that minimum, in these coordinates.
        """
        h = len(self.held)
        slope = np.linalg.lstsq(covariance[:h, :h], covariance[:h, h:], rcond=None)[0]
        return np.asarray(known[h:] + (held - known[:h]) @ slope)

    def covariance(self, known: np.ndarray) -> np.ndarray:
        """Return 2 H^-1 (p, p) at a minimum; the unit matrix where the curvature is not positive."""
        hessian = self.hessian(known)
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 1e-12:
            return np.eye(len(known))
        return np.asarray(2.0 * np.linalg.inv(hessian))


def known_minima(likelihood: Likelihood, result: FitResult | None) -> tuple[FitResult, pd.DataFrame]:
    """Return the result, or a fit where there is none, and its minima: columns parameters, lowest first.

    A result that does not list its minima has them searched, from its best point.

    Raises InputError for a result of other parameters and for a fit without a valid minimum.
    """
    if result is None:
        result = minimise(likelihood, levels=())
        if not result.valid:
            raise InputError(f"the fit did not converge: {'; '.join(result.messages)}")
    names = list(likelihood.parameters)
    missing = [n for n in names if n not in result.best]
    if missing or set(result.parameters) != set(names):
        raise InputError(
            f"the result is of another fit: its parameters are {', '.join(result.parameters)}, those of the "
            f"likelihood {', '.join(names)}"
        )
    minima = result.minima
    if minima is not None and len(minima):
        return result, minima[names]
    best = np.array([result.best[n] for n in names])
    scale = _scale(likelihood, result)
    found = np.array([best, *(y * scale for y in minima_of(Scaled(likelihood, scale), best / scale))])
    heights = np.asarray(likelihood.m2logl(found))
    near = np.flatnonzero(heights < heights.min() + _HIGHEST)
    return result, pd.DataFrame(found[near[np.argsort(heights[near])]], columns=names)


def _scale(likelihood: Likelihood, result: FitResult) -> np.ndarray:
    """Return the errors of a result, (p,), or the sizes of steps where it has none."""
    errors = result.errors.reindex(list(likelihood.parameters)).to_numpy(float)
    if np.isfinite(errors).all() and (errors > 0).all():
        return np.asarray(errors)
    return scales(likelihood, np.array([result.best[n] for n in likelihood.parameters]))


def conditional(likelihood: Likelihood, held: Sequence[str], result: FitResult) -> Conditional:
    """Return the conditional likelihood, with the errors of the result as units where it has any."""
    return Conditional(likelihood, held, _scale(likelihood, result))
