"""FitResult: what a fit found, immutable, as frames, with intervals at any level."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError, brief
from ..quantiles import half_width
from . import credible
from .frozen import protect

if TYPE_CHECKING:
    from ..likelihood import Likelihood

IntervalFunction = Callable[[float], pd.DataFrame]
KINDS = ("central", "hdi", "union")
"""Kinds of intervals: the one around the middle, the shortest, and unions of intervals."""


def check_level(level: float) -> None:
    """Raise InputError for a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, got {level}")


@dataclass(frozen=True, eq=False)
class FitResult:
    """The outcome of any fit; coefficients in TeV^-2, nuisances in their own units.

    method: "minuit", "linear", "laplace", "nuts", "ultranest" or "replicas".
    best: the point of smallest -2 log L, by name; dependent, fixed and profiled parameters included.
    covariance: frame over the `parameters` of the fit: free coefficients, after them free nuisances.
    m2logl: -2 log L at `best`, relative to the SM.
    valid: whether the fit converged; `messages` say what is wrong or worth knowing.
    samples: posterior samples of equal weight, one column per parameter, or None.
    logz, logz_error: evidence relative to the SM likelihood, or None.
    stored_intervals: frames with columns lower and upper by level.
    provenance: seeds, versions, dataset checksums, settings.
    nuisances: names of the nuisance parameters in `best`, free, fixed or profiled.
    minima: a row per distinct minimum, columns `parameters` and m2logl, the lowest first, or None.
    runcard: the content of the card of the fit, or None.

    Nothing can be changed: mappings are read-only, and every frame that comes out is a copy. A pickled or
    copied result keeps everything but the means to compute profile intervals at further levels.
    """

    method: str
    best: Mapping[str, float]
    covariance: pd.DataFrame
    m2logl: float
    valid: bool
    messages: tuple[str, ...] = ()
    samples: pd.DataFrame | None = None
    logz: float | None = None
    logz_error: float | None = None
    stored_intervals: Mapping[float, pd.DataFrame] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    interval_function: IntervalFunction | None = field(default=None, repr=False, compare=False)
    nuisances: tuple[str, ...] = ()
    minima: pd.DataFrame | None = None
    runcard: Mapping[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "interval_function": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        errors, best = self.errors, self.best
        values = [f"{n} = {best.get(n, np.nan):.4g} ± {errors[n]:.2g}" for n in self.operators]
        shown = values if len(values) <= 8 else [*values[:7], f"... {len(values) - 7} more"]
        return f"FitResult({self.method}, {'valid' if self.valid else 'NOT valid'}; {', '.join(shown)})"

    @property
    def operators(self) -> tuple[str, ...]:
        """The free coefficients."""
        return tuple(name for name in self.parameters if name not in self.nuisances)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What was free in the fit: the coefficients, then the nuisances."""
        return tuple(self.covariance.index)

    @property
    def errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance."""
        covariance = self.covariance
        return pd.Series(np.sqrt(np.diag(covariance)), index=covariance.index)

    @property
    def correlation(self) -> pd.DataFrame:
        """The covariance over the errors of both parameters."""
        errors = self.errors
        return self.covariance.div(errors, axis=0).div(errors, axis=1)

    def intervals(self, level: float = 0.95, kind: str = "central") -> pd.DataFrame:
        """Return a frame indexed by coefficient with columns lower and upper.

        kind "central": a linear fit gives the exact normal intervals, any other with samples equal-tailed
        credible ones, and a minimised one profile intervals: those computed with the fit, and, as long as the
        result comes from `minimise` and not from a file, any other level too.
        kind "hdi": the shortest interval that holds the probability; kind "union": where the probability
        density is highest, several intervals per coefficient if need be, and the index is (name, number).
        Both need samples, but for unions of profile intervals of fits of one or two coefficients at a time,
        which are stored with these. `attrs["method"]` of the frame says what the intervals are.
        Raises InputError for a level outside (0, 1) or not available, and for another kind.
        """
        check_level(level)
        if kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, got {brief(kind)}")
        samples = self.samples
        if samples is not None and kind == "union":
            return credible.unions(samples, level)
        if samples is not None:
            if self.method == "linear":
                return self._normal(samples, level)
            return (credible.central if kind == "central" else credible.highest)(samples, level)
        if kind == "union" and "unions" in self.provenance:
            return self._unions(level)
        if kind != "central":
            raise InputError(
                f"{kind} intervals are of a posterior, and method {self.method!r} has no samples; use "
                "laplace, nuts or ultranest"
            )
        stored = self.stored_intervals
        for known, frame in stored.items():
            if abs(known - level) < 1e-9:
                return frame
        if self.interval_function is None:
            have = ", ".join(f"{x:g}" for x in stored) or "none"
            raise InputError(
                f"intervals at level {level:g} are not in this result (stored: {have}); "
                "ask for them in minimise(levels=...), or use hesse_intervals()"
            )
        return self.interval_function(level)

    def _unions(self, level: float) -> pd.DataFrame:
        """Return the unions of profile intervals that were stored with a fit of a few coefficients."""
        stored = {float(x): rows for x, rows in self.provenance["unions"].items()}
        for known, rows in stored.items():
            if abs(known - level) < 1e-9:
                index = [(name, k) for name, pairs in rows.items() for k in range(len(pairs))]
                ends = [pair for pairs in rows.values() for pair in pairs]
                frame = pd.DataFrame(ends, columns=["lower", "upper"], dtype=float)
                frame.index = pd.MultiIndex.from_tuples(index, names=["name", "interval"])
                frame.attrs["method"] = "profile likelihood, unions of intervals"
                return frame
        have = ", ".join(f"{x:g}" for x in stored)
        raise InputError(
            f"unions at level {level:g} are not in this result (stored: {have}); fit with levels="
        )

    def _normal(self, samples: pd.DataFrame, level: float) -> pd.DataFrame:
        """Return the normal intervals of all columns: those that depend on others do so linearly."""
        free, best = list(self.parameters), pd.Series(dict(self.best))
        covariance = self.covariance.to_numpy()
        added = self.provenance.get("network", {}).get("covariance")
        covariance = covariance if added is None else covariance - np.array(added)
        x, y = (samples[free] - best[free]).to_numpy(), (samples - best[samples.columns]).to_numpy()
        slopes = np.linalg.lstsq(x, y, rcond=None)[0]  # (p, k), exact but for rounding
        slopes[:, [samples.columns.get_loc(n) for n in free]] = np.eye(len(free))
        half = np.sqrt(np.einsum("pk,pq,qk->k", slopes, covariance, slopes).clip(0))
        half *= half_width(level)
        centre = best[samples.columns]
        frame = pd.DataFrame({"lower": centre - half, "upper": centre + half})
        frame.attrs["method"] = "exact normal"
        return frame

    def hesse_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return the symmetric intervals of the covariance (parabolic approximation)."""
        check_level(level)
        half, samples = self.errors * half_width(level), self.samples
        if samples is None or self.method == "linear":
            centre = pd.Series(dict(self.best)).loc[half.index]
        else:
            centre = samples[half.index].mean()
        frame = pd.DataFrame({"lower": centre - half, "upper": centre + half})
        frame.attrs["method"] = "Hesse"
        return frame

    def table(self, levels: Sequence[float] = (0.68, 0.95), kind: str = "central") -> pd.DataFrame:
        """Return best values, errors and intervals side by side: free coefficients, then free nuisances.

        kind: "central" or "hdi".
        """
        names = list(self.parameters)
        frame = pd.DataFrame({"best": pd.Series(dict(self.best)).loc[names], "error": self.errors})
        if kind == "union":
            raise InputError("a table has one interval per row; use intervals(level, kind='union')")
        for level in levels:
            limits, shown = self.intervals(level, kind).loc[names], f"{100 * level:.4g}%"
            frame[f"{shown} lower"], frame[f"{shown} upper"] = limits["lower"], limits["upper"]
        return frame

    def with_runcard(self, card: Any) -> FitResult:
        """Return the result with the content of a Runcard, or of a mapping as read from one."""
        content = card if isinstance(card, Mapping) else card.content
        return replace(self, runcard=content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all; numbers that are not finite become null."""
        from .result_file import write

        write(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FitResult:
        """Read a file written by `save`; raise InputError when it is missing or not one."""
        from .result_file import read

        return read(path)

    def save_smefit(self, path: str | os.PathLike[str]) -> None:
        """Write SMEFiT's fit_results.json, see `export.smefit_content`."""
        from .export import save_smefit

        save_smefit(self, path)

    def to_arviz(self, likelihood: Likelihood | None = None) -> Any:
        """Return arviz.InferenceData, see `export.to_arviz`."""
        from .export import to_arviz

        return to_arviz(self, likelihood)

    def to_getdist(self, likelihood: Likelihood | None = None) -> Any:
        """Return getdist.MCSamples, see `export.to_getdist`."""
        from .export import to_getdist

        return to_getdist(self, likelihood)


protect(
    FitResult,
    frames=("covariance", "samples", "minima"),
    mappings=("best", "stored_intervals", "provenance", "runcard"),
)
