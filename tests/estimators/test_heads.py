"""Every head: value, slope, terms and saved form are one function; positivity, calibration, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned import InputError, Polynomial, SumOfSquares
from smeft_unbinned.estimators.data import Masks, evaluate_terms
from smeft_unbinned.estimators.heads import HEADS, Head, Linear, Morphing, Quadratic, Squares
from smeft_unbinned.polynomial import size, unpack

M, B, D, N = 2, 5, 4, 3  # members, events, points, coefficients
OPERATORS = ("cHW", "cHq3", "cHu")
VARIANTS = {
    **{name: entry() for name, entry in HEADS.items()},
    "squares of rank 2": Squares(2),
    "morphing with extra points": Morphing(extra=3, seed=4),
}
every_head = pytest.mark.parametrize("head", list(VARIANTS.values()), ids=list(VARIANTS))


def outputs_of(head: Head, *shape: int, seed: int = 1, n: int = N) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.7 * torch.randn(*shape, head.outputs(n), generator=generator, dtype=torch.float64)


def points_of(*shape: int, seed: int = 2, n: int = N) -> torch.Tensor:
    return torch.randn(*shape, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_head
def test_the_ratio_is_the_polynomial_of_its_terms(head: Head) -> None:
    outputs, u = outputs_of(head, M, B), points_of(B, D)
    linear, quadratic = head.terms(outputs, N)
    assert linear.shape == (M, B, N)
    assert quadratic.shape == (M, B, N, N)
    np.testing.assert_allclose(quadratic, quadratic.transpose(-1, -2), atol=1e-12)
    found = head.ratio(outputs, u)
    assert found.shape == (M, B, D)
    for m, b, d in np.ndindex(M, B, D):
        v = u[b, d].numpy()
        expected = 1 + linear[m, b].numpy() @ v + v @ quadratic[m, b].numpy() @ v
        assert float(found[m, b, d]) == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(evaluate_terms(linear, quadratic, u, None), found, rtol=1e-10)


@every_head
def test_the_slope_is_the_derivative_of_the_ratio(head: Head) -> None:
    outputs, u = outputs_of(head, M, B), points_of(B, D).requires_grad_()
    r, slope = head.ratio_and_slope(outputs, u)
    assert slope.shape == (M, B, D, N)
    np.testing.assert_allclose(r.detach(), head.ratio(outputs, u).detach(), rtol=1e-10)
    for m in range(M):
        (gradient,) = torch.autograd.grad(head.ratio(outputs, u)[m].sum(), u)
        np.testing.assert_allclose(slope[m].detach(), gradient, rtol=1e-9, atol=1e-9)
    fixed, step = u.detach(), 1e-5
    for i in range(N):
        shift = step * torch.eye(N, dtype=torch.float64)[i]
        difference = head.ratio(outputs, fixed + shift) - head.ratio(outputs, fixed - shift)
        np.testing.assert_allclose(slope[..., i].detach(), difference / (2 * step), rtol=1e-6, atol=1e-7)


@every_head
def test_gradients_by_the_outputs_exist_at_the_sm_and_away_from_it(head: Head) -> None:
    outputs = outputs_of(head, 1, 2).requires_grad_()
    for u in (torch.zeros(2, 1, N, dtype=torch.float64), points_of(2, 1)):
        r, slope = head.ratio_and_slope(outputs, u)
        (gradient,) = torch.autograd.grad((r.sum() + slope.sum()), outputs)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


@every_head
def test_the_ratio_is_one_at_the_sm(head: Head) -> None:
    outputs = 100 * outputs_of(head, M, B)
    r = head.ratio(outputs.clamp(max=25), torch.zeros(B, D, N, dtype=torch.float64))
    np.testing.assert_allclose(r, 1.0, atol=1e-12)


@every_head
def test_points_of_each_member_are_those_shared(head: Head) -> None:
    """Own points and events of members, (M, B, D, n), give what each member gives at its own."""
    outputs, u = outputs_of(head, M, B), points_of(M, B, D)
    r, slope = head.ratio_and_slope(outputs, u)
    assert r.shape == (M, B, D)
    for m in range(M):
        one = head.ratio_and_slope(outputs[m : m + 1], u[m])
        np.testing.assert_allclose(r[m], one[0][0], rtol=1e-12)
        np.testing.assert_allclose(slope[m], one[1][0], rtol=1e-12)
        np.testing.assert_allclose(head.ratio(outputs, u)[m], one[0][0], rtol=1e-12)


def calibrations(members: int = M, n: int = N) -> np.ndarray:
    s = np.eye(n + 1) + 0.2 * np.random.default_rng(5).normal(size=(members, n + 1, n + 1))
    s[:, :, 0] = np.eye(n + 1)[0]
    return s


@every_head
def test_the_saved_form_is_the_ratio_at_coefficients_times_growth(head: Head) -> None:
    outputs = outputs_of(head, M, B)
    growth = np.random.default_rng(3).uniform(0.5, 3.0, size=(B, N))
    form = head.form(OPERATORS, outputs.numpy(), growth, np.repeat(np.eye(N + 1)[None], M, axis=0))
    assert form.batch_shape == (M, B)
    assert form.operators == OPERATORS
    c = np.random.default_rng(4).normal(size=(D, N))
    u = torch.as_tensor(c[None] * growth[:, None])
    found = np.moveaxis(form.evaluate(c), 0, -1)
    np.testing.assert_allclose(found, head.ratio(outputs, u), rtol=1e-9)


@every_head
def test_calibration_is_a_congruence_or_for_linear_ratios_an_offset(head: Head) -> None:
    outputs = outputs_of(head, M, B).numpy()
    growth, s = np.random.default_rng(3).uniform(0.5, 3.0, size=(B, N)), calibrations()
    plain = head.form(OPERATORS, outputs, growth, np.repeat(np.eye(N + 1)[None], M, axis=0)).dense()
    found = unpack(head.form(OPERATORS, outputs, growth, s).dense().coefficients)
    for m, b in np.ndindex(M, B):
        g = unpack(plain.coefficients)[m, b]
        if head.linear_only:
            expected = g.copy()
            expected[0, 1:] += s[m, 0, 1:]
            expected[1:, 0] += s[m, 0, 1:]
            assert np.all(found[m, b, 1:, 1:] == 0)
        else:
            expected = s[m].T @ g @ s[m]
        np.testing.assert_allclose(found[m, b], expected, rtol=1e-10, atol=1e-12)
        assert found[m, b, 0, 0] == pytest.approx(1.0, abs=1e-12)


def test_factors_and_dense_form_of_one_ratio_are_calibrated_alike() -> None:
    """The squares as a free quadratic of the same terms."""
    squares, growth, s = Squares(), np.random.default_rng(3).uniform(0.5, 3.0, size=(B, N)), calibrations()
    outputs = outputs_of(squares, M, B)
    linear, quadratic = squares.terms(outputs, N)
    rows, columns = np.triu_indices(N)
    packed = quadratic[..., rows, columns] * torch.as_tensor(np.where(rows == columns, 1.0, 2.0))
    as_quadratic = torch.cat([linear, packed], dim=-1)
    factors = squares.form(OPERATORS, outputs.numpy(), growth, s)
    dense = Quadratic().form(OPERATORS, as_quadratic.numpy(), growth, s)
    assert isinstance(factors, SumOfSquares)
    assert isinstance(dense, Polynomial)
    np.testing.assert_allclose(factors.dense().coefficients, dense.coefficients, rtol=1e-9, atol=1e-11)


positive_heads = [h for h in VARIANTS.values() if h.positive]
numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)


@pytest.mark.parametrize("head", positive_heads, ids=repr)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_positive_heads_are_positive_whatever_the_network_says(head: Head, data: st.DataObject) -> None:
    k = head.outputs(2)
    outputs = np.array(data.draw(st.lists(numbers, min_size=k, max_size=k)))
    u = np.array(data.draw(st.lists(numbers, min_size=2, max_size=2)))
    r = head.ratio(torch.as_tensor(outputs)[None, None], torch.as_tensor(u)[None, None])
    assert float(r) >= 0
    form = head.form(("a", "b"), outputs[None, None], np.ones((1, 2)), calibrations(1, 2))
    matrix = unpack(form.dense().coefficients)[0, 0]
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-10 * np.abs(matrix).max()


def test_some_head_is_positive_and_one_linear() -> None:
    assert {name for name in HEADS.own if HEADS[name].positive} == {"squares"}
    assert {name for name in HEADS.own if HEADS[name].linear_only} == {"linear"}


def test_squares_are_the_sum_of_squares_they_say() -> None:
    head, outputs = Squares(3), outputs_of(Squares(3), M, B)
    c = np.array([0.3, -0.7, 0.2])
    growth = np.random.default_rng(2).uniform(0.5, 3, size=(B, N))
    form = head.form(OPERATORS, outputs.numpy(), growth, np.repeat(np.eye(N + 1)[None], M, axis=0))
    for m, b in np.ndindex(M, B):
        a = outputs[m, b].numpy().reshape(3, N) * growth[b]
        r = (1 + a[0] @ c) ** 2 + sum((a[k] @ c) ** 2 for k in range(1, 3))
        assert form.evaluate(c)[m, b] == pytest.approx(r, rel=1e-10)


def test_the_free_quadratic_takes_its_outputs_as_coefficients() -> None:
    outputs = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    u = torch.tensor([[[0.5, -2.0]]])
    expected = 1 + 1 * 0.5 + 2 * -2 + 3 * 0.25 + 4 * -1.0 + 5 * 4
    assert float(Quadratic().ratio(outputs, u)) == pytest.approx(expected)


def test_the_linear_head_takes_its_outputs_as_score() -> None:
    outputs, u = outputs_of(Linear(), M, B), points_of(B, D)
    np.testing.assert_allclose(
        Linear().ratio(outputs, u), 1 + np.einsum("mbi,bdi->mbd", outputs.numpy(), u.numpy()), rtol=1e-12
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_morphing_head_is_the_exponential_of_its_outputs_at_its_basis(n: int) -> None:
    head = Morphing()
    points = torch.as_tensor(head.points(n))
    assert points.shape == (size(n) - 1, n)
    outputs = outputs_of(head, M, B, n=n)
    np.testing.assert_allclose(head.ratio(outputs, points), torch.exp(outputs), rtol=1e-8)


@pytest.mark.parametrize("head", [Morphing(), Morphing(extra=4), Morphing(seed=7)], ids=repr)
def test_the_morphing_head_holds_any_positive_quadratic(head: Morphing) -> None:
    """Outputs that are the logarithms of a quadratic at the basis points give it everywhere."""
    other = Squares()
    a = outputs_of(other, 1, B)
    outputs = torch.log(other.ratio(a, torch.as_tensor(head.points(N)).expand(B, -1, -1)))
    assert outputs.shape[-1] == head.outputs(N)
    u = points_of(B, D)
    np.testing.assert_allclose(head.ratio(outputs, u), other.ratio(a, u), rtol=1e-8)


def test_the_morphing_head_survives_outputs_that_would_overflow() -> None:
    outputs = torch.full((1, 1, Morphing().outputs(2)), 1e4).requires_grad_()
    r = Morphing().ratio(outputs, torch.ones(1, 1, 2))
    assert torch.isfinite(r).all()
    assert torch.isfinite(r.square()).all()


def test_the_basis_of_the_morphing_head_hangs_on_its_seed_alone() -> None:
    np.testing.assert_array_equal(Morphing(seed=3).points(2), Morphing(seed=3).points(2))
    assert Morphing(extra=2).points(2).shape == (7, 2)
    before = torch.random.get_rng_state()
    Morphing(seed=11).points(2)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("n", "expected"), [(1, 2), (3, 12), (9, 72)])
def test_squares_take_a_rank_that_holds_every_ratio_up_to_a_largest(n: int, expected: int) -> None:
    assert Squares().outputs(n) == expected
    assert Squares(2).outputs(n) == 2 * n


@every_head
def test_all_terms_counting_is_no_mask_at_all(head: Head) -> None:
    outputs, u = outputs_of(head, M, B), points_of(B, D)
    terms = head.terms(outputs, N)
    ones = Masks(torch.ones(D, dtype=torch.float64), torch.ones(D, N, N, dtype=torch.float64))
    np.testing.assert_allclose(evaluate_terms(*terms, u, ones), head.ratio(outputs, u), rtol=1e-10)


def test_masks_leave_single_terms() -> None:
    outputs, u = outputs_of(Quadratic(), M, B), points_of(B, 3)
    linear, quadratic = Quadratic().terms(outputs, N)
    kept = torch.zeros(3, N, N, dtype=torch.float64)
    kept[1] = torch.eye(N, dtype=torch.float64)
    kept[2] = 1 - torch.eye(N, dtype=torch.float64)
    found = evaluate_terms(linear, quadratic, u, Masks(torch.tensor([1.0, 0.0, 0.0]).double(), kept))
    v, q = u.numpy(), quadratic.numpy()
    diagonal = np.einsum("mbii,bi->mb", q, v[:, 1] ** 2)
    whole = np.einsum("bi,mbij,bj->mb", v[:, 2], q, v[:, 2])
    np.testing.assert_allclose(
        found[..., 0], 1 + np.einsum("mbi,bi->mb", linear.numpy(), v[:, 0]), rtol=1e-10
    )
    np.testing.assert_allclose(found[..., 1], 1 + diagonal, rtol=1e-10)
    others = whole - np.einsum("mbii,bi->mb", q, v[:, 2] ** 2)
    np.testing.assert_allclose(found[..., 2], 1 + others, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Squares(-1), "rank must be positive, or 0 to choose it, got -1"),
        (lambda: Morphing(extra=-1), "extra and seed must not be negative, got -1 and 0"),
        (lambda: Morphing(seed=-2), "extra and seed must not be negative, got 0 and -2"),
    ],
)
def test_unusable_options_are_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
