"""Every ensemble: weights that hang on seed and number alone, groups kept whole, and how members repel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from smeft_unbinned import InputError
from smeft_unbinned.estimators.ensembles import ENSEMBLES, Bootstrap, Ensemble, Independent, Repulsive, Seeds
from smeft_unbinned.estimators.ensembles.repulsive import log_density

REPLICAS, SEED = 5, 11
every_ensemble = pytest.mark.parametrize(
    "ensemble", [entry(replicas=REPLICAS) for entry in ENSEMBLES.values()], ids=list(ENSEMBLES)
)
GROUPS = np.repeat(np.arange(400), np.random.default_rng(1).integers(1, 4, size=400))


@every_ensemble
def test_a_member_is_the_same_whichever_others_are_wanted(ensemble: Ensemble) -> None:
    whole = ensemble.weights(GROUPS, range(REPLICAS), SEED)
    assert whole.shape == (len(GROUPS), REPLICAS)
    np.testing.assert_array_equal(ensemble.weights(GROUPS, [3], SEED), whole[:, [3]])
    np.testing.assert_array_equal(ensemble.weights(GROUPS, [4, 1], SEED), whole[:, [4, 1]])


@every_ensemble
def test_weights_are_not_negative_and_copies_of_an_event_stay_together(ensemble: Ensemble) -> None:
    weights = ensemble.weights(GROUPS, range(REPLICAS), SEED)
    assert np.all(weights >= 0)
    first = np.unique(GROUPS, return_index=True)[1]
    np.testing.assert_array_equal(weights, weights[first][GROUPS])


@every_ensemble
def test_weights_hang_on_the_seed_where_they_are_random(ensemble: Ensemble) -> None:
    a, b, c = (ensemble.weights(GROUPS, range(REPLICAS), seed) for seed in (SEED, SEED, SEED + 1))
    np.testing.assert_array_equal(a, b)
    assert np.array_equal(a, c) == (ensemble.name in ("seeds", "repulsive"))


@every_ensemble
def test_no_global_random_numbers_of_torch_are_used(ensemble: Ensemble) -> None:
    state = torch.random.get_rng_state()
    ensemble.weights(GROUPS, range(REPLICAS), SEED)
    ensemble.repulsion(torch.zeros(REPLICAS, 3, 2), torch.ones(REPLICAS), 10)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_bootstrap_weights_are_poisson() -> None:
    n = 40_000
    weights = Bootstrap(replicas=3).weights(np.arange(n), range(3), SEED)
    for column in weights.T:
        assert column.mean() == pytest.approx(1.0, abs=5 / math.sqrt(n))
        assert column.var() == pytest.approx(1.0, abs=5 * math.sqrt(3 / n))  # fourth central moment 4
        for k in range(4):
            p = math.exp(-1) / math.factorial(k)
            assert np.mean(column == k) == pytest.approx(p, abs=5 * math.sqrt(p / n))
    assert np.all(np.abs(np.corrcoef(weights.T)[np.triu_indices(3, 1)]) < 5 / math.sqrt(n))


def test_a_single_member_of_a_bootstrap_sees_every_event_once() -> None:
    np.testing.assert_array_equal(Bootstrap(replicas=1).weights(GROUPS, [0], SEED), 1.0)


def test_independent_shares_are_disjoint_cover_all_and_are_even() -> None:
    groups = np.arange(1003)
    weights = Independent(replicas=4).weights(groups, range(4), SEED)
    np.testing.assert_array_equal(weights.sum(axis=1), 1.0)
    assert set(np.unique(weights)) == {0.0, 1.0}
    assert sorted(weights.sum(axis=0)) == [250, 251, 251, 251]


@pytest.mark.parametrize("ensemble", [Seeds(replicas=3), Repulsive(replicas=3)], ids=repr)
def test_other_members_see_all_events(ensemble: Ensemble) -> None:
    np.testing.assert_array_equal(ensemble.weights(GROUPS, range(3), SEED), 1.0)


@pytest.mark.parametrize("ensemble", [Bootstrap(), Independent(), Seeds()], ids=repr)
def test_uncoupled_members_do_not_repel(ensemble: Ensemble) -> None:
    assert not ensemble.coupled
    assert ensemble.repulsion(torch.randn(10, 4, 2), torch.ones(10), 100) is None


def outputs(members: int = 4, seed: int = 2) -> torch.Tensor:
    return torch.randn(members, 3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def width(f: np.ndarray) -> float:
    """The square of the median distance (the lower of two) over log(M + 1)."""
    pairs = sorted(np.linalg.norm(a - b) for k, a in enumerate(f) for b in f[k + 1 :] for _ in range(2))
    return float(pairs[(len(pairs) - 1) // 2] ** 2 / np.log(len(f) + 1.0))


def test_the_repulsion_moves_a_member_against_the_others_held_fixed() -> None:
    """Finite differences of log sum_j k(f_m, f_j), in which only f_m moves and the width stays."""
    f = outputs().requires_grad_()
    value = log_density(f)
    (found,) = torch.autograd.grad(value.sum(), f)
    flat = f.detach().numpy().reshape(len(f), -1)
    h = width(flat)

    def density(m: int, x: np.ndarray) -> float:
        return float(np.log(sum(np.exp(-np.sum((x - other) ** 2) / h) for other in flat)))

    for m in range(len(flat)):
        assert float(value[m].detach()) == pytest.approx(density(m, flat[m]), rel=1e-9)
        for k in range(flat.shape[1]):
            step = 1e-6 * np.eye(flat.shape[1])[k]
            others = density(m, flat[m] + step) - density(m, flat[m] - step)
            # the member itself is one of the j, held fixed too
            assert float(found.reshape(len(f), -1)[m, k]) == pytest.approx(others / 2e-6, rel=1e-5, abs=1e-7)


def test_the_gradient_is_that_of_the_kernel_density() -> None:
    """sum_j grad k(f, f_j) / sum_j k(f, f_j) with grad k = -2 (f - f_j)/h k (arXiv:2106.11642)."""
    f = outputs(3).requires_grad_()
    (found,) = torch.autograd.grad(log_density(f).sum(), f)
    flat = f.detach().numpy().reshape(3, -1)
    h = width(flat)
    for m in range(3):
        k = np.array([np.exp(-np.sum((flat[m] - other) ** 2) / h) for other in flat])
        expected = -2 / h * (k[:, None] * (flat[m] - flat)).sum(axis=0) / k.sum()
        np.testing.assert_allclose(found.detach().reshape(3, -1)[m], expected, rtol=1e-8)


def test_close_members_are_pushed_apart() -> None:
    f = outputs(3)
    f[1] = f[0] + 0.01 * torch.ones(3, 2)
    f = f.requires_grad_()
    Repulsive(replicas=3).repulsion(f, torch.ones(3), 100).sum().backward()
    with torch.no_grad():
        moved = f - f.grad
    before, after = (float((g[0] - g[1]).norm()) for g in (f.detach(), moved))
    assert after > before


def test_members_that_agree_exactly_give_finite_numbers() -> None:
    f = torch.zeros(3, 2, 2, requires_grad=True)
    Repulsive(replicas=3).repulsion(f, torch.ones(3), 100).sum().backward()
    assert f.grad is not None
    assert torch.isfinite(f.grad).all()


def test_the_repulsion_has_the_weight_of_a_likelihood() -> None:
    """2 L/N times the strength, for the loss L of each member and N events."""
    f, losses = outputs(), torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    found = Repulsive(replicas=4, strength=3.0).repulsion(f, losses, 200)
    np.testing.assert_allclose(found, 3.0 * 2 * losses.detach() / 200 * log_density(f), rtol=1e-12)
    assert not found.requires_grad  # the loss sets the weight and is not changed by it
    assert Repulsive(replicas=4).coupled


@pytest.mark.parametrize("name", list(ENSEMBLES))
def test_an_ensemble_without_members_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="replicas must be at least 1, got 0"):
        ENSEMBLES[name](replicas=0)


def test_unusable_repulsion_is_refused() -> None:
    for options, found in (({"replicas": 1}, "1 and 1.0"), ({"strength": 0.0}, "10 and 0.0")):
        with pytest.raises(InputError, match=f"at least 2 replicas and a positive strength, got {found}"):
            Repulsive(**options)
    with pytest.raises(InputError, match="positive strength"):
        Repulsive(strength=float("nan"))


def test_too_few_events_to_deal_out_are_refused() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 4])
    Independent(replicas=2).weights(groups, [0, 1], 1)
    with pytest.raises(InputError, match="5 events are too few to be dealt out to 3 members; take fewer"):
        Independent(replicas=3).weights(groups, [0], 1)
