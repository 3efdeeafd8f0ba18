"""auto: which method it takes, and that it says why."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from smeft_unbinned import FitResult, GaussianDataset, InputError, Likelihood, Polynomial, minimise, sample
from smeft_unbinned.fit.auto import auto


def banana() -> Likelihood:
    """b + a^2 is measured twenty times as well as a: the posterior is a thin parabola."""
    form = Polynomial(["a", "b"], [[0.0, 0, 1.0, 1.0, 0, 0], [0.0, 1.0, 0, 0, 0, 0]])
    d = GaussianDataset("d", [0.0, 0.0], form, np.diag([0.05**2, 1.0]), basis="warsaw")
    return Likelihood([d], bounds={"a": (-5.0, 5.0), "b": (-25.0, 2.0)})


def test_a_linear_problem_is_solved(make_linear) -> None:
    likelihood = Likelihood([make_linear(1)], bounds=dict.fromkeys(("cHW", "cHq3", "cHu"), (-30.0, 30.0)))
    for prefer in ("posterior", "best fit"):
        result = auto(likelihood, prefer=prefer)
        assert result.method == "linear"
        assert result.messages[0] == "linear chosen: -2 log L is quadratic in all parameters"
        choice = result.provenance["choice"]
        assert choice == {
            "method": "linear",
            "reason": "-2 log L is quadratic in all parameters",
            "tried": [],
        }


def test_a_linear_problem_in_a_box_that_cuts_is_sampled(make_linear) -> None:
    likelihood = Likelihood([make_linear(1)])
    best = auto(likelihood).best["cHW"]
    result = auto(likelihood, bounds={"cHW": (best, best + 30.0)})
    assert result.method == "laplace"
    assert "cuts into the posterior of cHW" in result.provenance["choice"]["tried"][0]
    assert result.samples["cHW"].min() >= best
    assert auto(likelihood, bounds={"cHW": (best, best + 30)}, prefer="best fit").method == "linear"


def test_samples_are_as_many_as_were_asked_for(make_linear, make_unbinned) -> None:
    for likelihood, method in (
        (Likelihood([make_linear(1)]), "linear"),
        (Likelihood([make_unbinned(8, n=100)]), "laplace"),
    ):
        result = auto(likelihood, n_samples=70)
        assert (result.method, len(result.samples)) == (method, 70)
        with pytest.raises(InputError, match="n_samples must be positive, got 0"):
            auto(likelihood, n_samples=0)


def test_a_near_gaussian_problem_is_importance_sampled(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(8, n=100)])
    result = auto(likelihood, seed=3)
    assert result.method == "laplace"
    assert "near the Gaussians of its minima: effective" in result.messages[0]
    assert result.provenance["seed"] == 3
    assert auto(likelihood, prefer="best fit").method == "minuit"


def test_what_is_not_gaussian_goes_to_nested_sampling() -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    result = auto(banana(), nlive=50, seed=1)
    assert result.method == "ultranest"
    assert "ultranest chosen: importance sampling is not enough for 2 parameters" in result.messages[0]
    assert result.provenance["choice"]["tried"][0].startswith("laplace: ")
    direct = sample(banana(), nlive=50, seed=1)
    np.testing.assert_array_equal(result.samples, direct.samples)
    assert result.logz == direct.logz


def test_many_parameters_go_to_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("blackjax", reason="the nuts extra is not installed")
    module = sys.modules[auto.__module__]
    monkeypatch.setattr(module, "MANY", 1)
    asked: dict[str, object] = {}

    def nuts(likelihood: Likelihood, **options: object) -> FitResult:
        asked.update(options)
        return minimise(likelihood, levels=())

    monkeypatch.setattr(module, "nuts", nuts)
    result = auto(banana(), seed=5)
    assert asked["seed"] == 5
    assert asked["bounds"]["a"] == (-5.0, 5.0)
    assert "2 parameters, and importance sampling is not enough" in result.messages[0]


def test_another_preference_is_refused(make_linear) -> None:
    with pytest.raises(InputError, match="prefer is 'posterior' or 'best fit', got 'speed'"):
        auto(Likelihood([make_linear(1)]), prefer="speed")  # type: ignore[arg-type]
