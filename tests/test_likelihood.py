"""Likelihood: alignment by name, fixed and dependent coefficients, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError, Likelihood


@pytest.fixture
def parts(make_unbinned, make_linear):
    return (
        make_unbinned(1, operators=("cHW", "cHq3"), name="a"),
        make_linear(2, operators=("cHq3", "cHB", "cHW"), name="b"),
        make_unbinned(3, operators=("cHu",), name="c"),
    )


def test_terms_add_by_name(parts) -> None:
    likelihood = Likelihood(parts)
    assert likelihood.operators == ("cHW", "cHq3", "cHB", "cHu")
    point = {"cHW": 0.3, "cHq3": -0.2, "cHB": 0.5, "cHu": 0.1}
    terms = {d.name: float(d.m2logl({n: point[n] for n in d.operators})) for d in parts}
    assert likelihood.terms(point) == pytest.approx(terms)
    assert likelihood.m2logl(point) == pytest.approx(sum(terms.values()))
    reordered = Likelihood(parts[::-1], ["cHu", "cHB", "cHW", "cHq3"])
    assert reordered.m2logl(point) == pytest.approx(sum(terms.values()))
    slope = dict(zip(likelihood.operators, likelihood.gradient(point), strict=True))
    assert dict(zip(reordered.operators, reordered.gradient(point), strict=True)) == pytest.approx(slope)


def test_coefficients_left_out_are_zero(parts) -> None:
    likelihood = Likelihood(parts, ["cHq3"])
    point = {"cHq3": 0.4}
    assert likelihood.m2logl(point) == pytest.approx(float(Likelihood(parts).m2logl(point)))


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-3, 3), st.floats(-3, 3))
def test_fixed_and_dependent_coefficients_are_a_slice(make_unbinned, x, fixed, a, b) -> None:
    d = make_unbinned(4, operators=("cHW", "cHq3", "cHu", "cHd"))
    likelihood = Likelihood([d], fixed={"cHu": fixed}, dependent={"cHd": {"cHW": a, "cHq3": b}})
    assert likelihood.operators == ("cHW", "cHq3")
    full = {"cHW": x, "cHq3": 0.2, "cHu": fixed, "cHd": a * x + 0.2 * b}
    assert {k: float(v) for k, v in likelihood.coefficients([x, 0.2]).items()} == pytest.approx(full)
    assert likelihood.m2logl([x, 0.2]) == pytest.approx(float(d.m2logl(full)))
    g = dict(zip(d.operators, d.gradient(full), strict=True))
    expected = [g["cHW"] + a * g["cHd"], g["cHq3"] + b * g["cHd"]]
    np.testing.assert_allclose(likelihood.gradient([x, 0.2]), expected, rtol=1e-9, atol=1e-9)
    embed = np.array([[1, 0], [0, 1], [0, 0], [a, b]])
    np.testing.assert_allclose(
        likelihood.hessian([x, 0.2]), embed.T @ d.hessian(full) @ embed, rtol=1e-9, atol=1e-9
    )


def test_a_coefficient_of_no_dataset_can_drive_a_dependent_one(make_unbinned) -> None:
    d = make_unbinned(5, operators=("cHq3", "cHu"))
    likelihood = Likelihood([d], ["x"], dependent={"cHq3": {"x": 2.0}, "cHu": {"x": -1.0}})
    assert likelihood.m2logl({"x": 0.1}) == pytest.approx(float(d.m2logl({"cHq3": 0.2, "cHu": -0.1})))


def test_only_varies_the_given_coefficients(make_unbinned) -> None:
    d = make_unbinned(6, operators=("cHW", "cHq3", "cHu", "cHd"))
    bounds = {"cHW": (-1.0, 1.0), "cHq3": (-2.0, 2.0)}
    likelihood = Likelihood(
        [d], fixed={"cHu": 0.1}, dependent={"cHd": {"cHW": 2.0, "cHq3": 3.0}}, bounds=bounds
    )
    one = likelihood.only(["cHq3"])
    assert one.operators == ("cHq3",)
    assert one.bounds == {"cHq3": (-2.0, 2.0)}
    full = {"cHq3": 0.2, "cHu": 0.1, "cHd": 0.6}
    assert one.coefficients([0.2]) == pytest.approx(full)
    assert one.m2logl([0.2]) == pytest.approx(float(d.m2logl(full)))
    assert one.m2logl([0.2]) == pytest.approx(float(likelihood.m2logl({"cHq3": 0.2})))
    swapped = likelihood.only(["cHq3", "cHW"])
    assert swapped.m2logl([0.2, 0.1]) == pytest.approx(float(likelihood.m2logl([0.1, 0.2])))
    with pytest.raises(InputError, match="'cHu' is not a free coefficient"):
        likelihood.only(["cHu"])
    with pytest.raises(InputError, match="no free coefficient is left"):
        likelihood.only([])


def test_events_that_turn_negative_are_counted(make_ratios) -> None:
    from smeft_unbinned import Polynomial, UnbinnedDataset

    ratios = Polynomial(["cHW"], [[1, 1, 0], [1, -1, 0], [1, 0, 1]])
    d = UnbinnedDataset("a", ratios, Polynomial(["cHW"], [3.0, 0, 1]), np.array([1.0, 1.0, 1.0]))
    other = UnbinnedDataset("b", ratios, ratios.sum(), np.array([0.0, 1.0, 1.0]))
    likelihood = Likelihood([d, other], allow_overlap=[("a", "b")])
    assert [likelihood.non_positive([c]) for c in (0.0, -2.0, 2.0)] == [0, 1, 2]


def test_jax_traces_the_sum(parts, x64: None) -> None:
    import jax

    likelihood, c = Likelihood(parts, fixed={"cHB": 0.3}), jax.numpy.asarray([0.1, 0.2, -0.1])
    point = np.asarray(c)
    np.testing.assert_allclose(jax.jit(likelihood.m2logl)(c), likelihood.m2logl(point), rtol=1e-10)
    np.testing.assert_allclose(jax.jit(jax.grad(likelihood.m2logl))(c), likelihood.gradient(point), rtol=1e-9)
    curvature = jax.jit(jax.hessian(likelihood.m2logl))(c)
    np.testing.assert_allclose(curvature, likelihood.hessian(point), rtol=1e-8, atol=1e-8)


def test_torch_passes_in_both_precisions(parts) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    likelihood, point = Likelihood(parts), np.array([0.1, 0.2, -0.1, 0.3])
    for dtype, accuracy in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
        c = torch.tensor(point, dtype=dtype, requires_grad=True)
        value = likelihood.m2logl(c)
        value.backward()
        assert float(value.detach()) == pytest.approx(float(likelihood.m2logl(point)), rel=accuracy)
        np.testing.assert_allclose(c.grad, likelihood.gradient(point), rtol=accuracy)
        np.testing.assert_allclose(likelihood.gradient(c.detach()), likelihood.gradient(point), rtol=accuracy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"operators": ["cHW", "cHw"]},
            "no dataset constrains cHw; known operators are .*Did you mean 'cHW'",
        ),
        ({"operators": ["cHW", "cHW"]}, "distinct"),
        ({"operators": []}, "no free coefficient is left"),
        ({"fixed": {"cHw": 0.0}}, "cHw is fixed or dependent, but no dataset .*Did you mean 'cHW'"),
        ({"fixed": {"cHw": 0.1}, "operators": ["cHW"]}, "cHw is fixed or dependent"),
        ({"fixed": {"cHW": np.nan}}, "cHW must be a finite number, got nan"),
        ({"fixed": {"cHW": "one"}}, "cHW must be a finite number, got 'one'"),
        ({"fixed": {"cHW": 0.1}, "operators": ["cHW", "cHu"]}, "cHW can only be one of free, fixed"),
        ({"fixed": {"cHW": 0.1}, "dependent": {"cHW": {"cHu": 1}}}, "cHW can only be one of free, fixed"),
        (
            {"dependent": {"cHW": {"cHU": 1}}},
            "cHW is constrained by 'cHU', not a coefficient.*Did you mean 'cHu'",
        ),
        ({"dependent": {"cHW": {"cHu": np.inf}}}, "factor of cHW must be a finite number, got inf"),
        ({"bounds": {"cHw": (0, 1)}}, "range is given for 'cHw', not a free coefficient. Did you mean 'cHW'"),
        ({"bounds": {"cHW": (1, 1)}}, r"prior range of cHW is empty or not finite: \[1, 1\]; need min < max"),
        ({"bounds": {"cHW": (-np.inf, 1)}}, "empty or not finite"),
        ({"datasets": []}, "at least one dataset"),
    ],
)
def test_unusable_input_is_refused(parts, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Likelihood(**{"datasets": parts, **arguments})


def test_repeated_names_and_mixed_bases_are_refused(make_unbinned, make_linear) -> None:
    with pytest.raises(InputError, match="names must be distinct; repeated: unbinned"):
        Likelihood([make_unbinned(1), make_unbinned(2)])
    other = make_linear(1, operators=("cHW",)).in_basis("smefit")
    with pytest.raises(InputError, match=r"different bases \(unbinned: warsaw, linear: smefit\).*in_basis"):
        Likelihood([make_unbinned(1), other])


def test_a_card_may_list_coefficients_without_effect(parts) -> None:
    likelihood = Likelihood(parts, ["cHW"], fixed={"cll": 0.0})
    assert likelihood.coefficients([0.5]) == {"cHW": 0.5, "cll": 0.0}


def test_arguments_of_the_wrong_kind_are_refused(make_unbinned) -> None:
    d = make_unbinned(1)
    with pytest.raises(InputError, match=r"must be a list of datasets, got Unbinned.*write Likelihood\(\["):
        Likelihood(d)
    with pytest.raises(InputError, match="must be a list of datasets, got 3"):
        Likelihood(3)
    with pytest.raises(InputError, match="must hold datasets only, got 'zh'"):
        Likelihood(["zh"])
    for pair in (1, (1, 2, 3), ("a", 1), None):
        with pytest.raises(InputError, match="range of cHW must be two numbers"):
            Likelihood([d], bounds={"cHW": pair})
    with pytest.raises(InputError, match="bounds must be a mapping"):
        Likelihood([d], bounds=[("cHW", 1)])


def test_the_hessian_in_single_precision_of_torch(make_unbinned, make_linear) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    likelihood, c = Likelihood([make_unbinned(1), make_linear(2)]), [0.1, -0.2, 0.05]
    got = likelihood.hessian(torch.tensor(c, dtype=torch.float32))
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), likelihood.hessian(c), rtol=1e-4, atol=1e-3)
