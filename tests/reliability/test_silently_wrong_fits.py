"""Ways to be silently wrong, part three: levels, errors, bounds, convergence, sampling, stored results."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from smeft_unbinned import (
    FitResult,
    GaussianDataset,
    InputError,
    Likelihood,
    Polynomial,
    UnbinnedDataset,
    minimise,
)
from smeft_unbinned.fit import contour, individual, laplace, sample
from smeft_unbinned.fit.identity import identity

WHAT = "ways to be silently wrong"
Tally = Callable[[str, int], None]


@pytest.fixture(autouse=True)
def _count(tally: Tally) -> None:
    tally(WHAT, 1)


def _information(d: GaussianDataset) -> np.ndarray:
    linear = np.array(d.theory.linear)
    return linear.T @ np.linalg.solve(d.covariance, linear)


def test_a_factor_two_in_the_logarithm(make_linear) -> None:
    """-2 log L rises by 1 at one standard deviation; with -log L in its place errors grow by sqrt(2)."""
    d = make_linear(operators=("cHW",))
    fit = minimise(Likelihood([d]), levels=(0.6826894921370859,))
    sigma = _information(d)[0, 0] ** -0.5
    assert fit.errors["cHW"] == pytest.approx(sigma, rel=1e-6)
    ends = fit.intervals(0.6826894921370859).loc["cHW"]
    assert ends["upper"] - ends["lower"] == pytest.approx(2 * sigma, rel=1e-5)
    rise = float(d.m2logl([fit.best["cHW"] + sigma])) - fit.m2logl
    assert rise == pytest.approx(1.0, rel=1e-6)


def test_the_logarithm_of_an_unbinned_likelihood() -> None:
    """The same for events: n identical ones with r = 1 + c measure n log(1 + c) - nu(c) with its factor 2."""
    form = Polynomial(["c"], [[1.0, 1.0, 0.0]] * 400)
    d = UnbinnedDataset("a", form, Polynomial(["c"], [400.0, 400.0, 0.0]))
    for c in (-0.2, 0.1, 0.5):
        assert float(d.m2logl([c])) == pytest.approx(2 * (400 * c - 400 * np.log1p(c)), rel=1e-10)
    assert minimise(Likelihood([d]), levels=()).errors["c"] == pytest.approx(1 / 20, rel=1e-3)


def test_one_or_two_degrees_of_freedom(make_linear) -> None:
    """A 95 % contour of two coefficients lies at 5.99, an interval at 3.84: neither serves the other."""
    d = make_linear(operators=("cHW", "cHq3"))
    likelihood = Likelihood([d])
    fit = minimise(likelihood, levels=(0.95,))
    curve = contour(likelihood, "cHW", "cHq3", (0.95,), result=fit)[0.95][0].to_numpy()
    np.testing.assert_allclose(
        np.asarray(likelihood.m2logl(curve)) - fit.m2logl, chi2.ppf(0.95, 2), rtol=1e-4
    )
    half = np.ptp(fit.intervals(0.95).loc["cHW"].to_numpy()) / 2
    assert half == pytest.approx(np.sqrt(chi2.ppf(0.95, 1)) * fit.errors["cHW"], rel=1e-5)
    assert np.ptp(curve[:, 0]) / 2 == pytest.approx(np.sqrt(chi2.ppf(0.95, 2)) * fit.errors["cHW"], rel=1e-2)


def test_profiled_or_alone(make_linear) -> None:
    """An interval with the others free is wider than with the others at zero: two calls, two closed forms."""
    d = make_linear()
    information = _information(d)
    likelihood = Likelihood([d])
    fit, alone = minimise(likelihood, levels=(0.95,)), individual(likelihood, levels=(0.95,))
    factor = 2 * np.sqrt(chi2.ppf(0.95, 1))
    for k, name in enumerate(d.operators):
        profiled = factor * np.linalg.inv(information)[k, k] ** 0.5
        assert np.ptp(fit.intervals(0.95).loc[name].to_numpy()) == pytest.approx(profiled, rel=1e-4)
        single = factor * information[k, k] ** -0.5
        own = dict(alone.items())[(name,)]
        assert np.ptp(own.intervals(0.95).loc[name].to_numpy()) == pytest.approx(single, rel=1e-4)
        assert profiled > single


def test_a_level_in_percent(make_linear) -> None:
    """95 for 0.95 is no level; and a level that was not computed is no other one."""
    fit = minimise(Likelihood([make_linear()]), levels=(0.95,))
    with pytest.raises(InputError, match="lies between 0 and 1, got 95"):
        fit.intervals(95)
    with pytest.raises(InputError, match=r"0.9 are not in this result \(stored: 0.95\)"):
        replace(fit, interval_function=None).intervals(0.9)


def test_a_fit_at_a_bound(make_linear) -> None:
    """A bounded fit that ends at its range, and a range that excludes the minimum, are both told by name."""
    d = make_linear()
    free = minimise(Likelihood([d]), levels=())
    high = free.best["cHW"] - 0.5 * free.errors["cHW"]
    bounds = {"cHW": (high - 1.0, high)}
    inside = minimise(Likelihood([d], bounds=bounds), levels=(), bounded=True)
    assert inside.best["cHW"] == pytest.approx(high, abs=1e-9)
    assert any("cHW" in m for m in inside.messages)
    outside = minimise(Likelihood([d], bounds=bounds), levels=())
    assert outside.best["cHW"] == pytest.approx(free.best["cHW"], abs=1e-6)
    assert any("cHW" in m for m in outside.messages)


def test_a_fit_without_a_minimum() -> None:
    """-2 log L that falls without end has no best fit: not valid and told, not its last point."""
    form = Polynomial(["c"], [[1.0, 1.0, 0.0]])
    d = UnbinnedDataset("a", form, Polynomial(["c"], [1.0, 0.0, 0.0]))
    fit = minimise(Likelihood([d]))
    assert not fit.valid
    assert fit.messages
    assert "NOT valid" in repr(fit)
    assert fit.intervals(0.95).isna().to_numpy().all()
    assert np.isnan(fit.errors["c"])


def test_a_second_minimum() -> None:
    """Quadratic terms make a mirror minimum of equal depth: it is listed, and a message names it."""
    d = GaussianDataset("q", [1.3], Polynomial(["c"], [[1.0, 0.0, 1.0]]), [[0.01]], basis="warsaw")
    fit = minimise(Likelihood([d]))
    np.testing.assert_allclose(np.sort(fit.minima["c"]), [-(0.3**0.5), 0.3**0.5], atol=1e-4)
    assert any("minim" in m for m in fit.messages)


def test_a_prior_that_cuts(make_linear) -> None:
    """A prior range inside the posterior narrows it and nothing else: the samplers say so."""
    d = make_linear(operators=("cHW",))
    free = minimise(Likelihood([d]), levels=())
    low, high = (free.best["cHW"] + k * free.errors["cHW"] for k in (2.0, 6.0))
    result = laplace(Likelihood([d], bounds={"cHW": (low, high)}), seed=1)
    assert result.messages
    samples = result.samples["cHW"]
    assert samples.min() >= low
    assert samples.max() <= high


def test_a_small_effective_sample_size(make_linear) -> None:
    """Few live points make few independent samples: nested sampling says how many and what to raise."""
    d = make_linear(operators=("cHW",))
    result = sample(Likelihood([d]), nlive=20, max_calls=60, seed=1)
    assert result.provenance["ess"] < 100
    assert any("effective sample size is small" in m and "raise nlive" in m for m in result.messages)


def test_the_sign_of_a_pull() -> None:
    """A shared systematic as nuisance: data one shift above the theory are theta > 0, with its constraint."""
    theory = Polynomial(["c"], [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    d = GaussianDataset(
        "n", [1.4, 1.4], theory, np.diag([1e-4, 1e-4]), nuisances={"S": [0.2, 0.2]}, basis="warsaw"
    )
    fit = minimise(Likelihood([d]), levels=())
    assert fit.best["S"] == pytest.approx(0.4 / 0.2 / (1 + 1e-4 / 0.04), rel=1e-3)
    assert fit.best["c"] == pytest.approx(0.0, abs=1e-3)


def test_a_stored_fit_of_other_data(make_linear) -> None:
    """A resumed run after the data changed would mix two measurements: a fit knows its likelihood."""
    d = make_linear()
    moved = GaussianDataset("linear", d.data + 1e-3, d.theory, d.covariance, basis="warsaw")
    names = {
        identity(Likelihood([d])),
        identity(Likelihood([moved])),
        identity(Likelihood([d], bounds={"cHW": (-1.0, 1.0)})),
        identity(Likelihood([d], fixed={"cHW": 0.1})),
        identity(Likelihood([d]), nlive=100),
    }
    assert len(names) == 5
    assert identity(Likelihood([d])) == identity(Likelihood([make_linear()]))


def test_a_resumed_run_of_other_data(make_linear, tmp_path: Path) -> None:
    """Nested sampling in a folder of another likelihood does not go on from its points."""
    d = make_linear(operators=("cHW",))
    fit = minimise(Likelihood([d]), levels=())
    bounds = {"cHW": (fit.best["cHW"] - 8 * fit.errors["cHW"], fit.best["cHW"] + 8 * fit.errors["cHW"])}
    options = {"nlive": 60, "seed": 1, "progress": False, "log_dir": tmp_path}
    first = sample(Likelihood([d], bounds=bounds), **options)
    data = d.data + np.array(d.theory.linear)[:, 0] * fit.errors["cHW"]
    moved = GaussianDataset("linear", data, d.theory, d.covariance, basis="warsaw")
    second = sample(Likelihood([moved], bounds=bounds), **options)
    shift = second.samples["cHW"].mean() - first.samples["cHW"].mean()
    assert shift / fit.errors["cHW"] == pytest.approx(1.0, abs=0.6)


def test_a_result_of_another_format(make_linear, tmp_path: Path) -> None:
    """A result whose format this version does not know is refused, not read with fields missing."""
    path = tmp_path / "fit_result.json"
    minimise(Likelihood([make_linear()]), levels=()).save(path)
    assert FitResult.load(path).valid
    content = json.loads(path.read_text(encoding="utf-8"))
    for change, says in (({"format": 0}, "format version 0"), ({"kind": "x"}, "not a fit result")):
        path.write_text(json.dumps({**content, **change}), encoding="utf-8")
        with pytest.raises(InputError, match=says):
            FitResult.load(path)


def test_a_damaged_file(make_unbinned, tmp_path: Path) -> None:
    """One flipped bit in the ratios gives another likelihood: the checksum of the array finds it."""
    path = tmp_path / "a.dataset"
    make_unbinned().save(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InputError, match="checksum mismatch"):
        UnbinnedDataset.load(path)


def test_zero_at_the_sm_with_a_fixed_coefficient(make_unbinned) -> None:
    """-2 log L is relative to the SM, not to where a fixed coefficient is: comparisons stay fair."""
    d = make_unbinned()
    likelihood = Likelihood([d], fixed={"cHq3": 0.4})
    assert float(likelihood.m2logl({})) == pytest.approx(float(d.m2logl({"cHq3": 0.4})), rel=1e-12)
    assert float(Likelihood([d]).m2logl({})) == 0.0
