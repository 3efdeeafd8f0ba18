"""FitResult: what a fit found, immutable, saved as JSON and as SMEFiT's fit_results.json."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import InputError
from ..storage import write_text

FORMAT = 1
IntervalFunction = Callable[[float], pd.DataFrame]
_MAPPINGS = ("best", "stored_intervals", "provenance")


def check_level(level: float) -> None:
    """Raise InputError for a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, got {level}")


@dataclass(frozen=True, eq=False)
class FitResult:
    """The outcome of `minimise` or `sample`; coefficients in TeV^-2, nuisances in their own units.

    method: "minuit" or "ultranest".
    best: the point of smallest -2 log L, by name; dependent, fixed and profiled parameters included.
    covariance: frame over the `parameters` of the fit: free coefficients, after them free nuisances.
    m2logl: -2 log L at `best`, relative to the SM.
    valid: whether the fit converged; `messages` say what is wrong or worth knowing.
    samples: posterior samples, one column per parameter (ultranest), or None.
    logz, logz_error: evidence relative to the SM likelihood (ultranest), or None.
    stored_intervals: frames with columns lower and upper by level.
    provenance: seeds, versions, dataset checksums, settings.
    nuisances: names of the nuisance parameters in `best`, free, fixed or profiled.

    The mappings are read-only. A pickled or copied result keeps everything but the means to compute intervals
    at further levels.
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

    def __post_init__(self) -> None:
        for name in _MAPPINGS:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __getstate__(self) -> dict[str, Any]:
        mappings = {name: dict(getattr(self, name)) for name in _MAPPINGS}
        return {**self.__dict__, **mappings, "interval_function": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __repr__(self) -> str:
        errors = self.errors
        values = [f"{n} = {self.best.get(n, np.nan):.4g} ± {errors[n]:.2g}" for n in self.operators]
        shown = values if len(values) <= 8 else [*values[:7], f"... {len(values) - 7} more"]
        return f"FitResult({self.method}, {'valid' if self.valid else 'NOT valid'}; {', '.join(shown)})"

    @property
    def operators(self) -> tuple[str, ...]:
        """The free coefficients."""
        return tuple(name for name in self.covariance.index if name not in self.nuisances)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What was free in the fit: the coefficients, then the nuisances."""
        return tuple(self.covariance.index)

    @property
    def errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), index=self.covariance.index)

    def intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return a frame indexed by coefficient with columns lower and upper.

        A sampled result gives equal-tailed credible intervals at any level; a minimised one gives profile
        (MINOS) intervals: those computed with the fit, and, as long as the result comes from `minimise` and
        not from a file, any other level too. `attrs["method"]` of the frame says which.
        Raises InputError for a level outside (0, 1) or not available.
        """
        check_level(level)
        if self.samples is not None:
            tail = (1 - level) / 2
            frame = self.samples.quantile([tail, 1 - tail]).T
            frame.columns = ["lower", "upper"]
            frame.attrs["method"] = "equal-tailed credible"
            return frame
        for stored, frame in self.stored_intervals.items():
            if abs(stored - level) < 1e-9:
                return frame
        if self.interval_function is None:
            have = ", ".join(f"{x:g}" for x in self.stored_intervals) or "none"
            raise InputError(
                f"intervals at level {level:g} are not in this result (stored: {have}); "
                "ask for them in minimise(levels=...), or use hesse_intervals()"
            )
        return self.interval_function(level)

    def hesse_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return the symmetric intervals of the covariance (parabolic approximation)."""
        check_level(level)
        half = self.errors * float(stats.norm.ppf(0.5 + level / 2))
        if self.samples is None:
            centre = pd.Series(dict(self.best)).loc[half.index]
        else:
            centre = self.samples[half.index].mean()
        frame = pd.DataFrame({"lower": centre - half, "upper": centre + half})
        frame.attrs["method"] = "Hesse"
        return frame

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all; numbers that are not finite become null."""
        content = {
            "kind": "fit result",
            "format": FORMAT,
            "method": self.method,
            "valid": self.valid,
            "messages": list(self.messages),
            "best": dict(self.best),
            "m2logl": self.m2logl,
            "operators": list(self.operators),
            "nuisances": list(self.nuisances),
            "parameters": list(self.parameters),
            "covariance": self.covariance.to_numpy().tolist(),
            "intervals": {
                f"{level:.10g}": {"method": f.attrs.get("method", ""), **f.to_dict("index")}
                for level, f in self.stored_intervals.items()
            },
            "samples": None if self.samples is None else self.samples.to_dict("list"),
            "logz": self.logz,
            "logz_error": self.logz_error,
            "provenance": dict(self.provenance),
        }
        write_text(path, json.dumps(_null(content), indent=1, allow_nan=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FitResult:
        """Read a file written by `save`; raise InputError when it is missing or not one."""
        try:
            content = json.loads(Path(path).read_text())
        except FileNotFoundError:
            raise InputError(f"no such fit result: {path}") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is not a readable fit result: {error}") from error
        if not isinstance(content, dict) or content.get("kind") != "fit result":
            raise InputError(f"{path} is not a fit result of this package; check the path")
        if content.get("format") != FORMAT:
            raise InputError(
                f"{path} has format version {content.get('format')}, this package reads {FORMAT}; "
                "update smeft-unbinned"
            )
        try:
            return cls._from(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path} is damaged: {error!r}; make it anew") from error

    @classmethod
    def _from(cls, content: dict[str, Any]) -> FitResult:
        names = content.get("parameters", content["operators"])  # files without nuisances lack the former
        nuisances = tuple(content.get("nuisances", ()))
        if [n for n in names if n not in nuisances] != content["operators"]:
            raise ValueError("operators and parameters do not agree")
        intervals = {}
        for level, rows in content["intervals"].items():
            method = rows.pop("method")
            intervals[float(level)] = pd.DataFrame.from_dict(
                rows, orient="index", columns=["lower", "upper"], dtype=float
            )
            intervals[float(level)].attrs["method"] = method
        samples = content["samples"]
        return cls(
            method=content["method"],
            best=dict(content["best"]),
            covariance=pd.DataFrame(content["covariance"], index=names, columns=names, dtype=float),
            m2logl=content["m2logl"],
            valid=content["valid"],
            messages=tuple(content["messages"]),
            samples=None if samples is None else pd.DataFrame(samples),
            logz=content["logz"],
            logz_error=content["logz_error"],
            stored_intervals=intervals,
            provenance=content["provenance"],
            nuisances=nuisances,
        )

    def save_smefit(self, path: str | os.PathLike[str]) -> None:
        """Write SMEFiT's fit_results.json: samples, logz, max_loglikelihood, best_fit_point, free_parameters.

        A minimised result has no posterior: its best point stands as the one sample, and logz is null.
        Nuisance parameters, which SMEFiT does not know, are left out.
        """
        best = {name: value for name, value in self.best.items() if name not in self.nuisances}
        samples = pd.DataFrame([best]) if self.samples is None else self.samples[list(best)]
        content = {
            "samples": samples.to_dict("list"),
            "logz": self.logz,
            "max_loglikelihood": -0.5 * self.m2logl,
            "best_fit_point": best,
            "free_parameters": list(self.operators),
        }
        write_text(path, json.dumps(_null(content), allow_nan=False))

    def table(self, levels: tuple[float, ...] = (0.68, 0.95)) -> pd.DataFrame:
        """Return best values, errors and intervals side by side: free coefficients, then free nuisances."""
        frame = pd.DataFrame(
            {"best": pd.Series(dict(self.best)).loc[list(self.parameters)], "error": self.errors}
        )
        for level in levels:
            limits = self.intervals(level).loc[list(self.parameters)]
            frame[f"{level:.0%} lower"], frame[f"{level:.0%} upper"] = limits["lower"], limits["upper"]
        return frame


def _null(content: Any) -> Any:
    """Return JSON types with null in place of numbers that JSON does not know."""
    if isinstance(content, Mapping):
        return {key: _null(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_null(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
