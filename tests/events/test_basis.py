"""Choice of morphing points: the figure is that of a Monte Carlo over the prior, and the search lowers it."""

from __future__ import annotations

import numpy as np
import pytest

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import choose_basis
from smeft_unbinned.events.basis import moments, spread
from smeft_unbinned.events.morphing import monomial_matrix
from smeft_unbinned.polynomial import size

SCALES = {"cHW": 0.2, "cHB": 1.0, "cHWB": 5.0}


def draw(prior: str, n: int, width: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    return width * (
        rng.normal(size=(n, len(width))) if prior == "gaussian" else rng.uniform(-1, 1, (n, len(width)))
    )


@pytest.mark.parametrize("prior", ["gaussian", "uniform"])
@pytest.mark.parametrize("number", [None, 14])
def test_figure_against_monte_carlo(prior, number):
    basis = choose_basis(SCALES, seed=1, prior=prior, number=number)
    width = np.array(list(SCALES.values()))
    weights = monomial_matrix(draw(prior, 200_000, width)) @ np.linalg.pinv(monomial_matrix(basis.points))
    assert np.sqrt(np.mean(np.sum(weights**2, axis=1))) == pytest.approx(basis.spread, rel=0.01)
    assert basis.spread == pytest.approx(spread(basis.points, width, prior), rel=1e-9)
    assert basis.spread < 0.5 * basis.before
    assert not basis.points[0].any()
    assert len(basis.named()) == (number or size(3))
    assert np.all(np.abs(basis.points) <= 3 * width * (1 + 1e-9))


def test_moments_are_those_of_the_prior():
    sample = monomial_matrix(draw("uniform", 400_000, np.ones(2)))
    np.testing.assert_allclose(moments(2, "uniform"), sample.T @ sample / len(sample), atol=0.005)


def test_same_seed_same_points_and_units():
    a, b = (choose_basis(SCALES, seed=3) for _ in range(2))
    assert np.array_equal(a.points, b.points)
    scaled = choose_basis({k: 10 * x for k, x in SCALES.items()}, seed=3)
    np.testing.assert_allclose(scaled.points, 10 * a.points, rtol=1e-6, atol=1e-9)
    assert scaled.spread == pytest.approx(a.spread)


def test_start_is_improved_and_more_points_are_better():
    start = [{}, {"cHW": 0.1}, {"cHW": 0.2}]
    basis = choose_basis({"cHW": 1.0}, seed=0, start=start, tries=1, bounds=2.0)
    assert basis.before == pytest.approx(spread(np.array([[0.0], [0.1], [0.2]]), np.ones(1)))
    assert basis.spread < basis.before / 50
    more = choose_basis({"cHW": 1.0}, seed=0, number=9, bounds=2.0)
    assert more.spread < basis.spread
    assert np.min(np.diff(np.sort(more.points[:, 0]))) > 0.01
    free = choose_basis({"cHW": 1.0}, seed=0, include_sm=False, bounds=2.0)
    assert free.spread <= basis.spread * 1.01
    assert spread(np.zeros((3, 1)), np.ones(1)) == np.inf


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"number": 9}, "10 monomials, 9 points cannot determine them; ask for at least 10"),
        ({"scales": {"cHW": 0.0}}, "must be positive"),
        ({"scales": {}}, "at least one operator"),
        ({"prior": "gausian"}, "Did you mean 'gaussian'"),
        ({"bounds": -1.0}, "bounds and tries"),
        ({"start": [{"cHX": 1.0}]}, "unknown operator 'cHX' in start"),
        ({"start": np.zeros((10, 2))}, r"\(B, 3\)"),
        ({"start": np.zeros((11, 3)), "number": 10}, "start has 11 points, number asks for 10"),
    ],
)
def test_refused(options, says):
    with pytest.raises(InputError, match=says):
        choose_basis(**{"scales": SCALES, "seed": 0, **options})
