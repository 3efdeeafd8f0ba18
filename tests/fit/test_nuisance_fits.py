"""Fits with nuisance parameters: closed forms, profiled against joint, priors, files, and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuisance_double import Counting, counting
from scipy import stats

from smeft_unbinned import FitResult, GaussianDataset, InputError, Likelihood, Polynomial, minimise, sample
from smeft_unbinned.errors import NonPositiveRatio
from smeft_unbinned.fit.prior import Prior
from smeft_unbinned.polynomial import size

OPERATORS = ("cHW", "cHu")


def linear(seed: int = 1, names: tuple[str, ...] = ("lumi", "scale"), name: str = "g") -> GaussianDataset:
    """A measurement whose theory is linear in two coefficients and in its nuisances."""
    rng, n = np.random.default_rng(seed), 10
    coefficients = np.zeros((n, size(2)))
    coefficients[:, :3] = rng.normal(size=(n, 3))
    a = rng.normal(size=(n, n + 4))
    shifts = {k: rng.normal(size=n) for k in names}
    data = coefficients[:, 0] + 2.0 * rng.normal(size=n)
    theory = Polynomial(OPERATORS, coefficients)
    return GaussianDataset(name, data, theory, a @ a.T, basis="warsaw", nuisances=shifts)


def closed_form(
    sets: list[GaussianDataset], constraints: dict[str, tuple[float, float] | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return best point and covariance over all parameters, of measurements with the same nuisances."""
    names = sets[0].nuisances
    k = len(names)
    precision, force = np.zeros((2 + k, 2 + k)), np.zeros(2 + k)
    for d in sets:
        slope = np.concatenate([d.theory.linear, d.shifts.T], axis=1)
        inverse = np.linalg.inv(d.covariance)
        precision += slope.T @ inverse @ slope
        force += slope.T @ inverse @ (d.data - d.theory.constant)
    for i, name in enumerate(names):
        if constraints[name] is not None:
            centre, error = constraints[name]
            precision[2 + i, 2 + i] += 1 / error**2
            force[2 + i] += centre / error**2
    covariance = np.linalg.inv(precision)
    return covariance @ force, covariance


CONSTRAINTS = {"lumi": (0.0, 1.0), "scale": (0.5, 2.0)}


def test_a_linear_fit_is_exact_and_its_profile_the_same() -> None:
    sets = [linear(1), linear(2, name="h")]
    likelihood = Likelihood(sets, constraints={"scale": (0.5, 2.0)})
    best, covariance = closed_form(sets, CONSTRAINTS)
    joint = minimise(likelihood)
    assert joint.valid
    assert (joint.operators, joint.nuisances) == (OPERATORS, ("lumi", "scale"))
    assert joint.parameters == (*OPERATORS, "lumi", "scale")
    np.testing.assert_allclose([joint.best[n] for n in joint.parameters], best, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joint.covariance, covariance, rtol=1e-8)
    half = stats.norm.ppf(0.975) * np.sqrt(np.diag(covariance))
    ends = np.stack([best - half, best + half], 1)
    np.testing.assert_allclose(joint.intervals(0.95), ends, rtol=1e-5, atol=1e-5)
    assert list(joint.table().index) == [*OPERATORS, "lumi", "scale"]
    short = minimise(likelihood.profiled())
    assert (short.parameters, short.operators, short.nuisances) == (OPERATORS, OPERATORS, ("lumi", "scale"))
    np.testing.assert_allclose(short.covariance, covariance[:2, :2], rtol=1e-8)  # the Schur complement
    np.testing.assert_allclose(short.intervals(0.95), ends[:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([short.best[n] for n in joint.parameters], best, rtol=1e-5, atol=1e-6)
    assert short.provenance["profiled"] == ["lumi", "scale"]
    assert joint.provenance["profiled"] == []
    assert joint.provenance["constraints"] == {"lumi": [0.0, 1.0], "scale": [0.5, 2.0]}
    assert joint.provenance["datasets"]["g"]["nuisances"] == ["lumi", "scale"]


@pytest.mark.parametrize("constraints", [{}, {"lumi": (0.4, 0.5), "shape": None}])
def test_joint_and_profiled_fits_have_the_same_intervals(constraints: Any) -> None:
    """Responses that are exponential and asymmetric, one nuisance shared by two datasets."""
    parts = [counting(1), counting(2, ("cHq3", "cHW"), ("shape", "scale"), "others")]
    likelihood = Likelihood(parts, constraints=constraints)
    joint, short = minimise(likelihood), minimise(likelihood.profiled())
    assert joint.valid
    assert short.valid
    for level in (0.68, 0.95):
        a, b = joint.intervals(level).loc[["cHW", "cHq3"]], short.intervals(level)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        joint.covariance.loc["cHW", "cHq3"], short.covariance.loc["cHW", "cHq3"], rtol=1e-3
    )
    assert dict(short.best) == pytest.approx(dict(joint.best), abs=1e-4)
    alone = minimise(Likelihood(parts, fixed=dict.fromkeys(likelihood.nuisances, 0.0)))
    assert np.all(alone.errors < 0.999 * short.errors)
    assert alone.nuisances == ("scale", "lumi", "shape")  # in the best point, fixed


def test_results_with_nuisances_are_saved(tmp_path: Path) -> None:
    fit = minimise(Likelihood([linear()]))
    fit.save(tmp_path / "fit.json")
    again = FitResult.load(tmp_path / "fit.json")
    assert (again.operators, again.nuisances, again.parameters) == (
        fit.operators,
        fit.nuisances,
        fit.parameters,
    )
    assert dict(again.best) == dict(fit.best)
    np.testing.assert_array_equal(again.intervals(0.95), fit.intervals(0.95))
    fit.save_smefit(tmp_path / "smefit.json")
    content = json.loads((tmp_path / "smefit.json").read_text())
    assert set(content["best_fit_point"]) == set(content["samples"]) == set(OPERATORS)
    old = json.loads((tmp_path / "fit.json").read_text())
    for key in ("nuisances", "parameters"):
        del old[key]
    old["operators"] = list(fit.parameters)
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert FitResult.load(tmp_path / "old.json").operators == fit.parameters


def test_pulls_are_told() -> None:
    yields = Polynomial(["cHW"], [[100.0, 20.0, 1.0], [1000.0, 0.0, 0.0]])
    d = Counting("counts", yields, [110, 1300], {"lumi": [0.05, 0.05]})
    fit = minimise(Likelihood([d]))
    assert fit.best["lumi"] > 2
    assert f"pulled beyond two errors of the constraint: lumi by +{fit.best['lumi']:.1f}" in fit.messages
    same = minimise(Likelihood([d]).profiled())
    assert f"pulled beyond two errors of the constraint: lumi by +{fit.best['lumi']:.1f}" in same.messages
    loose = minimise(Likelihood([d], constraints={"lumi": (5.0, 3.0)}))
    ratio = loose.errors["lumi"] / 3.0
    assert f"constrained by the data, in errors before: lumi to {ratio:.2g}" in loose.messages


def falling() -> Counting:
    yields = Polynomial(["cHW"], [[10.0, 20.0, 0.0], [10.0, 10.0, 100.0]])
    return Counting("counts", yields, [9, 11], {"lumi": [0.02, 0.02]})


def test_ratios_that_are_not_positive_are_counted_or_refused() -> None:
    found = minimise(Likelihood([falling()]))
    assert any("ratios that are not positive were met during the fit" in m for m in found.messages)
    assert not any("were met" in m for m in minimise(Likelihood([counting(1)])).messages)
    with pytest.raises(NonPositiveRatio, match="'counts': 1 events have a ratio"):
        minimise(Likelihood([falling()], strict=True))


def test_points_without_a_minimum_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    profiled = Likelihood([counting(1)]).profiled()
    monkeypatch.setattr("smeft_unbinned.newton.QUASI", 0)
    monkeypatch.setattr("smeft_unbinned.newton.MOST", 1)
    fit = minimise(profiled, levels=())
    assert any("no minimum over the nuisances was found" in m for m in fit.messages)


def test_the_prior_of_a_constraint_is_normal() -> None:
    prior = Prior.of(
        ["c", "a", "b"], {"c": (-1, 3), "b": (0.0, 1.0)}, {"a": (0.5, 2.0), "b": (0.0, 1.0), "c": None}
    )
    u = np.linspace(0, 1, 201)[:, None] * np.ones(3)
    values = prior.transform(u)
    assert np.all(np.isfinite(values))
    np.testing.assert_allclose(values[:, 0], -1 + 4 * u[:, 0])
    np.testing.assert_allclose(stats.norm(0.5, 2.0).cdf(values[:, 1]), u[:, 1], atol=1e-12)
    truncated = stats.truncnorm(0.0, 1.0).ppf(u[:, 2])
    np.testing.assert_allclose(values[:, 2], truncated, atol=1e-9)
    assert prior.record() == {
        "c": [-1.0, 3.0],
        "a": {"constraint": [0.5, 2.0]},
        "b": {"constraint": [0.0, 1.0], "range": [0.0, 1.0]},
    }


def test_a_sampled_posterior_and_evidence_equal_the_closed_form() -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    d = linear(3, ("lumi",))
    half = 15.0
    likelihood = Likelihood(
        [d], bounds=dict.fromkeys(OPERATORS, (-half, half)), constraints={"lumi": (0.3, 0.8)}
    )
    best, covariance = closed_form([d], {"lumi": (0.3, 0.8)})
    assert np.all(np.abs(best[:2]) + 5 * np.sqrt(np.diag(covariance))[:2] < half)
    found = sample(likelihood, nlive=100, seed=1)
    ess = found.provenance["ess"]
    for i, name in enumerate(found.parameters):
        error = np.sqrt(covariance[i, i])
        assert abs(found.samples[name].mean() - best[i]) < 5 * error / np.sqrt(ess)
        assert found.errors[name] == pytest.approx(error, rel=5 / np.sqrt(2 * ess))
        assert found.best[name] == pytest.approx(best[i], abs=0.7 * error)
    assert found.m2logl == pytest.approx(float(likelihood.m2logl(best)), abs=0.3)
    # Z: the data of the Gaussian with the constraint as prior, relative to the data at the origin
    at_best = float(d.m2logl(best)) + ((best[2] - 0.3) / 0.8) ** 2
    logz = -0.5 * at_best + 0.5 * np.log(np.linalg.det(2 * np.pi * covariance))
    logz -= 2 * np.log(2 * half) + np.log(0.8 * np.sqrt(2 * np.pi))
    assert found.logz == pytest.approx(logz, abs=5 * found.logz_error)
    assert found.provenance["prior"]["lumi"] == {"constraint": [0.3, 0.8]}
    assert (found.operators, found.nuisances) == (OPERATORS, ("lumi",))
    fast = sample(likelihood.profiled(), nlive=100, seed=2)
    assert fast.operators == fast.parameters == OPERATORS
    for i, name in enumerate(OPERATORS):  # of a Gaussian, marginal and profile are the same
        error = np.sqrt(covariance[i, i])
        assert abs(fast.samples[name].mean() - best[i]) < 5 * error / np.sqrt(fast.provenance["ess"])
        assert fast.errors[name] == pytest.approx(error, rel=5 / np.sqrt(2 * fast.provenance["ess"]))
    theta = likelihood.profiled().at(fast.samples[list(OPERATORS)].to_numpy())["lumi"]
    np.testing.assert_allclose(fast.samples["lumi"], theta, atol=1e-9)


def test_a_nuisance_without_constraint_needs_a_range() -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    likelihood = Likelihood([linear(3, ("lumi",))], constraints={"lumi": None})
    with pytest.raises(InputError, match="no prior is given for the nuisance lumi: it has no constraint"):
        sample(likelihood)
    found = sample(likelihood, bounds={"lumi": (-4, 5)}, nlive=50, frac_remain=0.5)
    assert found.provenance["prior"]["lumi"] == [-4.0, 5.0]
    assert found.samples["lumi"].between(-4, 5).all()
