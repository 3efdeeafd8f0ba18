"""FitResult: intervals at any level, files in both formats, and refusals."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smeft_unbinned import FitResult, InputError, Likelihood, minimise


@pytest.fixture(scope="module")
def fit(make_unbinned) -> FitResult:
    likelihood = Likelihood([make_unbinned(2)], fixed={"cHu": 0.1}, bounds={"cHW": (-1, 1)})
    return minimise(likelihood, levels=(0.68, 0.95), start={"cHW": 0.1})


@pytest.fixture(scope="module")
def posterior() -> FitResult:
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    samples = pd.DataFrame(rng.multivariate_normal([1, -1], covariance, size=20_000), columns=["cHW", "cHu"])
    names = ["cHW", "cHu"]
    return FitResult(
        method="ultranest",
        best={"cHW": 1.0, "cHu": -1.0, "cHd": 0.0},
        covariance=pd.DataFrame(samples.cov(), index=names, columns=names),
        m2logl=-3.0,
        valid=True,
        samples=samples.assign(cHd=0.0),
        logz=-4.5,
        logz_error=0.1,
    )


def assert_same(a: FitResult, b: FitResult) -> None:
    assert (a.method, dict(a.best), a.m2logl, a.valid) == (b.method, dict(b.best), b.m2logl, b.valid)
    assert (a.messages, a.logz, a.logz_error) == (b.messages, b.logz, b.logz_error)
    assert a.operators == b.operators
    pd.testing.assert_frame_equal(a.covariance, b.covariance)
    assert set(a.stored_intervals) == set(b.stored_intervals)
    for level in a.stored_intervals:
        pd.testing.assert_frame_equal(a.stored_intervals[level], b.stored_intervals[level])
        assert a.intervals(level).attrs == b.intervals(level).attrs
    assert json.dumps(dict(a.provenance)) == json.dumps(dict(b.provenance))


def test_a_saved_fit_loads_unchanged(fit: FitResult, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    loaded = FitResult.load(tmp_path / "fit.json")
    assert_same(fit, loaded)
    assert loaded.best["cHu"] == 0.1
    assert loaded.intervals(0.95).attrs["method"] == "profile likelihood"


def test_a_saved_posterior_loads_unchanged(posterior: FitResult, tmp_path: Path) -> None:
    posterior.save(tmp_path / "fit.json")
    loaded = FitResult.load(tmp_path / "fit.json")
    assert_same(posterior, loaded)
    pd.testing.assert_frame_equal(loaded.samples, posterior.samples)
    pd.testing.assert_frame_equal(loaded.intervals(0.5), posterior.intervals(0.5))


def test_other_levels_are_computed_as_long_as_the_likelihood_is_there(fit: FitResult, tmp_path: Path) -> None:
    inner, outer = fit.intervals(0.5), fit.intervals(0.99)
    known = fit.intervals(0.68)
    assert np.all(inner.lower > known.lower)
    assert np.all(inner.upper < known.upper)
    assert np.all(outer.lower < known.lower)
    fit.save(tmp_path / "fit.json")
    loaded = FitResult.load(tmp_path / "fit.json")
    with pytest.raises(
        InputError, match=r"level 0.5 are not in this result \(stored: 0.68, 0.95\); .*levels="
    ):
        loaded.intervals(0.5)
    pd.testing.assert_frame_equal(loaded.hesse_intervals(0.5), fit.hesse_intervals(0.5))


def test_credible_intervals_are_quantiles(posterior: FitResult) -> None:
    frame = posterior.intervals(0.9)
    assert frame.attrs["method"] == "equal-tailed credible"
    np.testing.assert_allclose(frame.loc["cHW"], stats.norm(1, 1).ppf([0.05, 0.95]), atol=0.05)
    half = stats.norm.ppf(0.95) * posterior.errors
    mean = posterior.samples[["cHW", "cHu"]].mean()
    np.testing.assert_allclose(posterior.hesse_intervals(0.9).lower, mean - half)
    np.testing.assert_allclose(posterior.errors, [1, np.sqrt(0.5)], rtol=0.03)


def test_the_table_has_a_row_per_free_coefficient(fit: FitResult, posterior: FitResult) -> None:
    table = fit.table()
    assert list(table.columns) == ["best", "error", "68% lower", "68% upper", "95% lower", "95% upper"]
    assert list(table.index) == ["cHW", "cHq3"]
    assert list(posterior.table((0.5,)).index) == ["cHW", "cHu"]


def test_the_result_for_smefit_has_its_keys(fit: FitResult, posterior: FitResult, tmp_path: Path) -> None:
    for result in (fit, posterior):
        result.save_smefit(tmp_path / "fit_results.json")
        content = json.loads((tmp_path / "fit_results.json").read_text())
        assert set(content) == {"samples", "logz", "max_loglikelihood", "best_fit_point", "free_parameters"}
        assert content["free_parameters"] == list(result.operators)
        assert content["best_fit_point"] == result.best
        assert content["max_loglikelihood"] == -0.5 * result.m2logl
        assert content["logz"] == result.logz
        assert set(content["samples"]) == set(result.best)
    assert len(content["samples"]["cHW"]) == 20_000


def test_results_do_not_change(fit: FitResult) -> None:
    with pytest.raises(FrozenInstanceError):
        fit.m2logl = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.1, float("nan")])
def test_levels_lie_between_zero_and_one(fit: FitResult, posterior: FitResult, level: float) -> None:
    for call in (fit.intervals, posterior.intervals, fit.hesse_intervals):
        with pytest.raises(InputError, match="level of an interval lies between 0 and 1"):
            call(level)


def test_files_that_are_no_results_are_refused(fit: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    with pytest.raises(InputError, match=r"no such fit result: .*fit.json"):
        FitResult.load(path)
    fit.save(path)
    text = path.read_text()
    for bad, message in (
        (text[:-20], "not a readable fit result"),
        ("[1]", "is not a fit result of this package"),
        ("{}", "is not a fit result of this package"),
        (text.replace('"format": 1', '"format": 2'), "format version 2, this package reads 1; update"),
        (text.replace('"covariance"', '"covarience"'), "is damaged: KeyError.'covariance'"),
        (text.replace('"operators": [', '"operators": ["x",'), "is damaged"),
    ):
        path.write_text(bad)
        with pytest.raises(InputError, match=message):
            FitResult.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a readable fit result"):
        FitResult.load(path)


def test_a_result_is_written_whole_or_not_at_all(fit: FitResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; create it first"):
        fit.save(tmp_path / "absent" / "fit.json")
    fit.save(tmp_path / "fit.json")
    before = (tmp_path / "fit.json").read_text()
    with pytest.raises(TypeError):
        replace(fit, provenance={"bad": object()}).save(tmp_path / "fit.json")
    assert (tmp_path / "fit.json").read_text() == before


def test_a_result_pickles_without_the_means_for_further_levels(fit: FitResult, posterior: FitResult) -> None:
    for result in (fit, posterior):
        again = pickle.loads(pickle.dumps(result))
        assert_same(result, again)
        assert_same(result, copy.deepcopy(result))
        assert again.interval_function is None
        with pytest.raises(TypeError):
            again.best["cHW"] = 0.0
    with pytest.raises(InputError, match=r"level 0\.5 are not in this result"):
        pickle.loads(pickle.dumps(fit)).intervals(0.5)


def test_a_result_is_read_only_hashable_and_short_in_print(fit: FitResult, posterior: FitResult) -> None:
    for name in ("best", "stored_intervals", "provenance"):
        with pytest.raises(TypeError):
            getattr(fit, name)["cHW"] = 0.0
    assert fit == fit
    assert len({fit, posterior, fit}) == 2
    assert repr(posterior).startswith("FitResult(ultranest, valid; cHW = 1 ± ")
    assert "NOT valid" in repr(replace(posterior, valid=False))
    many = [f"c{i}" for i in range(20)]
    big = replace(posterior, best=dict.fromkeys(many, 0.1), covariance=pd.DataFrame(np.eye(20), many, many))
    assert "... 13 more" in repr(big)


def test_frames_and_mappings_that_come_out_change_nothing(fit: FitResult, posterior: FitResult) -> None:
    minima = pd.DataFrame({"cHW": [1.0, 2.0], "cHu": [0.0, 0.0], "m2logl": [-3.0, -1.0]})
    card = {"coefficients": {"cHW": {"min": -1}}}
    kept = replace(posterior, minima=minima, runcard=card, stored_intervals=fit.stored_intervals)
    before = copy.deepcopy(kept)
    minima.loc[0, "cHW"] = card["coefficients"]["cHW"]["min"] = 99.0  # what was given
    for name in ("covariance", "samples", "minima"):
        frame = getattr(kept, name)
        frame.iloc[0, 0] = 99.0
        frame["new"] = 0.0
    limits = kept.stored_intervals[0.95]
    limits.iloc[0, 0] = 99.0
    kept.runcard["coefficients"]["cHW"]["min"] = 99.0  # type: ignore[index]
    for name in ("best", "provenance", "runcard", "stored_intervals"):
        with pytest.raises(TypeError):
            getattr(kept, name)["x"] = 0.0
        with pytest.raises(FrozenInstanceError):
            setattr(kept, name, {})
    assert_same(kept, before)
    for name in ("covariance", "samples", "minima"):
        pd.testing.assert_frame_equal(getattr(kept, name), getattr(before, name))
    assert kept.runcard == {"coefficients": {"cHW": {"min": -1}}}
    assert kept.minima.loc[0, "cHW"] == 1.0


def test_stored_intervals_that_come_out_change_nothing(fit: FitResult) -> None:
    before = fit.intervals(0.95)
    limits = fit.intervals(0.95)
    limits.iloc[0, 0] = 99.0
    pd.testing.assert_frame_equal(fit.intervals(0.95), before)


def test_minima_and_the_card_are_saved_and_old_files_have_none(posterior: FitResult, tmp_path: Path) -> None:
    minima = pd.DataFrame({"cHW": [1.0, 2.0], "cHu": [0.0, np.nan], "m2logl": [-3.0, -1.0]})
    card = {"datasets": [{"name": "zh"}], "nlive": 100}
    result = replace(posterior, minima=minima, samples=None).with_runcard(card)
    result.save(tmp_path / "fit.json")
    loaded = FitResult.load(tmp_path / "fit.json")
    pd.testing.assert_frame_equal(loaded.minima, minima)
    assert loaded.runcard == card
    content = json.loads((tmp_path / "fit.json").read_text())
    del content["minima"], content["runcard"]
    (tmp_path / "fit.json").write_text(json.dumps(content))
    old = FitResult.load(tmp_path / "fit.json")
    assert old.minima is None
    assert old.runcard is None


def test_the_correlation_is_that_of_the_covariance(posterior: FitResult) -> None:
    expected = np.corrcoef(posterior.samples[["cHW", "cHu"]].T)
    np.testing.assert_allclose(posterior.correlation, expected, rtol=1e-12)
    assert list(posterior.correlation.index) == list(posterior.correlation.columns) == ["cHW", "cHu"]


def test_linear_intervals_are_exact_and_those_of_combinations_too() -> None:
    names, best = ["a", "b"], {"a": 1.0, "b": -2.0, "fixed": 0.3}
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    rng = np.random.default_rng(3)
    samples = pd.DataFrame(rng.multivariate_normal([1, -2], covariance, size=50), columns=names)
    samples["sum"], samples["fixed"] = 2 * samples["a"] + samples["b"] + 1.0, 0.3
    result = FitResult(
        method="linear",
        best={**best, "sum": 1.0},
        covariance=pd.DataFrame(covariance, names, names),
        m2logl=-1.0,
        valid=True,
        samples=samples,
    )
    variance = {"a": 1.0, "b": 2.0, "sum": 4 * 1.0 + 2.0 + 2 * 2 * 0.6, "fixed": 0.0}
    for level in (0.5, 0.95):
        for kind in ("central", "hdi"):
            frame = result.intervals(level, kind)
            for name, v in variance.items():
                expected = stats.norm(result.best[name], max(np.sqrt(v), 1e-300)).interval(level)
                np.testing.assert_allclose(frame.loc[name], expected, rtol=1e-9, atol=1e-9)
    assert frame.attrs["method"] == "exact normal"
    np.testing.assert_allclose(result.hesse_intervals(0.95), result.intervals(0.95).loc[names])


def test_an_unknown_kind_and_a_posterior_of_a_minimum_are_refused(
    fit: FitResult, posterior: FitResult
) -> None:
    with pytest.raises(InputError, match="kind is one of central, hdi, union, got 'wide'"):
        posterior.intervals(0.9, "wide")
    for kind in ("hdi", "union"):
        with pytest.raises(InputError, match="of a posterior, and method 'minuit' has no samples"):
            fit.intervals(0.9, kind)
    with pytest.raises(InputError, match="a table has one interval per row"):
        posterior.table(kind="union")
