"""Fifty coefficients, nearly Gaussian: importance sampling, NUTS and nested sampling with a step sampler.

    python benchmarks/global_fit/fifty.py [--no-ultranest]

The problem is the linear fit of the 41 datasets in 50 of the coefficients that they constrain, with data, t0
and theory covariance as they are, and with quadratic terms. Those of the tables, taken as they are, are no
small correction: in many directions the linear fit allows coefficients for which they exceed the linear terms
by orders of magnitude. So the quadratic term of c_j c_k is multiplied by s_j s_k <= 1, where s_j is such that
a shift of c_j by one standard deviation of the linear fit moves no prediction by more than `SIZE` measured
errors through s_j^2 c_j^2. All 1275 terms together bend the posterior in every direction: the printed shifts
of means and widths from those of the curvature at the minimum tell by how much. There are further minima,
some of them equally low, more than 30 standard deviations away, where linear and quadratic terms cancel; the
prior, flat within `RANGE` standard deviations of the linear fit, excludes them.

Exit code 1 if importance sampling and NUTS differ in a mean by more than 3 % of its error or in
a width by more than 3 %. With effective sample sizes N and M the statistical error of a mean difference is
sqrt(1/N + 1/M) standard deviations, and the largest of 50 about 2.5 of that: both need N > 14,000.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cards

from smeft_unbinned import FitResult, GaussianDataset, Likelihood, Polynomial, Runcard, minimise, sample
from smeft_unbinned.fit.laplace import laplace
from smeft_unbinned.fit.linear import solve
from smeft_unbinned.fit.nuts import nuts
from smeft_unbinned.polynomial import packed_indices

SIZE, RANGE = 0.03, 10.0
LEFT_OUT = "OQQ8"
"""Of the 51 that the linear fit constrains, the one with the largest error."""
TOLERANCE = 0.03


def problem(size: float) -> Likelihood:
    """Return the likelihood of the linear terms and the reduced quadratic ones."""
    with tempfile.TemporaryDirectory() as name:
        full = cards.card(True, Path(name))
        (d,) = Runcard.from_dict(full, name).load_datasets()
    assert isinstance(d, GaussianDataset)
    names = [n for n in d.operators if n not in (*cards.FLAT, LEFT_OUT)]
    theory = d.theory.restrict(names).dense()
    values = np.array(theory.coefficients)
    k = len(names)
    linear = values.copy()
    linear[:, k + 1 :] = 0.0

    def likelihood(
        coefficients: np.ndarray, bounds: dict[str, tuple[float, float]] | None = None
    ) -> Likelihood:
        form = Polynomial(names, coefficients)
        binned = GaussianDataset("binned", d.data, form, d.covariance, basis=d.basis)
        return Likelihood([binned], names, bounds=bounds)

    fit = solve(likelihood(linear), n_samples=1)
    sigma = fit.errors.loc[names].to_numpy()
    errors = np.sqrt(np.diag(d.covariance))
    diagonal = np.abs(np.diagonal(theory.matrix()[:, 1:, 1:], axis1=1, axis2=2)) / errors[:, None]  # (n, k)
    most = np.max(diagonal, axis=0) * sigma**2
    shrink = np.concatenate([[1.0], np.sqrt(np.minimum(1.0, size / np.maximum(most, 1e-300)))])
    rows, columns = packed_indices(k)
    factors = shrink[rows] * shrink[columns]
    factors[: k + 1] = 1.0
    bounds = {
        n: (fit.best[n] - RANGE * s, fit.best[n] + RANGE * s) for n, s in zip(names, sigma, strict=True)
    }
    return likelihood(values * factors, bounds)


def timed(what: str, function: Callable[[], FitResult]) -> FitResult:
    """Run a fit and print its wall-clock seconds, calls and effective sample size."""
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    ess, calls = result.provenance.get("ess"), result.provenance.get("ncall")
    ess = min(ess.values()) if isinstance(ess, dict) else ess
    calls = result.provenance.get("gradients", calls)
    more = f"{calls:9,d} calls, effective {ess:8.0f}" if ess is not None else ""
    print(f"{what:12s} {seconds:8.1f} s {more} {'' if result.valid else 'NOT valid'}", flush=True)
    for message in result.messages:
        print(f"    {message}")
    return result


def compare(a: FitResult, b: FitResult) -> pd.DataFrame:
    """Return differences of means in standard deviations, and of widths as a share, by coefficient."""
    assert a.samples is not None
    assert b.samples is not None
    names = list(a.parameters)
    mean = (a.samples[names].mean() - b.samples[names].mean()) / b.errors[names]
    return pd.DataFrame({"mean": mean, "width": a.errors[names] / b.errors[names] - 1})


def main() -> int:
    """Run the comparison and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=float, default=SIZE, help="of the quadratic terms, in errors of data")
    parser.add_argument("--draws", type=int, default=80_000, help="of importance sampling, per round")
    parser.add_argument("--samples", type=int, default=20_000, help="of NUTS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-ultranest", action="store_true")
    parser.add_argument("--nlive", type=int, default=50)
    parser.add_argument("--max-calls", type=int, default=300_000, help="at which nested sampling is cut off")
    arguments = parser.parse_args()
    likelihood, seed = problem(arguments.size), arguments.seed
    print(f"{len(likelihood.parameters)} coefficients")
    fit = timed("minuit", lambda: minimise(likelihood, levels=()))
    importance = timed(
        "laplace",
        lambda: laplace(likelihood, n_samples=arguments.draws, draws=arguments.draws, seed=seed),
    )
    gradients = timed("nuts", lambda: nuts(likelihood, n_samples=arguments.samples, seed=seed))
    assert gradients.samples is not None
    names = list(fit.parameters)
    bend = (gradients.samples[names].mean() - pd.Series(dict(fit.best))[names]) / fit.errors[names]
    print(f"from the curvature at the minimum: means by up to {bend.abs().max():.2f} standard deviations, "
          f"widths by up to {(gradients.errors / fit.errors - 1).abs().max():.1%}")  # fmt: skip
    table = compare(importance, gradients)
    worst = table.abs().max()
    print(f"laplace and nuts differ by up to {worst['mean']:.1%} of a standard deviation in means and "
          f"{worst['width']:.1%} in widths")  # fmt: skip
    if not arguments.no_ultranest:
        nested = timed(
            "ultranest",
            lambda: sample(likelihood, nlive=arguments.nlive, step_sampler=True, seed=seed,
                           max_calls=arguments.max_calls),
        )  # fmt: skip
        away = compare(nested, gradients).abs().max()
        print(f"ultranest and nuts: up to {away['mean']:.0%} in means and {away['width']:.0%} in widths; "
              f"log Z {nested.logz:.2f} +- {nested.logz_error:.2f}, laplace {importance.logz:.2f} +- "
              f"{importance.logz_error:.2f}")  # fmt: skip
    return 0 if importance.valid and gradients.valid and (worst <= TOLERANCE).all() else 1


if __name__ == "__main__":
    sys.exit(main())
