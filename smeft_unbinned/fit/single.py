"""Fits of one coefficient, or two, at a time, with all others at zero."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from ..errors import InputError
from ..likelihood import Likelihood
from ..progress import Rate, progress_bar
from ..storage import make_folder, write_text
from .disjoint import disjoint_intervals
from .export import smefit_content
from .identity import identity
from .methods import SHARED, fit, function_of
from .ranks import communicator, together
from .result import FitResult
from .result_file import finite_or_null

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PartialFits(Mapping[Names, FitResult]):
    """Fits of a few coefficients at a time: a read-only mapping from their names, a tuple, to the result.

    failed: why a fit was not possible, by names.
    """

    results: Mapping[Names, FitResult]
    failed: Mapping[Names, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("results", "failed"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __getitem__(self, names: Names | str) -> FitResult:
        return self.results[(names,) if isinstance(names, str) else tuple(names)]

    def __iter__(self) -> Iterator[Names]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def _frame(self, parts: Mapping[Names, pd.DataFrame]) -> pd.DataFrame:
        """Return frames below each other, with the names of the fit in front where there are several."""
        if not parts:
            return pd.DataFrame()
        if all(len(names) == 1 for names in parts):
            return pd.concat(list(parts.values()))
        return pd.concat({" ".join(names): frame for names, frame in parts.items()}, names=["fit", "name"])

    def intervals(self, level: float = 0.95, kind: str = "central") -> pd.DataFrame:
        """Return columns lower and upper; indexed by coefficient, for pairs by the pair and the coefficient.

        kind: as for `FitResult.intervals`; "union" has the number of the interval as last index.
        Fits that are not valid are left out.
        """
        parts = {}
        for names, result in self.results.items():
            if result.valid:
                frame = result.intervals(level, kind)
                parts[names] = frame[frame.index.get_level_values(0).isin(names)]
        return self._frame(parts)

    def table(self, levels: Sequence[float] = (0.68, 0.95)) -> pd.DataFrame:
        """Return best value, error and intervals of every coefficient in its fit, and -2 log L of the fit."""
        parts = {
            names: result.table(levels).loc[list(names)].assign(m2logl=result.m2logl)
            for names, result in self.results.items()
            if result.valid
        }
        return self._frame(parts)

    def save_smefit(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write what SMEFiT writes: one fit_results.json with the samples of all fits of one coefficient.

        A pair has a file of its own, fit_results_A_B.json. Returns the paths. Samples are those of the
        coefficients that were fitted; a minimised result has its best point as the one sample.
        """
        place, paths = Path(folder), []
        single = {names[0]: smefit_content(r) for names, r in self.results.items() if len(names) == 1}
        if single:
            content: dict[str, Any] = {
                key: {name: one[key][name] for name, one in single.items()}
                for key in ("samples", "best_fit_point")
            }
            content |= {
                key: {name: one[key] for name, one in single.items()} for key in ("logz", "max_loglikelihood")
            }
            content |= {"free_parameters": list(single), "single_parameter_fits": True}
            paths.append(place / "fit_results.json")
            write_text(paths[-1], json.dumps(finite_or_null(content), allow_nan=False))
        for names, result in self.results.items():
            if len(names) > 1:
                paths.append(place / f"fit_results_{'_'.join(names)}.json")
                result.save_smefit(paths[-1])
        return paths


def individual(
    likelihood: Likelihood,
    method: str = "minuit",
    *,
    names: Sequence[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> PartialFits:
    """Fit each free coefficient with the others at zero, and nuisances as in the likelihood.

    Terms of the rules of dependent coefficients that hold another free one vanish with it.

    method: "minuit", "linear", "laplace", "nuts", "ultranest" or "auto"; options: of its function.
    names: the coefficients; default all that are free.
    folder: where every result is written as it comes, NAME.json; a second call with the same likelihood and
        options takes the results that are there, and makes anew those of other data or options.
    A coefficient that no dataset constrains is named in `failed` of the result.
    """
    wanted = [(name,) for name in (likelihood.operators if names is None else names)]
    return _fits(likelihood, wanted, method, folder, seed, progress, options)


def pairwise(
    likelihood: Likelihood,
    method: str = "minuit",
    *,
    names: Sequence[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> PartialFits:
    """Fit each pair of free coefficients with the others at zero; arguments as for `individual`.

    names: the coefficients that are paired; default all that are free.
    """
    wanted = list(combinations(likelihood.operators if names is None else names, 2))
    return _fits(likelihood, wanted, method, folder, seed, progress, options)


def _fits(
    likelihood: Likelihood,
    wanted: Sequence[Names],
    method: str,
    folder: str | os.PathLike[str] | None,
    seed: int,
    progress: bool,
    options: Mapping[str, Any],
) -> PartialFits:
    function_of(method)  # an unknown one is refused before the work
    place = None if folder is None else make_folder(Path(folder))
    results: dict[Names, FitResult] = {}
    failed: dict[Names, str] = {}
    with progress_bar(progress) as bar:
        task, rate = bar.add_task("fits", total=len(wanted), note=""), Rate("fits")
        for names in wanted:
            bar.update(task, note=f"{' '.join(names)}, {rate}")
            try:
                part = likelihood.only(names)
                results[names] = _stored(part, names, method, place, seed=seed, **options)
            except InputError as error:
                if any(name not in likelihood.operators for name in names):
                    raise
                failed[names] = str(error)
            rate.add()
            bar.update(task, advance=1, note=str(rate))
    return PartialFits(results, failed)


def _stored(
    likelihood: Likelihood, names: Names, method: str, place: Path | None, **options: Any
) -> FitResult:
    """Return the result in the folder if it is that of the same fit, and make and store it otherwise."""
    if place is None:
        return with_unions(likelihood, fit(likelihood, method, **options), names)
    comm, path = communicator() if method in SHARED else None, place / f"{'_'.join(names)}.json"
    own = {k: str(v) for k, v in options.items() if k != "log_dir"}
    mark = identity(likelihood, method=method, options=own)
    known = together(comm, partial(_known, path, mark))
    if known is not None:
        return known
    result = with_unions(likelihood, fit(likelihood, method, **options), names)
    result = replace(result, provenance={**result.provenance, "identity": mark})
    together(comm, partial(result.save, path))
    return result


def _known(path: Path, mark: str) -> FitResult | None:
    """Return the result in a file if it has this identity."""
    try:
        known = FitResult.load(path) if path.exists() else None
    except InputError:  # damaged, or a file of another program: it is made anew
        return None
    return known if known is not None and known.provenance.get("identity") == mark else None


def with_unions(likelihood: Likelihood, result: FitResult, names: Sequence[str]) -> FitResult:
    """Return a minimised result with the unions of profile intervals of some parameters, at its levels.

    With quadratic terms the profile can be low around several minima; `intervals(level, kind="union")` gives
    all pieces. A result with samples stays as it is.
    """
    levels = result.stored_intervals
    if result.samples is not None or not levels or not result.valid:
        return result
    unions = {
        f"{level:.10g}": {
            n: [list(x) for x in disjoint_intervals(likelihood, result, n, level)] for n in names
        }
        for level in levels
    }
    return replace(result, provenance={**result.provenance, "unions": unions})
