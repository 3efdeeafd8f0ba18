"""Minima: all of them, none twice, no saddles, and descents that end where they should."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import optimize

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial, UnbinnedDataset, minimise
from smeft_unbinned.fit.descent import Scaled, descend
from smeft_unbinned.fit.frames import Boxed, eigenbasis
from smeft_unbinned.fit.trust import ball, descend_all
from smeft_unbinned.polynomial import size


def squares(n: int, height: float = 3.0, linear: float = 0.0, error: float = 0.2) -> Likelihood:
    """n coefficients with 1 + linear a + a^2 = height each, measured on its own: 2^n minima."""
    coefficients = np.zeros((n, size(n)))
    names = [f"c{i}" for i in range(n)]
    for i, row in enumerate(np.eye(n)):
        g = np.zeros((n + 1, n + 1))
        g[0, 0], g[0, i + 1] = 1.0, linear
        g += np.pad(np.diag(row), ((1, 0), (1, 0)))
        coefficients[i] = g[np.triu_indices(n + 1)]
    form = Polynomial(names, coefficients)
    return Likelihood([GaussianDataset("s", np.full(n, height), form, error**2 * np.eye(n), basis="warsaw")])


def ring() -> Likelihood:
    """a^2 + b^2 = 2: the minima are a circle."""
    form = Polynomial(["a", "b"], [[1.0, 0, 0, 1.0, 0, 1.0]])
    return Likelihood([GaussianDataset("ring", [3.0], form, [[0.04]], basis="warsaw")])


def test_all_mirror_images_are_listed_once() -> None:
    likelihood = squares(3)
    result = minimise(likelihood, starts=60, seed=1, levels=())
    assert list(result.minima.columns) == ["c0", "c1", "c2", "m2logl"]
    found = result.minima[["c0", "c1", "c2"]].to_numpy() / np.sqrt(2)
    np.testing.assert_allclose(np.abs(found), 1.0, atol=1e-7)
    assert len({tuple(np.sign(row)) for row in found}) == len(found) == 8
    assert (result.minima["m2logl"] - result.m2logl).abs().max() < 1e-9


def test_minima_of_unequal_height_come_lowest_first_and_saddles_do_not_come() -> None:
    """Two minima of known place and height along each of two coefficients."""
    likelihood = squares(2, linear=0.1)
    tilt = Polynomial(["c0", "c1"], [[0, 1.0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0]])
    likelihood = Likelihood(
        [*likelihood.datasets, GaussianDataset("t", [1.0, 0.5], tilt, 4.0 * np.eye(2), basis="warsaw")]
    )
    result = minimise(likelihood, starts=30, levels=())
    single = []
    for name in ("c0", "c1"):
        alone = likelihood.only([name])
        ends = [
            optimize.minimize_scalar(lambda x, f=alone: float(f.m2logl([x])), b) for b in ((-2, -1), (1, 2))
        ]
        single.append([(e.x, e.fun) for e in ends])
    expected = sorted((a[1] + b[1], a[0], b[0]) for a in single[0] for b in single[1])
    got = result.minima[["m2logl", "c0", "c1"]].to_numpy()
    np.testing.assert_allclose(got, expected, atol=1e-6)
    curvatures = np.linalg.eigvalsh(likelihood.hessian(got[:, 1:]))
    assert curvatures.min() > 0
    assert result.m2logl == got[0, 0]


def test_random_starts_find_what_lines_do_not_and_the_seed_decides() -> None:
    a, b = (minimise(squares(4), starts=25, seed=5, levels=()).minima for _ in range(2))
    assert a.equals(b)


def test_a_continuous_valley_is_one_minimum() -> None:
    likelihood = ring()
    result = minimise(likelihood, starts=12, levels=())
    assert len(result.minima) == 1
    assert not any("more minima" in m for m in result.messages)
    assert float(likelihood.m2logl(result.minima[["a", "b"]].to_numpy()[0])) == pytest.approx(
        -100.0, abs=1e-6
    )


def test_a_flat_valley_is_one_minimum() -> None:
    form = Polynomial(["a", "b"], [[0.0, 1.0, 2.0, 0, 0, 0]])
    result = minimise(
        Likelihood([GaussianDataset("f", [1.0], form, [[1.0]], basis="warsaw")]), starts=10, levels=()
    )
    assert len(result.minima) == 1
    assert not result.valid
    assert result.messages[0] == "no dataset constrains a - 0.5 b: a flat direction; fix one of these"


def test_several_flat_directions_are_named_apart() -> None:
    """Three combinations of six coefficients are free: every message holds two names only."""
    names = [f"c{i}" for i in range(6)]
    theory = np.zeros((3, size(6)))
    theory[:, 1:7] = np.kron(np.eye(3), [1.0, 3.0])
    d = GaussianDataset("f", np.ones(3), Polynomial(names, theory), np.eye(3), basis="warsaw")
    messages = minimise(Likelihood([d]), levels=()).messages
    flat = sorted(m for m in messages if m.startswith("no dataset constrains"))
    assert [m.split(":")[0] for m in flat] == [
        f"no dataset constrains c{i} - 0.33 c{i + 1}" for i in (0, 2, 4)
    ]


def test_directions_that_only_quadratic_terms_constrain_are_told() -> None:
    theory = Polynomial(["a", "b"], [[1.0, 1.0, 1.0, 0.5, 0.0, 0.1], [1.0, 2.0, 2.0, 0.1, 0.0, 0.6]])
    d = GaussianDataset("q", [1.8, 2.6], theory, 0.01 * np.eye(2), basis="warsaw")
    messages = minimise(Likelihood([d]), levels=()).messages
    assert any("only the quadratic terms constrain a - b" in m for m in messages)


def test_the_minimum_of_fourth_order_is_reached_without_overflow() -> None:
    """Asimov data of operators without interference: the Hessian vanishes at the minimum."""
    rng = np.random.default_rng(2)
    names = ("a", "b", "c")
    factors = rng.normal(size=(2000, 3))
    coefficients = np.zeros((2000, size(3)))
    coefficients[:, 0] = 1.0
    rows, columns = np.triu_indices(4)
    for p, (i, j) in enumerate(zip(rows, columns, strict=True)):
        if i > 0:
            coefficients[:, p] = (1 if i == j else 2) * factors[:, i - 1] * factors[:, j - 1]
    form = Polynomial(names, coefficients)
    likelihood = Likelihood([UnbinnedDataset("a", form, form.sum())])
    function = Scaled(likelihood, np.full(3, 0.2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in (np.full(3, 0.4), np.array([1e-3, 2.0, -1.0]), np.zeros(3), np.full(3, 30.0)):
            end = descend(function, start)
            assert np.abs(end).max() < 0.02
            assert function.value(end) < 1e-6


def test_a_descent_without_end_stays_at_its_start() -> None:
    class Falling:
        name, operators, basis = "falling", ("a",), "warsaw"

        def m2logl(self, c):
            with np.errstate(over="ignore"):
                return -np.exp(np.asarray(c)[..., 0])

        def gradient(self, c):
            with np.errstate(over="ignore"):
                return -np.exp(np.asarray(c))

        def hessian(self, c):
            return self.gradient(c)[..., None]

        def in_basis(self, target):
            return self

    likelihood = Likelihood([Falling()])
    function = Scaled(likelihood, np.ones(1))
    assert descend(function, np.array([0.5])) == 0.5
    result = minimise(likelihood, levels=())
    assert not result.valid
    assert any("falls without end" in m for m in result.messages)


def test_the_step_in_a_ball_is_the_lowest_point_of_it() -> None:
    """Against points on a fine grid of the ball, in the hard case too."""
    rng = np.random.default_rng(0)
    sizes = np.sort(rng.normal(size=(40, 2)) * 2, axis=1)
    slopes, radii = rng.normal(size=(40, 2)), rng.uniform(0.1, 3.0, 40)
    slopes[:10, 0] = 0.0
    steps = ball(sizes, slopes, radii)
    assert np.all(np.linalg.norm(steps, axis=1) <= radii * (1 + 1e-9))
    angle, share = np.meshgrid(np.linspace(0, 2 * np.pi, 721), np.linspace(0, 1, 101))
    disc = np.stack([share * np.cos(angle), share * np.sin(angle)], axis=-1).reshape(-1, 2)
    for size_, slope, radius, step in zip(sizes, slopes, radii, steps, strict=True):
        model = lambda s, g=slope, h=size_: s @ g + 0.5 * (s**2) @ h  # noqa: E731
        assert model(step) <= model(radius * disc).min() + 1e-9


def test_many_descents_equal_single_ones(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(4)])
    frame = eigenbasis(likelihood, np.zeros(3), np.full(3, 0.1))
    starts = 3 * np.random.default_rng(0).normal(size=(7, 3))
    together = descend_all(frame, starts)
    alone = np.array([descend_all(frame, s[None]).points[0] for s in starts])
    np.testing.assert_allclose(together.points, alone, atol=1e-6)
    assert together.converged.all()
    best = optimize.minimize(
        lambda y: float(frame.values(y)),
        starts[0],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 5000},
    )
    assert together.values[0] == pytest.approx(best.fun, abs=1e-8)


def test_derivatives_in_a_box_are_those_of_finite_differences(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(4)])
    frame = Boxed.of(likelihood, np.array([[-1.0, -np.inf, -0.5], [2.0, np.inf, 0.1]]), np.full(3, 0.1))
    y = np.array([0.7, -1.3, 2.1])
    steps = 1e-5 * np.eye(3)
    slope = (frame.values(y + steps) - frame.values(y - steps)) / 2e-5
    np.testing.assert_allclose(frame.gradient(y), slope, rtol=1e-6, atol=1e-6)
    bend = (frame.gradient(y + steps) - frame.gradient(y - steps)) / 2e-5
    np.testing.assert_allclose(frame.hessian(y), bend, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(frame.inverse(frame.point(y / 10)), y / 10, atol=1e-12)
    assert np.all(frame.point(100 * np.random.default_rng(0).normal(size=(50, 3)))[:, 0] <= 2.0)


def test_intervals_of_some_parameters_only(make_linear) -> None:
    likelihood = Likelihood([make_linear(3)])
    whole, part = minimise(likelihood), minimise(likelihood, intervals=("cHu",))
    assert part.intervals(0.95).loc["cHu"].to_list() == pytest.approx(
        whole.intervals(0.95).loc["cHu"].to_list()
    )
    assert part.intervals(0.95).loc[["cHW", "cHq3"]].isna().all(axis=None)
    assert part.messages == ()
    assert dict(minimise(likelihood, intervals=False).stored_intervals) == {}
    with pytest.raises(InputError, match=r"'cHuu' in intervals is not a free parameter.*Did you mean 'cHu'"):
        minimise(likelihood, intervals=("cHuu",))
