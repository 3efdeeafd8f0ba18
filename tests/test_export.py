"""Export: yields, Asimov data and toys from simulated events, observed events, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, InputError, Polynomial, UnbinnedDataset, export, minimise
from smeft_unbinned.likelihood import Likelihood

POINT = {"cHW": 0.4, "cHu": -0.2}


def test_asimov_data_hold_every_event_with_its_expected_number(make_events) -> None:
    e = make_events()
    d = export(None, e, luminosity=2.0, efficiency=0.5, name="toy")
    scale = 2.0 * 1000 * 0.5  # 1/fb = 1000/pb
    np.testing.assert_allclose(d.weights, scale * e.weights)
    np.testing.assert_array_equal(d.ratios.coefficients, e.truth.coefficients)
    assert d.expected.evaluate(POINT) == pytest.approx(scale * float(e.cross_section.evaluate(POINT)))
    assert d.name == "toy"
    assert d.metadata["data"] == "asimov"
    assert d.metadata["luminosity_fb-1"] == 2.0
    assert d.metadata["source"]["process"] == "toy"


def test_asimov_data_are_fitted_where_they_were_made(make_events) -> None:
    e = make_events(n=200)
    fit = minimise(Likelihood([export(None, e, luminosity=1.0, at=POINT)]))
    assert fit.best == pytest.approx({"cHW": 0.4, "cHq3": 0.0, "cHu": -0.2}, abs=1e-4)


def test_a_toy_is_a_poisson_number_of_events_drawn_by_rate(make_events) -> None:
    e = make_events(n=300)
    d = export(None, e, luminosity=0.1, pseudo_data="toy", seed=5)
    np.testing.assert_array_equal(d.weights, 1.0)
    expected = 100 * e.weights.sum()
    assert abs(len(d) - expected) < 5 * np.sqrt(expected)
    again = export(None, e, luminosity=0.1, pseudo_data="toy", seed=5)
    np.testing.assert_array_equal(again.ratios.coefficients, d.ratios.coefficients)
    other = export(None, e, luminosity=0.1, pseudo_data="toy", seed=6)
    assert len(other) != len(d) or not np.array_equal(other.ratios.coefficients, d.ratios.coefficients)


def test_toys_scatter_around_the_truth_by_their_covariance(make_events) -> None:
    e = make_events(n=400)
    pulls = []
    for seed in range(12):
        d = export(None, e, luminosity=1.0, pseudo_data="toy", at=POINT, seed=seed, efficiency=0.02)
        fit = minimise(Likelihood([d]), levels=())
        shift = [fit.best[n] - POINT.get(n, 0.0) for n in fit.operators]
        pulls.append(shift @ np.linalg.solve(fit.covariance.to_numpy(), shift))
    assert 1.5 < np.mean(pulls) < 5.0  # chi-squared of three degrees of freedom: 3.0 +- 0.7


def test_observed_events_count_one_each(make_events, make_ratios) -> None:
    e = make_events(n=7)
    expected = Polynomial(["cHu", "cHW", "cHq3"], np.arange(1.0, 11.0))
    d = export(lambda f: make_ratios(1, len(f)), e.features, expected)
    np.testing.assert_array_equal(d.weights, 1.0)
    assert d.expected.evaluate(POINT) == pytest.approx(float(expected.evaluate(POINT)))
    assert d.metadata["data"] == "observed"
    assert d.metadata["features"] == ["pt", "phi"]


def test_an_ensemble_hands_over_its_spread(make_events, make_ratios) -> None:
    class Ensemble:
        def __init__(self) -> None:
            self.metadata = {"settings": {"replicas": 2}, "history": [1, 2]}

        def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
            p = make_ratios(1, len(features)).dense()
            return p, 0.1 * np.abs(p.coefficients)

    d = export(Ensemble(), make_events(), luminosity=1.0)
    np.testing.assert_allclose(d.spread, 0.1 * np.abs(d.ratios.coefficients))
    assert d.metadata["estimator"] == {"method": "Ensemble", "settings": {"replicas": 2}}


def test_operators_of_the_yield_that_no_ratio_has_are_dropped(make_events, make_ratios) -> None:
    e = make_events()
    d = export(lambda f: make_ratios(1, len(f), ("cHW", "cHu")), e, luminosity=1.0)
    assert d.operators == ("cHW", "cHu")
    assert d.expected.evaluate({"cHW": 1.0}) == pytest.approx(
        1000 * float(e.cross_section.evaluate({"cHW": 1}))
    )


def test_the_export_can_be_saved(make_events, tmp_path: Path) -> None:
    d = export(None, make_events(), luminosity=1.0, at={"cHW": np.float64(0.1)})
    d.save(tmp_path / "d.safetensors")
    loaded = UnbinnedDataset.load(tmp_path / "d.safetensors")
    assert loaded.m2logl(POINT) == pytest.approx(float(d.m2logl(POINT)))
    assert loaded.metadata["at"] == {"cHW": 0.1}


def test_the_basis_is_that_of_the_events_unless_told(make_events) -> None:
    e = make_events()
    assert export(None, e, luminosity=1.0).basis == "warsaw"
    smefit = Events(e.features, e.truth, e.weights, None, {"basis": "smefit"})
    assert export(None, smefit, luminosity=1.0).basis == "smefit"
    assert export(None, smefit, luminosity=1.0, basis="warsaw").basis == "warsaw"


FRAME = pd.DataFrame({"pt": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pseudo_data": "azimov"}, "one of asimov, toy, got 'azimov'"),
        ({"luminosity": -1.0}, "luminosity must be positive, got -1.0"),
        ({"luminosity": float("nan")}, "luminosity must be positive"),
        ({"luminosity": None}, "need a luminosity in fb"),
        ({"efficiency": 0.0}, "efficiency must be positive"),
        ({"at": {"cHw": 1.0}}, "unknown operator 'cHw'.*Did you mean 'cHW'"),
        ({"observed": FRAME}, "the events must carry truth"),
        ({"observed": FRAME.iloc[:0]}, "frame with rows"),
        ({"observed": "events.lhe"}, "Events or a frame with rows, got str"),
        ({"observed": Events(FRAME), "at": {"cHW": 1.0}}, "away from the SM need events with truth"),
        ({"observed": Events(FRAME, weights=[1.0, -0.5])}, "1 events have a negative rate; unweight"),
        ({"observed": Events(FRAME, weights=[1.0, -1.5])}, "must sum to something positive"),
        ({"luminosity": 1e-9, "pseudo_data": "toy"}, "toy holds no event"),
        ({"basis": "warsow"}, "unknown basis 'warsow'.*Did you mean 'warsaw'"),
    ],
)
def test_what_cannot_be_exported_is_refused(make_events, arguments: dict[str, object], message: str) -> None:
    defaults: dict[str, object] = {"estimator": None, "observed": make_events(), "luminosity": 1.0}
    with pytest.raises(InputError, match=message):
        export(**{**defaults, **arguments})


def test_an_unknown_yield_is_refused(make_events, make_ratios) -> None:
    def ratios(f: pd.DataFrame) -> object:
        return make_ratios(1, len(f), ("cHd",))

    with pytest.raises(InputError, match="does not know cHd; pass expected="):
        export(ratios, make_events(), luminosity=1.0)
    with pytest.raises(InputError, match=r"yield nu.c. is not known: pass expected="):
        export(ratios, FRAME, luminosity=1.0)


@pytest.mark.parametrize("at", [{}, {"cHW": 0.5}, {"cHq3": 0.1, "cHWtil": -0.2}])
def test_the_fit_of_asimov_data_finds_what_was_put_in(zh_events, at) -> None:
    """The yield is summed over the events of the sample, so that their fluctuation drops out."""
    dataset = export(None, zh_events, luminosity=300.0, efficiency=0.01, at=at)
    gradient = dataset.gradient(at)
    step = np.linalg.solve(dataset.hessian(at), gradient)
    assert np.abs(step).max() < 1e-10
    assert dataset.weights.sum() == pytest.approx(float(dataset.expected.evaluate(at)))


def test_a_selection_has_its_own_yield(zh_events) -> None:
    hard = zh_events[zh_events.column("pt_z") > 200.0]
    for kind in ("asimov", "toy"):
        dataset = export(None, hard, luminosity=3000.0, pseudo_data=kind)
        expected = float(dataset.expected.constant)
        assert abs(dataset.weights.sum() - expected) < 6 * np.sqrt(expected)
        assert expected < 0.5 * 3e6 * float(zh_events.cross_section.constant)


def test_asimov_data_of_few_events_come_with_a_note(zh_events) -> None:
    """4,000 events stand for 40 well and for 4,000 badly; the fit says so."""
    total = 1000.0 * float(zh_events.cross_section.constant)
    for wanted, noted in ((40.0, False), (4000.0, True)):
        dataset = export(None, zh_events, luminosity=wanted / total, name="zh")
        messages = minimise(Likelihood([dataset]), levels=()).messages
        assert any("effective simulated events" in m for m in messages) is noted
