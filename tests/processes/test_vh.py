"""Samples, truth and cross sections of pp -> VH against one another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from smeft_unbinned import Events
from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import vh
from smeft_unbinned.processes.densities import LesHouches

EDGES = np.array([0.0, 75.0, 150.0, 250.0, 400.0, np.inf])


@pytest.fixture(scope="module")
def unweighted() -> Events:
    return vh.generate(150_000, seed=21)


@pytest.fixture(scope="module")
def weighted() -> Events:
    return vh.generate(150_000, seed=22, unweighted=False, tail=2.5)


def pulls(events: Events, selected: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(Monte Carlo - quadrature)/error of every coefficient of sigma(c) for the selected events, (P,)."""
    terms = np.asarray(events.weights)[:, None] * np.asarray(events.truth.coefficients) * selected[:, None]
    # the total weight of unweighted events is fixed: this error, for a Poisson number, is an upper bound
    error = np.sqrt((terms**2).sum(axis=0))
    return (terms.sum(axis=0) - expected) / np.where(error > 0.0, error, 1.0)


@pytest.mark.parametrize("process", ["ZH", "WH"])
def test_weighted_events_reproduce_the_quadrature(process: str) -> None:
    events = vh.generate(
        150_000, process=process, operators=vh.OPERATORS, seed=5, unweighted=False, tail=2.5, energy=13_000.0
    )
    sigma = vh.cross_section(process=process, operators=vh.OPERATORS, energy=13_000.0, pt_edges=EDGES)
    pt = events.features.iloc[:, 5].to_numpy()
    for low, high, row in zip(EDGES[:-1], EDGES[1:], np.asarray(sigma.coefficients), strict=True):
        assert np.max(np.abs(pulls(events, (pt >= low) & (pt < high), row))) < 4.5
    total = np.asarray(
        vh.cross_section(process=process, operators=vh.OPERATORS, energy=13_000.0).coefficients
    )
    assert np.max(np.abs(pulls(events, np.ones(len(events)), total))) < 4.5
    np.testing.assert_allclose(np.asarray(sigma.sum().coefficients), total, rtol=1e-8, atol=1e-12)


def test_a_cut_in_transverse_momentum_leaves_the_bins_above_it() -> None:
    bins = np.asarray(vh.cross_section(pt_edges=EDGES).coefficients)
    cut = np.asarray(vh.cross_section(pt_min=EDGES[3]).coefficients)
    np.testing.assert_allclose(cut, bins[3:].sum(axis=0), rtol=1e-8, atol=1e-12)


def test_unweighted_events_reproduce_the_quadrature(unweighted: Events) -> None:
    sigma = np.asarray(vh.cross_section(pt_edges=EDGES[:-1]).coefficients)
    pt = unweighted.column("pt_z")
    for low, high, row in zip(EDGES[:-2], EDGES[1:-1], sigma, strict=True):
        assert np.max(np.abs(pulls(unweighted, (pt >= low) & (pt < high), row))) < 4.5


def test_mean_truth_is_the_ratio_of_cross_sections(unweighted: Events) -> None:
    rng = np.random.default_rng(2)
    sigma = unweighted.cross_section
    for c in rng.normal(scale=0.05, size=(20, 11)):
        values = np.asarray(unweighted.truth.evaluate(c))
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - sigma.evaluate(c) / sigma.constant) < 4.0 * error


def test_monte_carlo_estimate_of_the_cross_section(unweighted: Events, weighted: Events) -> None:
    for events in (unweighted, weighted):
        estimate, error = events.metadata["sm_cross_section_monte_carlo"]
        assert abs(estimate - events.metadata["sm_cross_section"]) < 4.0 * error
        assert error < 0.01 * estimate
    assert unweighted.metadata["efficiency"] > 0.3
    np.testing.assert_allclose(unweighted.weights, unweighted.weights[0], rtol=1e-12)
    assert np.max(weighted.weights) < 20.0 * np.mean(weighted.weights)


def test_weighted_and_unweighted_distributions_agree(unweighted: Events, weighted: Events) -> None:
    w = np.asarray(weighted.weights) / np.sum(weighted.weights)
    for name in unweighted.features:
        edges = np.unique(np.quantile(unweighted.column(name), np.linspace(0.0, 1.0, 21)))
        edges[0], edges[-1] = -np.inf, np.inf
        a = np.histogram(unweighted.column(name), edges)[0] / len(unweighted)
        b = np.histogram(weighted.column(name), edges, weights=w)[0]
        variance = a / len(unweighted) + np.histogram(weighted.column(name), edges, weights=w**2)[0]
        assert np.sum((a - b) ** 2 / variance) < 50.0, name  # 19 degrees of freedom: p = 1.3e-4


def test_seeds() -> None:
    for mode in (True, False):
        first, again = (vh.generate(500, seed=7, unweighted=mode) for _ in range(2))
        pd.testing.assert_frame_equal(first.features, again.features, check_exact=True)
        np.testing.assert_array_equal(first.truth.coefficients, again.truth.coefficients)
        np.testing.assert_array_equal(first.weights, again.weights)
        other = vh.generate(500, seed=8, unweighted=mode)
        assert not np.any(other.column("m_zh") == first.column("m_zh"))


def test_truth_of_the_features_is_the_truth_of_the_events(unweighted: Events) -> None:
    part = unweighted[:1000]
    again = vh.truth(part.features)
    np.testing.assert_allclose(again.coefficients, part.truth.coefficients, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(np.asarray(again.constant), 1.0)
    fewer = vh.truth(part.features, operators=("cHWtil", "cHq3"))
    np.testing.assert_allclose(
        fewer.coefficients, again.restrict(["cHWtil", "cHq3"]).coefficients, rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("process", ["ZH", "WH"])
def test_exchange_of_the_beams(process: str) -> None:
    """Turning the event around by pi swaps the beams: Y -> -Y, cos -> -cos, phi -> phi + pi."""
    frame = vh.generate(2000, process=process, seed=4).features
    boson = process[0].lower()
    turned = frame.assign(
        **{
            f"y_{boson}h": -frame[f"y_{boson}h"],
            "cos_theta_star": -frame["cos_theta_star"],
            "phi_l": np.where(frame["phi_l"] > 0, frame["phi_l"] - np.pi, frame["phi_l"] + np.pi),
        }
    )
    straight, reverse = (
        np.asarray(vh.differential(f, process=process, operators=vh.OPERATORS).coefficients)
        for f in (frame, turned)
    )
    scale = np.abs(straight).max(axis=1, keepdims=True)
    np.testing.assert_allclose(straight / scale, reverse / scale, atol=1e-12)


def test_phases_and_ranges(unweighted: Events) -> None:
    phi = unweighted.column("phi_l")
    assert np.all((phi > -np.pi) & (phi <= np.pi))
    k = unweighted.column("pt_z") / np.sqrt(1.0 - unweighted.column("cos_theta_star") ** 2)
    assert np.all(unweighted.column("m_zh") > 2.0 * k)
    # the decay angles of the SM: forward-backward symmetric for proton beams
    assert ks_2samp(phi, -phi).pvalue > 1e-4


def test_cuts_are_respected() -> None:
    events = vh.generate(5000, seed=1, pt_min=200.0, mass_range=(500.0, 900.0))
    assert events.column("pt_z").min() >= 200.0
    assert events.column("m_zh").min() >= 500.0
    assert events.column("m_zh").max() <= 900.0
    estimate, error = events.metadata["sm_cross_section_monte_carlo"]
    assert abs(estimate - float(events.cross_section.constant)) < 4.0 * error


def test_quadrature_error_estimate() -> None:
    assert np.all(vh.cross_section_error(pt_edges=EDGES) < 1e-5)
    assert np.all(vh.cross_section_error(process="WH", pt_edges=EDGES, energy=13_000.0) < 1e-5)


def test_scale_and_density_matter_little_for_ratios() -> None:
    forms = [vh.cross_section(scale=scale) for scale in (*vh.SCALES, 150.0)]
    ratios = np.array([np.asarray(form.linear / form.constant) for form in forms])
    assert np.ptp([float(form.constant) for form in forms]) > 0.01
    np.testing.assert_allclose(ratios[:, 4], ratios[0, 4], rtol=0.06)


def test_events_carry_their_conventions(unweighted: Events) -> None:
    for key in (
        "process",
        "energy",
        "seed",
        "input_scheme",
        "epsilon",
        "density",
        "operator_basis",
        "Lambda",
    ):
        assert key in unweighted.metadata
    assert unweighted.operators == vh.DEFAULT
    assert tuple(unweighted.features) == vh.columns("ZH")
    assert unweighted.metadata["density"] == LesHouches().name


def test_progress_bar_does_not_change_events(capsys: pytest.CaptureFixture[str]) -> None:
    quiet, loud = vh.generate(100, seed=3), vh.generate(100, seed=3, progress=True)
    pd.testing.assert_frame_equal(quiet.features, loud.features)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vh.generate(10, seed=1, operators=("cHw",)), "Did you mean 'cHW'"),
        (lambda: vh.generate(10, seed=1, operators=("cHW", "cHW")), "repeated"),
        (lambda: vh.generate(0, seed=1), "at least 1"),
        (lambda: vh.generate(10, seed=1, tail=2.0), "unweighted=False"),
        (lambda: vh.generate(10, seed=1, process="HZ"), "Did you mean 'ZH'"),
        (lambda: vh.generate(10, seed=1, pt_min=8_000.0), "no phase space"),
        (lambda: vh.cross_section(pt_edges=(100.0, 50.0)), "increasing"),
        (lambda: vh.cross_section(pt_edges=EDGES, pt_min=50.0), "not both"),
        (lambda: vh.cross_section(scale="m_hv"), "unknown scale"),
        (lambda: vh.truth({"m_zh": [300.0]}), "is missing"),
        (lambda: vh.truth(_point(m_zh=[100.0])), "m_zh"),
        (lambda: vh.truth(_point(cos_theta_l=[np.nan])), "cos_theta_l"),
        (lambda: vh.truth(_point(y_zh=[9.0])), "outside the phase space"),
        (lambda: vh.truth(_point(y_zh=[0.0, 1.0])), "one length"),
    ],
)
def test_mistakes_are_explained(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


def _point(**changes: list[float]) -> dict[str, list[float]]:
    point = {"m_zh": [300.0], "y_zh": [0.0], "cos_theta_star": [0.1], "cos_theta_l": [0.2], "phi_l": [0.3]}
    return point | changes
