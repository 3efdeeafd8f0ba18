"""A FitResult for other programs: SMEFiT's fit_results.json, ArviZ, GetDist."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError, require
from ..storage import write_text
from .result import FitResult
from .result_file import finite_or_null

if TYPE_CHECKING:
    from ..likelihood import Likelihood

_BATCH = 500
"""Samples at which -2 log L is evaluated at once."""


def sm_chi2(result: FitResult) -> float:
    """Return the chi2 of the SM over all binned datasets, as recorded in the result; 0 without any."""
    return float(sum(result.provenance.get("sm_chi2", {}).values()))


def smefit_content(result: FitResult) -> dict[str, Any]:
    """Return the content of SMEFiT's fit_results.json, what `smefit R` reads.

    samples: posterior samples of every coefficient, dependent and fixed ones included. A minimised result has
        no posterior: its best point stands as the one sample, and logz is null.
    max_loglikelihood, logz: SMEFiT's are absolute, -chi2/2, ours relative to the SM, so -chi2/2 of the SM
        over all binned datasets is added. Unbinned and Poisson datasets count relative to the SM in both.
    best_fit_point, free_parameters: without the nuisance parameters, which SMEFiT does not know.
    """
    best = {name: value for name, value in result.best.items() if name not in result.nuisances}
    drawn, shift = result.samples, -0.5 * sm_chi2(result)
    samples = pd.DataFrame([best]) if drawn is None else drawn[list(best)]
    return {
        "samples": samples.to_dict("list"),
        "logz": None if result.logz is None else result.logz + shift,
        "max_loglikelihood": -0.5 * result.m2logl + shift,
        "best_fit_point": best,
        "free_parameters": list(result.operators),
    }


def save_smefit(result: FitResult, path: str | os.PathLike[str]) -> None:
    """Write `smefit_content`. SMEFiT looks for fit_results.json and the card, NAME.yaml, in a folder NAME."""
    write_text(path, json.dumps(finite_or_null(smefit_content(result)), allow_nan=False))


def to_arviz(result: FitResult, likelihood: Likelihood | None = None) -> Any:
    """Return arviz.InferenceData of a result with samples; needs the extra "arviz".

    posterior: every coefficient and nuisance, dims (chain, draw); samples of "nuts" keep their chains.
    sample_stats: `lp`, log L relative to the SM at every sample, if the likelihood of the fit is given.
    attrs of the posterior: method, log Z, seed, versions, units.
    Raises InputError for a result without samples.
    """
    arviz = require("arviz", "arviz")
    samples, record = _samples(result, "ArviZ"), result.provenance
    chains = int(record.get("chains", 1)) if result.method == "nuts" else 1
    samples = samples.iloc[: len(samples) - len(samples) % chains]  # rows alternate between the chains
    posterior = {str(name): samples[name].to_numpy(float).reshape(-1, chains).T for name in samples}
    stats = None
    if likelihood is not None:
        stats = {"lp": _log_likelihood(likelihood, samples).reshape(-1, chains).T}
    data = arviz.from_dict(posterior=posterior, sample_stats=stats)
    attributes: dict[str, Any] = {
        "method": result.method,
        "inference_library": "smeft-unbinned",
        "units": "TeV^-2",
        "free_parameters": list(result.parameters),
        "versions": json.dumps(record.get("versions", {})),
    }
    if "seed" in record:
        attributes["seed"] = record["seed"]
    if result.logz is not None:
        attributes |= {
            "logz": result.logz,
            "logz_error": np.nan if result.logz_error is None else result.logz_error,
        }
    data.posterior.attrs.update(attributes)
    return data


def to_getdist(result: FitResult, likelihood: Likelihood | None = None) -> Any:
    """Return getdist.MCSamples of a result with samples; needs the extra "getdist".

    Parameters are those that vary over the samples, dependent ones included and marked as derived. Ranges are
    those of flat priors, as recorded by the sampler, so that densities are right at an edge.
    `loglikes`, -log L relative to the SM, if the likelihood of the fit is given.
    Raises InputError for a result without samples.
    """
    getdist = require("getdist", "getdist")
    samples = _samples(result, "GetDist")
    samples = samples[[n for n in samples if samples[n].nunique() > 1]]
    names = [str(n) if n in result.parameters else f"{n}*" for n in samples]
    boxes = result.provenance.get("prior", {})
    ranges = {
        n: [end if np.isfinite(end) else None for end in box]
        for n, box in boxes.items()
        if isinstance(box, (list, tuple)) and n in samples
    }
    loglikes = None if likelihood is None else -_log_likelihood(likelihood, samples)
    return getdist.MCSamples(
        samples=samples.to_numpy(float),
        loglikes=loglikes,
        names=names,
        labels=[str(n).replace("_", r"\_") for n in samples],
        ranges=ranges,
        label=result.method,
        settings={"ignore_rows": 0},
        sampler="uncorrelated",
    )


def _samples(result: FitResult, program: str) -> pd.DataFrame:
    samples = result.samples
    if samples is None:
        raise InputError(
            f"{program} takes posterior samples, and a result of {result.method!r} has none; fit with "
            "linear, laplace, nuts or ultranest"
        )
    return samples


def _log_likelihood(likelihood: Likelihood, samples: pd.DataFrame) -> np.ndarray:
    """Return log L relative to the SM at every sample, (s,)."""
    missing = [name for name in likelihood.parameters if name not in samples]
    if missing:
        raise InputError(f"the result has no samples of {', '.join(missing)}; give the likelihood of its fit")
    points = samples[list(likelihood.parameters)].to_numpy(float)
    parts = [likelihood.m2logl(points[k : k + _BATCH]) for k in range(0, len(points), _BATCH)]
    return -0.5 * np.concatenate([np.asarray(part) for part in parts])
