"""Nuisance parameters in a likelihood: shared by name, constrained, fixed, profiled, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nuisance_double import Counting, counting
from scipy import optimize

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial
from smeft_unbinned.errors import NonPositiveRatio
from smeft_unbinned.polynomial import size
from smeft_unbinned.profiled import ProfiledLikelihood

CARD = {"constraints": {"scale": (0.3, 0.5), "shape": None}}


@pytest.fixture
def parts() -> tuple[Counting, Counting]:
    return counting(1), counting(2, ("cHu", "cHW"), ("shape", "scale"), "others")


def linear_pair(make_linear: Any) -> tuple[GaussianDataset, GaussianDataset, dict[str, np.ndarray]]:
    """Two linear measurements that share one nuisance, and the shifts of both joined."""
    rng, sets, shifts = np.random.default_rng(7), [], {"lumi": np.zeros(0), "own": np.zeros(0)}
    for seed, names in ((1, ("lumi",)), (2, ("own", "lumi"))):
        d = make_linear(seed, points=8)
        mine = {k: rng.normal(size=8) for k in names}
        shifts = {k: np.append(v, mine.get(k, np.zeros(8))) for k, v in shifts.items()}
        sets.append(
            GaussianDataset(f"d{seed}", d.data, d.theory, d.covariance, basis="warsaw", nuisances=mine)
        )
    return sets[0], sets[1], shifts


def test_one_name_is_one_parameter(parts: Any) -> None:
    likelihood = Likelihood(parts)
    assert likelihood.operators == ("cHW", "cHq3", "cHu")
    assert likelihood.nuisances == ("scale", "lumi", "shape")
    assert likelihood.parameters == (*likelihood.operators, *likelihood.nuisances)
    assert likelihood.constraints == dict.fromkeys(likelihood.nuisances, (0.0, 1.0))
    p = {"cHW": 0.2, "cHq3": -0.1, "cHu": 0.3, "scale": 0.7, "lumi": -1.2, "shape": 0.4}
    own = {d.name: float(d.m2logl({n: p[n] for n in d.parameters})) for d in parts}
    own["constraints"] = 0.7**2 + 1.2**2 + 0.4**2
    assert likelihood.terms(p) == pytest.approx(own)
    assert likelihood.m2logl(p) == pytest.approx(sum(own.values()))
    assert likelihood.coefficients(p) == pytest.approx(p)


def test_constraints_have_centre_and_error_or_are_none(parts: Any) -> None:
    likelihood = Likelihood(parts, **CARD)
    p = {"scale": 0.7, "lumi": -1.2, "shape": 0.4}
    expected = ((0.7 - 0.3) / 0.5) ** 2 - (0.3 / 0.5) ** 2 + 1.2**2
    assert likelihood.terms(p)["constraints"] == pytest.approx(expected)
    assert likelihood.m2logl({}) == pytest.approx(0.0, abs=1e-12)
    free = Likelihood(parts, constraints=dict.fromkeys(("scale", "lumi", "shape")))
    assert free.terms(p)["constraints"] == 0.0


def test_fixed_nuisances_are_a_slice(parts: Any) -> None:
    whole = Likelihood(parts, **CARD)
    likelihood = Likelihood(parts, fixed={"scale": 0.4, "cHu": 0.1}, bounds={"lumi": (-1, 1)}, **CARD)
    assert likelihood.parameters == ("cHW", "cHq3", "lumi", "shape")
    rest = {"cHW": 0.2, "cHq3": -0.3, "lumi": 0.1, "shape": -0.2}
    assert likelihood.m2logl(rest) == pytest.approx(float(whole.m2logl({**rest, "scale": 0.4, "cHu": 0.1})))
    assert likelihood.coefficients(rest) == pytest.approx({**rest, "scale": 0.4, "cHu": 0.1})
    assert likelihood.bounds == {"lumi": (-1, 1)}


def test_only_keeps_the_nuisances(parts: Any) -> None:
    whole = Likelihood(parts, bounds={"cHW": (-1, 1), "shape": (-3, 3)}, **CARD)
    one = whole.only(["cHu"])
    assert one.parameters == ("cHu", "scale", "lumi", "shape")
    assert (one.bounds, one.constraints) == ({"shape": (-3, 3)}, whole.constraints)
    p = {"cHu": 0.2, "scale": 0.7, "shape": -0.2}
    assert one.m2logl(p) == pytest.approx(float(whole.m2logl(p)))


def test_a_shared_nuisance_correlates_as_a_joint_covariance_does(make_linear: Any) -> None:
    a, b, shifts = linear_pair(make_linear)
    profiled = Likelihood([a, b]).profiled()
    full = np.zeros((16, 16))
    full[:8, :8], full[8:, 8:] = a.covariance, b.covariance
    full += sum(np.outer(s, s) for s in shifts.values())
    theory = Polynomial(a.operators, np.concatenate([a.theory.coefficients, b.theory.coefficients]))
    joint = GaussianDataset("joint", np.append(a.data, b.data), theory, full, basis="warsaw")
    c = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(profiled.m2logl(c), joint.m2logl(c), rtol=1e-10)
    np.testing.assert_allclose(profiled.gradient(c), joint.gradient(c), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(profiled.hessian(c), joint.hessian(c), rtol=1e-9, atol=1e-9)
    assert profiled.unconverged == 0
    terms = profiled.terms(c)
    assert set(terms) == {"d1", "d2", "constraints"}
    np.testing.assert_allclose(sum(terms.values()), joint.m2logl(c), rtol=1e-9)


@pytest.mark.parametrize("constraints", [{}, {"scale": (0.5, 0.3), "lumi": None}])
def test_profiling_equals_a_minimisation_by_scipy(constraints: Any, parts: Any) -> None:
    likelihood = Likelihood(parts, constraints=constraints)
    profiled = likelihood.profiled()
    assert (profiled.parameters, profiled.nuisances) == (likelihood.operators, ())
    c = 0.4 * np.random.default_rng(3).normal(size=(2, 3, 3))
    values = profiled.m2logl(c)
    assert values.shape == (2, 3)

    def lowest(x: np.ndarray) -> Any:
        found = optimize.minimize(
            lambda t: likelihood.m2logl(np.append(x, t)),
            np.zeros(3),
            jac=lambda t: likelihood.gradient(np.append(x, t))[3:],
            method="BFGS",
            options={"gtol": 1e-8},
        )
        return found.fun, found.x

    zero = lowest(np.zeros(3))[0]
    theta = profiled.at(c)
    assert list(theta) == ["scale", "lumi", "shape"]
    for index in np.ndindex(2, 3):
        value, place = lowest(c[index])
        assert values[index] == pytest.approx(value - zero, abs=1e-8)
        np.testing.assert_allclose([theta[n][index] for n in theta], place, atol=1e-6)
    assert profiled.m2logl(np.zeros(3)) == pytest.approx(0.0, abs=1e-12)
    assert profiled.unconverged == 0


def test_far_starts_converge_and_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates that have to move by a factor of a thousand, without any constraint."""
    yields = Polynomial(["cHW"], [[100.0, 50.0, 50.0], [80.0, -20.0, 40.0]])
    d = Counting("far", yields, [100_000.0, 80.0], {"up": [1.0, 0.0], "down": [0.2, -0.5]})
    profiled = Likelihood([d], constraints={"up": None, "down": None}).profiled()
    c = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_allclose(profiled.m2logl(c), 0.0, atol=1e-8)  # two nuisances fit two bins exactly
    assert profiled.unconverged == 0
    monkeypatch.setattr("smeft_unbinned.newton.QUASI", 0)
    assert profiled.m2logl(c) == pytest.approx(np.zeros(7), abs=1e-8)  # by Newton's method alone
    assert profiled.unconverged == 0
    monkeypatch.setattr("smeft_unbinned.newton.MOST", 1)
    assert np.all(np.isfinite(profiled.m2logl(c)))
    assert profiled.unconverged == 6  # the search starts at the minimum of the SM


def test_the_zero_of_a_profile_is_the_sm_whatever_is_fixed(parts: Any) -> None:
    profiled = Likelihood(parts).profiled()
    part = Likelihood(parts, fixed={"cHu": 0.3}).profiled()
    assert part.m2logl([0.1, 0.2]) == pytest.approx(float(profiled.m2logl([0.1, 0.2, 0.3])))
    assert part.only(["cHW"]).m2logl([0.1]) == pytest.approx(float(profiled.m2logl([0.1, 0.0, 0.3])))
    dependent = Likelihood(parts, dependent={"cHu": {"cHW": 2.0}}).profiled()
    assert dependent.m2logl([0.1, 0.2]) == pytest.approx(float(profiled.m2logl([0.1, 0.2, 0.2])))
    values = part.coefficients([0.1, 0.2])
    assert set(values) == {"cHW", "cHq3", "cHu", "scale", "lumi", "shape"}
    assert {k: float(values[k]) for k in ("scale", "lumi")} == pytest.approx(
        {k: float(x) for k, x in part.at([0.1, 0.2]).items() if k != "shape"}
    )
    assert profiled.profiled() is profiled


def test_a_likelihood_without_nuisances_profiles_to_itself(make_unbinned: Any) -> None:
    likelihood = Likelihood([make_unbinned(1)])
    profiled = likelihood.profiled()
    assert isinstance(profiled, ProfiledLikelihood)
    c = np.random.default_rng(2).normal(size=(4, 3)) * 0.2
    for name in ("m2logl", "gradient", "hessian"):
        np.testing.assert_allclose(getattr(profiled, name)(c), getattr(likelihood, name)(c), rtol=1e-12)
    assert profiled.at(c) == {}
    assert set(likelihood.terms(c)) == {"unbinned"}


def test_a_response_without_minimum_is_refused() -> None:
    """Two counts that an unconstrained nuisance can make as likely as it wants."""
    d = Counting("open", Polynomial(["cHW"], [[10.0, 1.0, 1.0]]), [20.0], {"up": [0.0]}, {"up": [0.0]})
    assert np.isfinite(Likelihood([d]).profiled().m2logl([0.3]))
    d.gradient = lambda p: np.ones((*np.shape(p)[:-1], 2))  # falls for ever
    d.m2logl = lambda p: np.asarray(p)[..., 1]
    with pytest.raises(InputError, match=r"has no minimum over the nuisances at the SM .*up = .*constrain"):
        Likelihood([d], constraints={"up": None}).profiled()


def test_jax_differentiates_a_profile_twice(parts: Any, x64: None) -> None:
    import jax

    profiled = Likelihood(parts, **CARD).profiled()
    c = np.array([0.2, -0.1, 0.3])
    x = jax.numpy.asarray(c)
    assert float(jax.jit(profiled.m2logl)(x)) == pytest.approx(float(profiled.m2logl(c)), rel=1e-10)
    np.testing.assert_allclose(jax.jit(jax.grad(profiled.m2logl))(x), profiled.gradient(c), rtol=1e-8)
    np.testing.assert_allclose(jax.jit(jax.hessian(profiled.m2logl))(x), profiled.hessian(c), rtol=1e-7)
    many = np.stack([c, -c, 2 * c])
    traced = jax.jit(jax.vmap(profiled.m2logl))(jax.numpy.asarray(many))
    np.testing.assert_allclose(traced, profiled.m2logl(many), rtol=1e-10)


def test_torch_differentiates_a_profile_twice(parts: Any) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    profiled = Likelihood(parts, **CARD).profiled()
    c = torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(profiled.m2logl(c), c, create_graph=True)
    np.testing.assert_allclose(slope.detach(), profiled.gradient(c.detach().numpy()), rtol=1e-8)
    rows = [torch.autograd.grad(x, c, retain_graph=True)[0] for x in slope]
    np.testing.assert_allclose(torch.stack(rows), profiled.hessian(c.detach().numpy()), rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"constraints": {"scal": (0, 1)}}, "'scal', not a nuisance parameter; known are scale, lumi, shape. "
                                            "Did you mean 'scale'"),
        ({"constraints": {"cHW": (0, 1)}}, "'cHW', not a nuisance parameter"),
        ({"constraints": {"scale": (0, 0)}}, r"scale must be \(centre, error\) with .*got \(0, 0\)"),
        ({"constraints": {"scale": (0, -1)}}, "error > 0"),
        ({"constraints": {"scale": (np.nan, 1)}}, "error > 0"),
        ({"constraints": {"scale": 3}}, "error > 0, or None, got 3"),
        ({"constraints": {"scale": (1, 2, 3)}}, "error > 0"),
        ({"constraints": ["scale"]}, "constraints must be a mapping"),
        ({"fixed": {"scale": np.inf}}, "scale must be a finite number"),
        ({"fixed": {"scal": 0.0}}, "scal is fixed or dependent, but no dataset"),
        ({"dependent": {"scale": {"cHW": 1.0}}}, "scale is a nuisance parameter of one dataset and"),
        ({"operators": ["cHW", "scale"]}, "scale is a nuisance parameter of one dataset and an operator"),
        ({"bounds": {"scal": (0, 1)}}, "range is given for 'scal'.*Did you mean 'scale'"),
    ],
)  # fmt: skip
def test_unusable_nuisances_are_refused(parts: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Likelihood(**{"datasets": parts, **arguments})


def test_a_name_has_one_meaning(parts: Any, make_linear: Any) -> None:
    other = counting(3, ("scale",), ("cHW",), "mixed")
    with pytest.raises(InputError, match="scale, cHW is a nuisance parameter of one dataset and an operator"):
        Likelihood([parts[0], other])
    parts[0].name = "constraints"
    with pytest.raises(InputError, match="may be called 'constraints'"):
        Likelihood(parts)
    d = make_linear(1, points=4)
    for shifts, message in (
        ({"cHW": np.ones(4)}, "cHW is an operator and a nuisance"),
        ({"a": np.ones(3)}, "nuisance 'a' must be 4 finite numbers"),
        ({"a": [1, 2, np.nan, 3]}, "nuisance 'a' must be 4 finite numbers"),
    ):
        with pytest.raises(InputError, match=message):
            GaussianDataset("g", d.data, d.theory, d.covariance, basis="warsaw", nuisances=shifts)


def test_strict_raises_where_a_ratio_is_not_positive(x64: None) -> None:
    import jax

    yields = Polynomial(["cHW"], [[10.0, 10.0, 0.0], [10.0, 0.0, 0.0]])
    d = Counting("counts", yields, [9, 11], {"lumi": [0.1, 0.1]})
    loose, strict = Likelihood([d]), Likelihood([d], strict=True)
    assert loose.m2logl([0.5, 0.1]) == strict.m2logl([0.5, 0.1])
    assert np.isfinite(loose.m2logl([-2.0, 0.1]))
    for method in (strict.m2logl, strict.gradient, strict.hessian, strict.terms, strict.only(["cHW"]).m2logl):
        with pytest.raises(NonPositiveRatio, match=r"'counts': 1 events .* at cHW = -2, lumi = 0\.1; keep"):
            method(np.array([[0.5, 0.0], [-2.0, 0.1]]))
    with pytest.raises(NonPositiveRatio, match="at cHW = -2"):
        strict.profiled().m2logl([-2.0])
    with pytest.raises(InputError, match="strict=True needs numpy points"):
        strict.m2logl(jax.numpy.asarray([0.5, 0.1]))


def test_constraint_terms_have_the_shape_of_the_point() -> None:
    theory = np.zeros((2, size(1)))
    theory[:, 1] = 1.0
    d = GaussianDataset("g", [1.0, 2.0], Polynomial(["OpW"], theory), np.eye(2), nuisances={"a": [1.0, -1.0]})
    likelihood = Likelihood([d], constraints={"a": None})
    for shape in ((), (3,), (2, 3), (0,)):
        assert likelihood.terms(np.zeros((*shape, 2)))["constraints"].shape == shape
        assert likelihood.hessian(np.zeros((*shape, 2))).shape == (*shape, 2, 2)
        assert likelihood.profiled().m2logl(np.zeros((*shape, 1))).shape == shape
