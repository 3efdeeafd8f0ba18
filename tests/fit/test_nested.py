"""sample: posterior and evidence of a Gaussian against closed forms, seeds, and refusals."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from smeft_unbinned import FitResult, InputError, Likelihood, PoissonDataset, Polynomial, minimise, sample

pytest.importorskip("ultranest", reason="the nested extra is not installed")

HALF = 20.0
BOUNDS = {"cHW": (-HALF, HALF), "cHu": (-HALF, HALF)}


@pytest.fixture(scope="module")
def likelihood(make_linear) -> Likelihood:
    d = make_linear(2, operators=("cHW", "cHu"), points=8)
    return Likelihood([d], bounds=BOUNDS)


@pytest.fixture(scope="module")
def posterior(likelihood: Likelihood) -> FitResult:
    return sample(likelihood, nlive=100, seed=1)


def test_moments_equal_the_closed_form(likelihood: Likelihood, posterior: FitResult) -> None:
    exact = minimise(likelihood, levels=())
    assert all(abs(exact.best[n]) + 5 * exact.errors[n] < HALF for n in BOUNDS)  # the box does not cut
    n = posterior.provenance["ess"]
    mean = posterior.samples.mean()
    for name in BOUNDS:
        error = exact.errors[name] / np.sqrt(n)
        assert abs(mean[name] - exact.best[name]) < 5 * error
        assert posterior.errors[name] == pytest.approx(exact.errors[name], rel=5 / np.sqrt(2 * n))
        assert posterior.best[name] == pytest.approx(exact.best[name], abs=0.5 * exact.errors[name])
    a, b = (r.covariance.loc["cHW", "cHu"] / np.prod(r.errors) for r in (posterior, exact))
    assert abs(a - b) < 5 / np.sqrt(n)
    assert posterior.m2logl == pytest.approx(exact.m2logl, abs=0.1)


def test_the_evidence_equals_the_closed_form(likelihood: Likelihood, posterior: FitResult) -> None:
    exact = minimise(likelihood, levels=())
    volume = (2 * HALF) ** 2
    norm = np.log(2 * np.pi) + 0.5 * np.log(np.linalg.det(exact.covariance))
    centre = [exact.best[n] for n in BOUNDS]
    inside = multivariate_normal(centre, exact.covariance).cdf([HALF] * 2, lower_limit=[-HALF] * 2)
    logz = -0.5 * exact.m2logl + norm - np.log(volume) + np.log(inside)
    assert posterior.logz == pytest.approx(logz, abs=5 * posterior.logz_error)
    assert posterior.logz_error < 0.5


def test_a_seed_fixes_the_result_and_numpys_generator_is_left_alone(likelihood: Likelihood) -> None:
    np.random.seed(42)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, other = (sample(likelihood, nlive=50, frac_remain=0.5, seed=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(a.samples, b.samples)
    assert a.logz == b.logz
    assert other.logz != a.logz


def test_nothing_is_printed_and_no_logger_is_left_changed(likelihood: Likelihood, capfd, tmp_path) -> None:
    logger = logging.getLogger("ultranest")
    before = (logger.level, list(logger.handlers), list(logger.filters))
    sample(likelihood, nlive=50, frac_remain=0.5, log_dir=tmp_path)
    assert capfd.readouterr() == ("", "")
    assert (logger.level, logger.handlers, logger.filters) == before


def test_progress_is_told_in_one_line(likelihood: Likelihood, capfd, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    sample(likelihood, nlive=50, frac_remain=0.5, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"nested sampling .*100% [\d,]+ calls, [\d,.]+ calls/s, log Z -?[\d.]+, [\d.]+% remain 0:00:00\s*",
        err,
    )


def test_provenance_and_intervals(posterior: FitResult) -> None:
    assert posterior.method == "ultranest"
    assert posterior.valid
    assert posterior.provenance["prior"] == {n: list(b) for n, b in BOUNDS.items()}
    assert posterior.provenance["seed"] == 1
    assert posterior.provenance["ncall"] > 0
    inner, outer = posterior.intervals(0.5), posterior.intervals(0.95)
    assert np.all(outer.lower < inner.lower)
    assert np.all(inner.upper < outer.upper)


def test_without_a_range_it_is_guessed_around_the_best_fit(make_linear) -> None:
    likelihood = Likelihood([make_linear(3, operators=("cHW", "cHu"))], ["cHW"], fixed={"cHu": 0.2})
    result = sample(likelihood, nlive=50, frac_remain=0.3, bounds={})
    fit = minimise(likelihood, levels=())
    lower, upper = result.provenance["prior"]["cHW"]
    assert (lower + upper) / 2 == pytest.approx(fit.best["cHW"], abs=1e-6)
    assert upper - lower == pytest.approx(16 * fit.errors["cHW"])
    assert np.all(result.samples["cHu"] == 0.2)
    assert result.operators == ("cHW",)


def test_a_box_that_cuts_is_reported(likelihood: Likelihood) -> None:
    best = minimise(likelihood, levels=()).best["cHW"]
    result = sample(likelihood, nlive=50, frac_remain=0.5, bounds={"cHW": (best, best + 0.1)})
    assert any("cuts into the posterior of cHW; widen its range" in m for m in result.messages)


def test_an_interrupted_run_is_continued(likelihood: Likelihood, tmp_path) -> None:
    part = sample(likelihood, nlive=50, max_calls=300, frac_remain=0.1, log_dir=tmp_path)
    whole = sample(likelihood, nlive=50, frac_remain=0.1, log_dir=tmp_path)
    assert whole.provenance["ncall"] > part.provenance["ncall"]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_call_resumes_to_the_same_result(likelihood: Likelihood, tmp_path) -> None:
    settings = {"nlive": 50, "frac_remain": 0.5, "log_dir": tmp_path}
    first = sample(likelihood, **settings)
    again = sample(likelihood, **settings)
    assert again.logz == first.logz
    assert again.best == first.best
    assert again.provenance == first.provenance
    np.testing.assert_array_equal(again.samples, first.samples)
    assert len(list(tmp_path.iterdir())) == 1


def test_any_other_call_starts_afresh(likelihood: Likelihood, make_linear, tmp_path) -> None:
    settings = {"nlive": 50, "frac_remain": 0.5, "log_dir": tmp_path}
    other_data = Likelihood([make_linear(5, operators=("cHW", "cHu"), points=8)], bounds=BOUNDS)
    fewer = Likelihood(likelihood.datasets, ["cHW"], fixed={"cHu": 0.1}, bounds={"cHW": BOUNDS["cHW"]})
    elsewhere = Likelihood(likelihood.datasets, ["cHW"], fixed={"cHu": 0.2}, bounds={"cHW": BOUNDS["cHW"]})
    calls = [
        (likelihood, {}),
        (likelihood, {"bounds": {"cHW": (-HALF, 2 * HALF)}}),
        (likelihood, {"seed": 7}),
        (likelihood, {"nlive": 60}),
        (other_data, {}),
        (fewer, {}),
        (elsewhere, {}),
    ]
    for k, (target, changed) in enumerate(calls):
        found = sample(target, **settings | changed)
        alone = sample(target, **settings | changed | {"log_dir": None})
        assert found.provenance["ncall"] == alone.provenance["ncall"]
        np.testing.assert_array_equal(found.samples, alone.samples)
        assert len(list(tmp_path.iterdir())) == k + 1


def test_a_folder_that_cannot_be_made_is_refused(likelihood: Likelihood, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is not a folder; choose another"):
        sample(likelihood, log_dir=tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": {"cHW": (1.0, 1.0)}}, "prior range of cHW is empty"),
        ({"bounds": {"cHW": (1.0, np.inf)}}, "empty or not finite"),
        ({"bounds": {"cHq": (0.0, 1.0)}}, "range is given for 'cHq', not a free coefficient"),
        ({"nlive": 0}, "nlive must be positive"),
        ({"frac_remain": 1.0}, "frac_remain between 0 and 1"),
        ({"seed": -1}, "seed between 0 and"),
        ({"steps": 0, "step_sampler": True}, "steps must be positive"),
        ({"steps": 4}, "belong to a step sampler"),
    ],
)
def test_unusable_settings_are_refused(
    likelihood: Likelihood, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        sample(likelihood, **arguments)


def test_a_flat_direction_without_range_is_refused() -> None:
    yields = Polynomial(["cHW", "cHu"], [[5.0, 1, 1, 0, 0, 0], [7.0, 2, 2, 0, 0, 0]])
    with pytest.raises(
        InputError, match=r"no prior range is given for cHW, cHu and none can be guessed .*give bounds"
    ):
        sample(Likelihood([PoissonDataset("a", yields, [5, 8])]))
