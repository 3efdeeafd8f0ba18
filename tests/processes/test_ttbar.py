"""Samples and cross sections of pp -> t tbar, and its benchmark numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned import Events
from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import Polynomial
from smeft_unbinned.processes import mellin, ttbar
from smeft_unbinned.processes.densities import LesHouches, strong_coupling
from smeft_unbinned.processes.lhagrid import LHAGrid

EDGES = (345.0, 400.0, 500.0, 700.0, 1000.0, np.inf)


def entry(form: Polynomial, *names: str) -> float:
    """Coefficient of the product of `names` in a single quadratic form, relative to the SM."""
    matrix = np.asarray(form.matrix())
    index = [0, 0, *(1 + form.operators.index(name) for name in names)][-2:]
    value = matrix[index[0], index[1]]
    return float((value if index[0] == index[1] else 2.0 * value) / matrix[0, 0])


@pytest.fixture(scope="module", params=[True, False], ids=["unweighted", "weighted"])
def sample(request: pytest.FixtureRequest) -> Events:
    return ttbar.generate(60_000, seed=12, unweighted=request.param)


def test_benchmark_numbers() -> None:
    """13 TeV inclusive relative to the SM: ctG 0.320 and 0.0573, ctu8 0.0093; here at mu = m_t."""
    form = ttbar.cross_section()
    assert float(form.constant) == pytest.approx(492.5, abs=0.1)
    assert entry(form, "ctG") == pytest.approx(0.320, rel=5e-3)
    assert entry(form, "ctG", "ctG") == pytest.approx(0.0573, rel=5e-3)
    assert entry(form, "ctGI") == pytest.approx(0.0, abs=1e-15)
    assert entry(form, "ctu8") == pytest.approx(0.0093, rel=0.07)  # toy quarks


@pytest.mark.parametrize(("scale", "ctu8"), [("m_t", 0.00906), ("half_m_tt", 0.00937)])
def test_benchmark_numbers_with_nnpdf(pdfdata: Path, scale: str, ctu8: float) -> None:
    density = LHAGrid(pdfdata / "NNPDF31_nnlo_as_0118_luxqed_0000.dat")
    form = ttbar.cross_section(density=density, scale=scale)
    assert entry(form, "ctG") == pytest.approx(0.320, rel=5e-3)
    assert entry(form, "ctG", "ctG") == pytest.approx(0.0573, rel=0.025)
    assert entry(form, "ctu8") == pytest.approx(ctu8, rel=1e-3)
    assert entry(form, "ctu8") == pytest.approx(0.0093, rel=0.03)


def test_ratios_of_the_dipole_do_not_depend_on_alpha_s(pdfdata: Path) -> None:
    path = pdfdata / "NNPDF31_nnlo_as_0118_luxqed_0000.dat"
    forms = [ttbar.cross_section(density=LHAGrid(path, alpha_s_mz=a)) for a in (0.118, 0.130)]
    assert entry(forms[1], "ctG") == pytest.approx(entry(forms[0], "ctG"), rel=1e-12)
    scale = np.sqrt(float(forms[0].constant / forms[1].constant))  # alpha_s ratio
    assert entry(forms[1], "ctu8") == pytest.approx(scale * entry(forms[0], "ctu8"), rel=1e-9)


def test_events_reproduce_the_quadrature(sample: Events) -> None:
    sigma = np.asarray(ttbar.cross_section(mass_edges=EDGES).coefficients)
    total = np.asarray(ttbar.cross_section().coefficients)
    np.testing.assert_allclose(sigma.sum(axis=0), total, rtol=2e-6, atol=1e-9 * total[0])
    m, terms = sample.column("m_tt"), np.asarray(sample.weights)[:, None] * sample.truth.coefficients
    for low, high, row in zip(EDGES[:-1], EDGES[1:], sigma, strict=True):
        part = terms[(m >= low) & (m < high)]
        error = np.sqrt((part**2).sum(axis=0))
        assert np.max(np.abs(part.sum(axis=0) - row) / np.where(error > 0.0, error, 1.0)) < 4.5


def test_monte_carlo_estimate_of_the_cross_section(sample: Events) -> None:
    estimate, error = sample.metadata["sm_cross_section_monte_carlo"]
    assert abs(estimate - sample.metadata["sm_cross_section"]) < 4.0 * error
    assert error < 0.01 * estimate
    assert sample.metadata["efficiency"] > 0.3


def test_cuts() -> None:
    events = ttbar.generate(5_000, seed=1, pt_min=200.0, mass_range=(600.0, 900.0))
    assert events.column("pt_t").min() >= 200.0
    assert 600.0 <= events.column("m_tt").min() <= events.column("m_tt").max() <= 900.0
    estimate, error = events.metadata["sm_cross_section_monte_carlo"]
    assert abs(estimate - float(events.cross_section.constant)) < 4.0 * error


def test_quadrature_error() -> None:
    assert np.all(ttbar.cross_section_error(mass_edges=EDGES) < 2e-4)
    coarse, fine = (np.asarray(ttbar.cross_section(order=order).coefficients) for order in (20, 32))
    np.testing.assert_allclose(coarse, fine, rtol=1e-5, atol=1e-12)


def test_exchange_of_the_beams() -> None:
    frame = ttbar.generate(1_000, seed=4).features
    turned = frame.assign(y_tt=-frame["y_tt"], cos_theta_star=-frame["cos_theta_star"])
    straight, reverse = (np.asarray(ttbar.differential(f).coefficients) for f in (frame, turned))
    np.testing.assert_allclose(straight / straight[:, :1], reverse / straight[:, :1], rtol=1e-9, atol=1e-13)


def test_strong_coupling_of_densities() -> None:
    class Plain:
        name = "plain"
        xf = LesHouches().xf

    for q2 in (3.0, 20.0, 30.0, 1e4):
        assert strong_coupling(LesHouches(), q2) == pytest.approx(mellin.alpha_s(q2), rel=1e-12)
    assert strong_coupling(Plain(), 91.1876**2) == pytest.approx(0.118)
    assert strong_coupling(Plain(), 172.5**2) == pytest.approx(0.1080, abs=2e-4)


@pytest.mark.parametrize("scale", [*ttbar.SCALES, 200.0])
def test_scales(scale: str | float) -> None:
    sigma = ttbar.cross_section(scale=scale, operators=("ctG",))
    assert 300.0 < float(sigma.constant) < 600.0
    assert entry(sigma, "ctG") == pytest.approx(0.320, rel=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ttbar.generate(10, seed=1, operators=("ctg",)), "Did you mean 'ctG'"),
        (lambda: ttbar.generate(10, seed=1, tail=2.0), "unweighted=False"),
        (lambda: ttbar.generate(10, seed=1, pt_min=8_000.0), "no phase space"),
        (lambda: ttbar.cross_section(mass_edges=(500.0, 400.0)), "increasing"),
        (lambda: ttbar.cross_section(mass_edges=(300.0, 320.0, 400.0)), "below the threshold"),
        (lambda: ttbar.cross_section(mass_edges=EDGES, mass_range=(400.0, 500.0)), "not both"),
        (lambda: ttbar.cross_section(scale="m_top"), "unknown scale"),
        (lambda: ttbar.truth({"m_tt": [400.0]}), "is missing"),
        (lambda: ttbar.truth({"m_tt": [300.0], "y_tt": [0.0], "cos_theta_star": [0.0]}), "m_tt"),
        (lambda: ttbar.truth({"m_tt": [400.0], "y_tt": [9.0], "cos_theta_star": [0.0]}), "outside the phase"),
        (lambda: ttbar.truth({"m_tt": [400.0], "y_tt": [0.0, 1.0], "cos_theta_star": [0.0]}), "one length"),
    ],
)
def test_mistakes_are_explained(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
