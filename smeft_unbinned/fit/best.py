"""The best of several minima: confirmed by Minuit, with its covariance, its intervals, and what to say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from iminuit import Minuit

from ..likelihood import Likelihood
from ..quantiles import chi2_quantile
from .bounded import bounded_intervals, outside, polished
from .flat import covariance_at, only_quadratic, reached
from .frames import Affine, Scaled, eigenbasis
from .intervals import Branch, connected
from .minima import Minima
from .minos import minos_end

_NAMED = 6
"""Parameters at most whose values a message about another minimum gives."""


class Best:
    """The best of the minima, confirmed by Minuit, with its covariance.

    best: (n,). covariance: (n, n), NaN for parameters at the ends of their ranges. flat: whether a direction
    is not constrained at all; free_of: names of the parameters that take part in one, which have no interval.
    """

    def __init__(
        self, likelihood: Likelihood, found: Minima, scale: np.ndarray, box: np.ndarray | None, strategy: int
    ) -> None:
        self.likelihood, self.found, self.scale, self.box = likelihood, found, scale, box
        self.best, self.held = found.points[0], np.zeros(len(scale), dtype=bool)
        if box is not None:
            self.best, self.held = polished(likelihood, self.best, box, scale)
        self.value = float(likelihood.m2logl(self.best))
        free = ~self.held
        self.minuit: Minuit | None = None
        if free.any():
            self._confirm(eigenbasis(likelihood, self.best, scale, free), strategy)
        self.valid = bool(found.converged[0]) or self.minuit is None or bool(self.minuit.valid)
        self.directions, self.flat, self.notes = np.zeros((len(scale), 0)), False, list[str]()
        self.covariance = np.full((len(scale), len(scale)), np.nan)
        if free.any():
            part = covariance_at(likelihood, self.best, scale, free)
            self.covariance[np.ix_(free, free)], self.directions, self.flat, self.notes = part
        taking_part = reached(self.directions, scale) if self.flat else np.zeros(len(scale), dtype=bool)
        self.free_of = {n for n, part in zip(likelihood.parameters, taking_part, strict=True) if part}
        errors = np.sqrt(np.diag(self.covariance))
        self.function = Scaled(likelihood, np.where(np.isfinite(errors) & (errors > 0), errors, scale))
        others = [self.function.inverse(c) for c in found.points[1:]] if self.curved else []
        points = [self.function.inverse(self.best), *others]
        self.branches = [Branch.at(self.function, y) for y in points] if self.valid else []

    @property
    def curved(self) -> bool:
        """Whether the curvature is positive, so that minima are points and no valleys."""
        free = ~self.held
        return bool(np.isfinite(self.covariance[np.ix_(free, free)]).all())

    def _confirm(self, frame: Affine, strategy: int) -> None:
        """Let Minuit search from the minimum; what it finds counts if it lies lower or nothing else did."""
        m = frame.axes.shape[1]
        minuit = Minuit(
            lambda y: float(frame.values(y)), np.zeros(m), grad=frame.gradient,
            name=[f"y{k}" for k in range(m)],
        )  # fmt: skip
        minuit.errordef, minuit.strategy = Minuit.LEAST_SQUARES, strategy
        minuit.errors = np.ones(m)
        minuit.migrad(ncall=20_000)
        self.minuit = minuit
        point = frame.point(np.array(minuit.values))
        value = float(self.likelihood.m2logl(point))
        inside = self.box is None or bool(np.all((point >= self.box[0]) & (point <= self.box[1])))
        if inside and value < self.value - (1e-6 if self.found.converged[0] else 0.0):
            self.best, self.value = point, value

    def intervals(self, level: float, wanted: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray | None]:
        """Return the profile intervals at a level, and a point (n,) that lies lower than the best fit.

        Columns lower and upper; NaN where none is found, and where a flat direction leaves none. The point
        is None where none was met.
        """
        names, delta = self.likelihood.parameters, float(chi2_quantile(level, 1))
        target, scale = self.branches[0].value + delta, self.function.scale
        which = [i for i, n in enumerate(names) if n in wanted and n not in self.free_of]
        rows, lower = np.full((len(names), 2), np.nan), None
        minos = partial(minos_end, self.function, self.branches[0])
        if self.box is not None:
            rows[which] = bounded_intervals(self.function, self.branches, which, target, self.box)
        elif which:
            rows[which], lower = connected(self.function, self.branches, which, target, minos)
        frame = pd.DataFrame(rows * scale[:, None], index=list(names), columns=["lower", "upper"])
        frame.attrs["method"] = "profile likelihood"
        return frame, None if lower is None else self.function.point(lower)

    def messages(self, level: float) -> list[str]:
        """Return what the user should know; other minima count up to a confidence level."""
        names, free = self.likelihood.parameters, ~self.held
        messages = list(self.notes)
        if not self.valid and self.minuit is not None:
            edm, goal = self.minuit.fmin.edm, self.minuit.fmin.edm_goal
            messages.append(f"Minuit did not converge: edm {edm:.2g}, goal {goal:.2g}")
        if self.found.endless:
            messages.append("from some starts -2 log L falls without end")
        messages += [
            f"{n} is at the end {self.best[k]:g} of its range: it has no error, those of the others are at "
            "this value"
            for k, n in enumerate(names)
            if not free[k]
        ]
        if self.box is None:
            messages += outside(names, self.best, self.likelihood.bounds)
        if self.curved:
            messages += self._others(level)
            messages += [
                f"only the quadratic terms constrain {text}"
                for text in only_quadratic(self.likelihood, self.scale)
            ]
        if count := self.likelihood.non_positive(self.best):
            messages.append(f"{count} events have a ratio that is not positive at the best fit")
        return messages

    def _others(self, level: float) -> list[str]:
        """Return what to say about further minima that an interval at this level would have to reach."""
        rise = self.found.values[1:] - self.value
        count = int(np.sum(rise < chi2_quantile(level, 1)))
        if not count:
            return []
        point, errors = self.found.points[1], np.sqrt(np.diag(self.covariance))
        far = np.where(np.isfinite(errors), np.abs(point - self.best) / errors, 0.0)
        order = np.argsort(-far)[:_NAMED]
        named = sorted(order) if len(far) <= _NAMED else [k for k in order if far[k] > 0.5] or order[:1]
        text = ", ".join(f"{self.likelihood.parameters[k]} = {point[k]:.3g}" for k in named)
        more = ", ..." if len(named) < len(far) else ""
        return [
            f"{count} more minima within {level:.0%}, the lowest at {text}{more} "
            f"(-2 log L higher by {rise[0]:.2g}): an interval is the connected one around the best fit"
        ]

    def table(self) -> pd.DataFrame:
        """Return the distinct minima, lowest first: a column per parameter, and m2logl."""
        names = list(self.likelihood.parameters)
        points = np.concatenate([self.best[None], self.found.points[1:][self.found.converged[1:]]])
        values = np.concatenate([[self.value], self.found.values[1:][self.found.converged[1:]]])
        frame = pd.DataFrame(points, columns=names)
        frame["m2logl"] = values
        return frame.sort_values("m2logl", kind="stable", ignore_index=True)
