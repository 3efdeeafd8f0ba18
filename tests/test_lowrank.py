"""Low rank: dense forms as sums of squares, checked by values at points, eigenvalues and exact low ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned import InputError, Polynomial, SumOfSquares
from smeft_unbinned.lowrank import to_sum_of_squares
from smeft_unbinned.polynomial import pack


def names(n: int) -> tuple[str, ...]:
    return tuple(f"c{i}" for i in range(n))


def random_form(n: int, rank: int, events: int = 50, seed: int = 0, spread: float = 1.0) -> SumOfSquares:
    """Sums of `rank` squares, 1 at the SM, with coefficients and events of very different sizes."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(events, rank, n + 1))
    factors[:, :, 0] /= np.linalg.norm(factors[:, :, 0], axis=1)[:, None]
    factors[:, :, 1:] *= np.exp(spread * rng.normal(size=n)) * np.exp(
        spread * rng.normal(size=(events, 1, 1))
    )
    return SumOfSquares(names(n), factors)


def largest_change(new: SumOfSquares, old: Polynomial, scale: dict[str, float], points: np.ndarray) -> float:
    """Largest |q_new - q| over points (D, n) of the unit box, over the size of each form, written out."""
    s = np.array(list(scale.values()))
    g = np.asarray(old.matrix(), dtype=float)
    size = g[:, 0, 0] + np.abs(np.einsum("eii->ei", g)[:, 1:]) @ s**2
    return float((np.abs(new.evaluate(points * s) - old.evaluate(points * s)) / size).max())


def corners(n: int, seed: int = 1, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(count, n))


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (1, 2), (4, 1), (4, 3), (8, 5), (12, 2)])
def test_the_rank_of_exact_sums_of_squares_is_found(n: int, rank: int) -> None:
    form = random_form(n, rank)
    new, report = to_sum_of_squares(form.dense(), tolerance=1e-9)
    assert report.rank == rank == new.factors.shape[1]
    assert report.faithful
    assert report.negative == 0
    points = np.random.default_rng(3).normal(size=(30, n))
    np.testing.assert_allclose(new.evaluate(points), form.evaluate(points), rtol=1e-7, atol=1e-9)


def test_constant_and_linear_terms_are_exact_whatever_is_cut() -> None:
    old = random_form(6, 6).dense()
    new, report = to_sum_of_squares(old, max_rank=2)
    assert not report.faithful
    assert np.abs(new.dense().constant - old.constant).max() < 1e-15
    np.testing.assert_allclose(new.dense().linear, old.linear, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-2, 0.1])
def test_truncation_stays_within_the_tolerance_in_the_box(tolerance: float) -> None:
    n = 8
    rng = np.random.default_rng(5)
    factors = rng.normal(size=(200, n + 1, n + 1)) * 3.0 ** -np.arange(n + 1)[:, None]
    old = SumOfSquares(names(n), factors).dense()
    new, report = to_sum_of_squares(old, tolerance=tolerance)
    assert report.rank < n + 1
    assert report.faithful
    found = largest_change(new, old, report.scale, corners(n))
    assert 0.01 * tolerance < found <= report.dropped <= tolerance
    s = np.array(list(report.scale.values()))
    for form_new, form_old in zip(new.matrix()[:40], old.matrix()[:40], strict=True):  # the worst corner
        change = (form_old - form_new)[1:, 1:] * np.outer(s, s)
        worst = np.sign(np.linalg.eigh(change)[1].T)
        size = form_old[0, 0] + np.diag(form_old)[1:] @ s**2
        assert np.abs(np.einsum("di,ij,dj->d", worst, change, worst)).max() <= report.dropped * size * (
            1 + 1e-9
        )


def test_one_square_less_would_not_do() -> None:
    old = random_form(5, 4, spread=0.0).dense()
    _, report = to_sum_of_squares(old, tolerance=1e-3)
    fewer, less = to_sum_of_squares(old, tolerance=1e-3, max_rank=report.rank - 1)
    assert less.rank == report.rank - 1
    assert less.dropped > 1e-3
    assert largest_change(fewer, old, less.scale, corners(5)) > 1e-3


def test_negative_directions_are_counted_and_cut() -> None:
    n = 4
    form = random_form(n, n + 1, events=100, spread=0.0)
    g = np.asarray(form.matrix())
    u = np.random.default_rng(2).normal(size=n)
    u /= np.linalg.norm(u)
    schur = g[:, 1:, 1:] - g[:, 0, 1:, None] * g[:, 0, None, 1:]
    depth = np.zeros(100)
    depth[:7] = 2.0 * np.einsum("i,eij,j->e", u, schur, u)[:7]
    g[:, 1:, 1:] -= depth[:, None, None] * np.outer(u, u)
    old = Polynomial.from_matrix(names(n), g)
    new, report = to_sum_of_squares(old, scale=np.ones(n))
    assert report.negative == 7
    assert not report.faithful
    size = 1 + np.abs(np.einsum("eii->ei", g)[:, 1:]).sum(axis=1)
    schur = g[:, 1:, 1:] - g[:, 0, 1:, None] * g[:, 0, None, 1:]
    lowest = np.linalg.eigvalsh(schur)[:, 0] / size
    assert report.lowest == pytest.approx(lowest.min())
    change = largest_change(new, old, report.scale, corners(n))
    assert change <= report.clipped
    assert 0 < report.mean_clipped <= report.clipped
    assert np.all(new.evaluate(corners(n) * 10) >= 0)
    np.testing.assert_allclose(new.dense().coefficients[7:], old.coefficients[7:], atol=1e-6 * size.max())
    assert "7 had negative directions" in str(report)


def test_the_nearest_positive_remainder_is_taken() -> None:
    """r = 1 + l c + q c^2 with q < l^2/4 turns negative; (1 + l c/2)^2 keeps constant and slope."""
    new, report = to_sum_of_squares(Polynomial(("c",), np.array([[1.0, 2.0, 0.25]])))
    np.testing.assert_allclose(new.dense().coefficients, [[1.0, 2.0, 1.0]])
    assert report.negative == 1
    assert report.rank == 1


def test_linear_forms_have_a_scale_and_are_counted() -> None:
    new, report = to_sum_of_squares(Polynomial(("a", "b"), np.array([[1.0, 0.5, 0.0, 0.0, 0.0, 0.0]] * 3)))
    assert report.negative == 3
    assert report.scale == {"a": pytest.approx(4.0), "b": 1.0}
    np.testing.assert_allclose(new.evaluate({"a": 1.0}), 1.25**2)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 6), rank=st.integers(1, 7), seed=st.integers(0, 10_000),
    tolerance=st.sampled_from([0.0, 1e-6, 1e-2]), negative=st.booleans(), spread=st.floats(0.0, 2.0),
)  # fmt: skip
def test_any_form(n: int, rank: int, seed: int, tolerance: float, negative: bool, spread: float) -> None:
    form = random_form(n, rank, 12, seed, spread)
    g = np.asarray(form.matrix())
    if negative:
        g[::2, 1:, 1:] *= 0.5
    old = Polynomial.from_matrix(names(n), g)
    new, report = to_sum_of_squares(old, tolerance=tolerance)
    assert report.rank <= n + 1
    assert report.dropped <= report.tolerance
    found = largest_change(new, old, report.scale, corners(n, seed, 50))
    assert found <= max(report.dropped, report.clipped) + 1e-12
    scale = np.array(list(report.scale.values()))
    linear = np.asarray(new.dense().linear - old.linear) * scale
    assert np.abs(linear).max(initial=0.0) < 1e-12 * (
        1 + np.abs(np.asarray(old.linear) * scale).max(initial=0.0)
    )
    if not negative:
        assert report.negative == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_rounding_is_no_negative_direction(dtype: type) -> None:
    form = random_form(20, 3, events=300)
    stored = Polynomial(form.operators, form.dense().coefficients.astype(dtype))
    new, report = to_sum_of_squares(stored, tolerance=1e-7)
    assert new.factors.dtype == dtype
    assert report.negative == 0
    assert report.rank == 3
    assert report.tolerance == max(1e-7, 42 * np.finfo(dtype).eps)
    np.testing.assert_allclose(new.evaluate(np.zeros(20)), 1.0, rtol=4 * np.finfo(dtype).eps)


def test_blocks_and_mapped_files_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = random_form(5, 3, events=101).dense()
    whole, report = to_sum_of_squares(old)
    np.save(tmp_path / "c.npy", old.coefficients)
    mapped = Polynomial(old.operators, np.load(tmp_path / "c.npy", mmap_mode="r"))
    assert isinstance(mapped.coefficients, np.memmap)
    monkeypatch.setattr("smeft_unbinned.lowrank._NUMBERS", 36 * 7)
    parts, again = to_sum_of_squares(mapped)
    np.testing.assert_allclose(parts.factors, whole.factors, rtol=1e-12, atol=1e-14)
    assert again.rank == report.rank
    assert again.negative == report.negative
    assert again.dropped == pytest.approx(report.dropped, abs=1e-14)


def test_batches_of_any_shape_and_sums_of_squares_come_in() -> None:
    form = random_form(3, 2, events=6)
    extended = SumOfSquares(form.operators, np.concatenate([form.factors, form.factors], axis=1) / np.sqrt(2))
    new, report = to_sum_of_squares(extended)
    assert report.rank == 2
    np.testing.assert_allclose(new.dense().coefficients, form.dense().coefficients, atol=1e-6)
    matrix = to_sum_of_squares(Polynomial(form.operators, form.dense().coefficients.reshape(2, 3, -1)))[0]
    assert matrix.batch_shape == (2, 3)
    single, _ = to_sum_of_squares(form.dense()[0])
    assert single.batch_shape == ()
    np.testing.assert_allclose(single.dense().coefficients, form.dense().coefficients[0], atol=1e-6)


def test_the_scale_of_a_user_decides_what_is_small() -> None:
    g = np.diag([1.0, 1.0, 1e-4])[None]
    old = Polynomial(("a", "b"), pack(g))
    assert to_sum_of_squares(old, tolerance=1e-3)[1].rank == 3
    new, report = to_sum_of_squares(old, tolerance=1e-3, scale={"b": 1.0, "a": 1.0})
    assert report.rank == 2
    np.testing.assert_allclose(new.dense().coefficients[0, -1], 0.0, atol=1e-15)
    assert report.manifest()["scale"] == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("coefficients", "options", "message"),
    [
        ([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], {}, "event 1: a form that is 0 at c = 0"),
        ([[-1.0, 0.0, 1.0]], {}, "event 0"),
        ([[1.0, np.nan, 1.0]], {}, "all coefficients finite"),
        ([[1.0, 0.0, 1.0]], {"tolerance": -1.0}, "tolerance"),
        ([[1.0, 0.0, 1.0]], {"max_rank": 0}, "max_rank"),
        ([[1.0, 0.0, 1.0]], {"scale": {"cc": 1.0}}, "Did you mean 'c'"),
        ([[1.0, 0.0, 1.0]], {"scale": {}}, "scale lacks c"),
        ([[1.0, 0.0, 1.0]], {"scale": [0.0]}, "positive width"),
        ([[1.0, 0.0, 1.0]], {"scale": [1.0, 1.0]}, "positive width"),
    ],
)
def test_refusals(coefficients: list[list[float]], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_sum_of_squares(Polynomial(("c",), np.array(coefficients)), **options)
