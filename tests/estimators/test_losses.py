"""Every loss is smallest where the ratio is the mean of the rates, E[R(z|c)|x]: closed forms, small toys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from smeft_unbinned import InputError
from smeft_unbinned.estimators.data import Data, Labels, Masks, Points
from smeft_unbinned.estimators.heads import HEADS, Head, Linear, Quadratic, Squares
from smeft_unbinned.estimators.losses import LOSSES, Derivative, Loss, Ratio
from smeft_unbinned.estimators.losses import base as losses
from smeft_unbinned.estimators.losses.alice import Alice
from smeft_unbinned.estimators.losses.cascal import Cascal
from smeft_unbinned.estimators.losses.cross_entropy import CrossEntropy
from smeft_unbinned.estimators.losses.decomposed import Decomposed
from smeft_unbinned.estimators.losses.derivative import spreads
from smeft_unbinned.estimators.losses.multiclass import Multiclass
from smeft_unbinned.estimators.losses.quadratic_classifier import QuadraticClassifier
from smeft_unbinned.estimators.sources import Pooled, Reweighting

M, B, N = 2, 9, 2  # members, events, coefficients
SOURCES = {
    "drawn by effect": Reweighting(),
    "gaussian prior": Reweighting(torch.tensor([0.7, 0.4])),
    "uniform prior": Reweighting(torch.tensor([0.7, 0.4]), "uniform"),
}
every_loss = pytest.mark.parametrize("loss", [entry() for entry in LOSSES.values()], ids=list(LOSSES))


def labels_of(events: int, seed: int = 1) -> Labels:
    """Rates (1 + a_1 . u)^2 + (a_2 . u)^2 + 0.3 u^2, which stay positive."""
    a = 0.4 * torch.randn(events, 2, N, generator=torch.Generator().manual_seed(seed))
    return Labels(2 * a[:, 0], a.transpose(1, 2) @ a + 0.3 * torch.eye(N))


def data_of(events: int, seed: int = 1, members: int = 1) -> Data:
    """Events of several kinds: features, growth, weights and labels of their own."""
    g = torch.Generator().manual_seed(seed + 100)
    growth = 0.5 + torch.rand(events, N, generator=g)
    weights = 0.2 + 1.6 * torch.rand(events, members, generator=g)
    return Data(torch.randn(events, 3, generator=g), growth, weights, labels_of(events, seed))


def at_one_x(events: int = 6) -> Data:
    """Events with the same features, so that the network sees one x with random rates."""
    data = data_of(events)
    return Data(
        data.inputs[:1].expand(events, -1), data.growth[:1].expand(events, -1), data.weights, data.labels
    )


def packed(linear: Tensor, quadratic: Tensor) -> Tensor:
    """Outputs of the free quadratic head with these terms."""
    rows, columns = torch.triu_indices(N, N)
    return torch.cat([linear, quadratic[..., rows, columns] * torch.where(rows == columns, 1.0, 2.0)], dim=-1)


class SamePoints:
    """Random numbers of torch with the same values for every event, and coins that all show `coin`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.coin = 0.0
        for name in ("rand", "randn"):
            monkeypatch.setattr(torch, name, self._same(getattr(torch, name)))

    def _same(self, draw):
        def function(*size: int | torch.Size, generator: torch.Generator) -> Tensor:
            shape = torch.empty(*size, device="meta").shape
            if len(shape) == 2:
                return torch.full(shape, self.coin)
            return draw(1, *shape[1:], generator=generator).expand(*shape)

        return function


def mean_loss(
    loss: Loss, head: Head, data: Data, source: Reweighting, outputs: Tensor, coins: SamePoints
) -> Tensor:
    """The weighted mean loss of one member with the same outputs (K,) for every event."""
    function = loss.bind(data, source)
    total = torch.zeros(())
    for coins.coin in (0.0, 0.9):  # both sides of the coins of hard labels
        ratio = Ratio(head, outputs.expand(1, len(data), -1), N)
        values = function(ratio, data, torch.Generator().manual_seed(3))
        total = total + (values[0] * data.weights[:, 0]).mean() / 2
    return total


@pytest.mark.parametrize("source", list(SOURCES.values()), ids=list(SOURCES))
@every_loss
def test_the_loss_is_smallest_at_the_mean_rate(
    loss: Loss, source: Reweighting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights w and one x, the gradient by the outputs vanishes at sum w R / sum w."""
    if hasattr(loss, "draws"):
        loss = type(loss)(**{**vars(loss), "draws": 12})
    coins, data = SamePoints(monkeypatch), at_one_x()
    assert data.labels is not None
    w = data.weights[:, 0] / data.weights[:, 0].sum()
    linear = (w[:, None] * data.labels.linear).sum(0)
    quadratic = (w[:, None, None] * data.labels.quadratic).sum(0)
    head = HEADS["linear" if {*loss.heads} == {"linear"} else "quadratic"]()
    best = linear if head.linear_only else packed(linear, quadratic)
    at_best = best.clone().requires_grad_()
    lowest = mean_loss(loss, head, data, source, at_best, coins)
    (slope,) = torch.autograd.grad(lowest, at_best)
    directions = torch.randn(5, len(best), generator=torch.Generator().manual_seed(8)).numpy()
    for direction in directions:
        away = (best + 0.1 * torch.as_tensor(direction)).requires_grad_()
        higher = mean_loss(loss, head, data, source, away, coins)
        (steep,) = torch.autograd.grad(higher, away)
        assert higher > lowest
        assert slope.norm() < 2e-4 * steep.norm()


@every_loss
def test_losses_come_per_member_and_event(loss: Loss) -> None:
    head, data = HEADS[loss.heads[0]](), data_of(B, members=M)
    outputs = 0.1 * torch.randn(M, B, head.outputs(N), generator=torch.Generator().manual_seed(1))
    values = loss.bind(data, Reweighting())(Ratio(head, outputs, N), data, torch.Generator().manual_seed(2))
    assert values.shape == (M, B)
    assert torch.isfinite(values).all()
    for m in range(M):  # no member sees another
        one = loss.bind(data, Reweighting())(
            Ratio(head, outputs[m : m + 1], N), data, torch.Generator().manual_seed(2)
        )
        np.testing.assert_allclose(values[m], one[0], rtol=1e-5)


@pytest.mark.parametrize(("loss", "head"), [(e(), head) for e in LOSSES.values() for head in e.heads])
def test_minibatches_of_each_member_are_those_shared(loss: Loss, head: str) -> None:
    entry, data = HEADS[head](), data_of(B, members=M)
    function = loss.bind(data, Reweighting())
    index = torch.stack([torch.randperm(B, generator=torch.Generator().manual_seed(m))[:4] for m in range(M)])
    own = data.own(index)
    assert own.inputs.shape == (M, 4, 3)
    assert own.growth.shape == (M, 4, N)
    assert own.weights.shape == (M, 4)
    outputs = 0.1 * torch.randn(M, 4, entry.outputs(N), generator=torch.Generator().manual_seed(1))
    values = function(Ratio(entry, outputs, N), own, torch.Generator().manual_seed(2))
    assert values.shape == (M, 4)
    for m in range(M):
        part = data.take(index[m])
        one = function(Ratio(entry, outputs[m : m + 1], N), part, torch.Generator().manual_seed(2))
        np.testing.assert_allclose(values[m], one[0], rtol=1e-5)
        np.testing.assert_array_equal(own.weights[m], part.weights[:, m])


@pytest.mark.parametrize("loss", [e() for e in LOSSES.values() if "quadratic" in e.heads], ids=repr)
def test_ratios_that_turn_negative_are_pushed_back(loss: Loss) -> None:
    """A free ratio far below zero gives a finite loss, and more of it a smaller one."""
    head, data = Quadratic(), data_of(B)
    outputs = packed(torch.zeros(1, B, N), -30.0 * torch.eye(N).expand(1, B, N, N)).requires_grad_()
    loss_value = loss.bind(data, Reweighting())(
        Ratio(head, outputs, N), data, torch.Generator().manual_seed(2)
    )
    (gradient,) = torch.autograd.grad(loss_value.sum(), outputs)
    assert torch.isfinite(loss_value).all()
    assert torch.isfinite(gradient).all()
    diagonal = gradient[..., N:][..., [0, 2]]
    assert torch.all(diagonal.sum(dim=1) < 0)


def test_a_relu_cuts_negative_ratios_off() -> None:
    head, data = Quadratic(), data_of(B)
    outputs = packed(torch.zeros(1, B, N), -1e4 * torch.eye(N).expand(1, B, N, N)).requires_grad_()
    function = Decomposed(positivity="relu").bind(data, Reweighting())
    values = function(Ratio(head, outputs, N), data, torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(values.sum(), outputs)
    assert torch.isfinite(values).all()
    assert torch.all(gradient[..., N:][..., [0, 2]] == 0)


def test_events_of_negative_rate_do_not_reward_a_negative_ratio() -> None:
    """Single terms have negative rates; their loss must not fall without bound."""
    points = points_at(1.0, -0.5)
    for name in ("alice", "alices"):
        values = [value_at(LOSSES[name](), r, points) for r in (losses.FLOOR, -1.0, -10.0)]
        assert values[0] < values[1] < values[2], name


# closed forms of the losses


def points_at(r: float, rate: float, sm: float = 1.0) -> Points:
    u = torch.tensor([[[1.0]]])
    ones = torch.ones(1, 1)
    return Points(u, ones, sm * ones, rate * ones, torch.tensor([[[0.7]]]))


def value_at(loss: losses.Pointwise, r: float, points: Points) -> float:
    """The loss of a linear ratio that is r at u = 1, with slope r - 1."""
    ratio = Ratio(Linear(), torch.tensor([[[r - 1.0]]]), 1)
    return float(loss.values(ratio, points, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("r", [0.03, 0.8, 5.0])
@pytest.mark.parametrize("rate", [0.1, 1.0, 4.0])
def test_pointwise_losses_in_closed_form(r: float, rate: float) -> None:
    points = points_at(r, rate)
    entropy = math.log(1 + r) + rate * math.log(1 + 1 / r)
    score = rate * (0.7 - (r - 1) / r) ** 2
    rolr = (rate - r) ** 2 + rate * (1 / rate - 1 / r) ** 2
    f = r / (1 + r)
    expected = {
        "alice": entropy, "alices": entropy + 2 * score, "rolr": rolr, "rascal": rolr + 2 * score,
        "quadratic-classifier": f**2 + rate * (1 - f) ** 2,
    }  # fmt: skip
    for name, value in expected.items():
        loss = LOSSES[name](**({"alpha": 2.0} if name in ("alices", "rascal") else {}))
        assert value_at(loss, r, points) == pytest.approx(value, rel=1e-4), name


def test_hard_labels_are_fair_and_exclusive() -> None:
    n = 40_000
    rate = 3.0 * torch.ones(n, 1)
    points = Points(torch.ones(n, 1, 1), torch.ones(n, 1), torch.ones(n, 1), rate, torch.ones(n, 1, 1))
    hard = losses.hard_labels(points, torch.Generator().manual_seed(1))
    assert torch.all(hard.sm * hard.rate == 0)
    assert float(hard.sm.mean()) == pytest.approx(1.0, abs=5 / math.sqrt(n))
    assert float(hard.rate.mean()) == pytest.approx(3.0, abs=15 / math.sqrt(n))


def test_carl_and_cascal_are_alice_and_alices_in_the_mean_over_coins() -> None:
    n = 20_000
    points = Points(
        torch.ones(n, 1, 1),
        torch.ones(n, 1),
        torch.ones(n, 1),
        2.0 * torch.ones(n, 1),
        0.7 * torch.ones(n, 1, 1),
    )
    ratio = Ratio(Linear(), torch.full((1, n, 1), 0.8), 1)
    for coin, soft in ((CrossEntropy(), Alice()), (Cascal(alpha=0.5), LOSSES["alices"](alpha=0.5))):
        a = coin.values(ratio, points, torch.Generator().manual_seed(1))
        b = soft.values(ratio, points, torch.Generator().manual_seed(1))
        assert float(a.mean()) == pytest.approx(float(b.mean()), abs=6 * float(a.std()) / math.sqrt(n))


def test_the_logarithm_of_a_ratio_goes_on_as_its_tangent() -> None:
    r = torch.tensor([2.0, losses.FLOOR, 0.0, -3.0], requires_grad=True)
    found = losses.log_ratio(r)
    expected = [math.log(2), math.log(1e-3), math.log(1e-3) - 1, math.log(1e-3) - 3001]
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5)
    (slope,) = torch.autograd.grad(found.sum(), r)
    np.testing.assert_allclose(slope[[0, 2, 3]], [0.5, 1000, 1000], rtol=1e-5)


def test_the_squared_error_is_a_mean_of_squares() -> None:
    head, rng = Squares(3), np.random.default_rng(3)
    outputs = torch.as_tensor(rng.normal(size=(M, B, 3 * N))).float()
    lin, quad = rng.normal(size=(B, N)), rng.normal(size=(B, N, N))
    labels = Labels(torch.as_tensor(lin).float(), torch.as_tensor(quad).float())
    weights = rng.uniform(0.5, 1.5, size=(B, 1))
    data = Data(torch.zeros(B, 1), torch.ones(B, N), torch.as_tensor(weights).float(), labels)
    values = Derivative().bind(data, Reweighting())(Ratio(head, outputs, N), data, torch.Generator())
    w = weights[:, 0] / weights.sum()
    rms, size = np.sqrt(w @ lin**2), np.sqrt(w @ np.diagonal(quad, axis1=1, axis2=2) ** 2)
    for m, e in np.ndindex(M, B):
        a = outputs[m, e].reshape(3, N).numpy().astype(float)
        first = np.mean([((2 * a[0, i] - lin[e, i]) / rms[i]) ** 2 for i in range(N)])
        square = a.T @ a
        pairs = [(i, j) for i in range(N) for j in range(N)]
        second = np.mean([(square[i, j] - quad[e, i, j]) ** 2 / (size[i] * size[j]) for i, j in pairs])
        assert float(values[m, e]) == pytest.approx(first + second, rel=1e-4)


def test_the_normalisation_is_the_weighted_rms_with_a_floor() -> None:
    lin = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    quad = torch.zeros(2, 2, 2)
    quad[:, 0, 0] = torch.tensor([1.0, 7.0])
    rms, size = spreads(Labels(lin, quad), torch.tensor([1.0, 3.0]))
    assert rms[0] == pytest.approx(np.sqrt((9 + 3 * 16) / 4))
    assert size[0] == pytest.approx(np.sqrt((1 + 3 * 49) / 4))
    assert 0 < rms[1] < rms[0]
    assert 0 < size[1] < size[0]


# separate samples: x in {0, 1, 2}, with the exact number of events that each sample has there

LINEAR = np.array([[0.5, -0.3], [-0.4, 0.2], [0.1, 0.6]])
QUADRATIC = np.array([[[0.6, 0.1], [0.1, 0.3]], [[0.2, -0.1], [-0.1, 0.5]], [[0.4, 0.2], [0.2, 0.9]]])
DENSITY = np.array([0.5, 0.3, 0.2])
GROWTH = np.array([[0.7, 1.5], [1.0, 1.0], [1.3, 0.8]])


def discrete(theta: np.ndarray, linear: np.ndarray, quadratic: np.ndarray) -> tuple[Data, Pooled, np.ndarray]:
    """Data, source and rates (D, 3) of samples at theta (D, 2), made with the terms in the masks."""
    first = np.einsum("di,xi,d->dx", theta, LINEAR, linear)
    second = np.einsum("di,xij,dij,dj->dx", theta, QUADRATIC, quadratic, theta)
    rates = 1 + first + second
    assert np.all(rates > 0)
    per_sample = DENSITY * np.concatenate([np.ones((1, 3)), rates])
    x = np.tile(np.arange(3), len(per_sample))
    kind = np.repeat(np.arange(len(per_sample)), 3)
    data = Data(
        torch.as_tensor(x), torch.as_tensor(GROWTH[x]), torch.as_tensor(per_sample.reshape(-1, 1)), None,
        torch.as_tensor(kind),
    )  # fmt: skip
    sigma = per_sample.sum(axis=1)
    full = bool(np.all(linear == 1) and np.all(quadratic == 1))
    masks = None if full else Masks(torch.as_tensor(linear), torch.as_tensor(quadratic))
    return data, Pooled(torch.as_tensor(theta), torch.as_tensor(sigma[0] / sigma[1:]), masks), rates


def solved(loss: Loss, head: Head, data: Data, source: Pooled) -> Tensor:
    """The outputs (3, K) at the three x that make the loss smallest."""
    start = torch.randn(3, head.outputs(N), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    outputs = (0.1 * start).requires_grad_()
    function = loss.bind(data, source)
    optimiser = torch.optim.LBFGS(
        [outputs], max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        ratio = Ratio(head, outputs[data.inputs][None], N)
        value = (function(ratio, data, torch.Generator()) * data.weights.T).sum()
        value.backward()
        return value

    optimiser.step(closure)
    return outputs.detach()


@pytest.mark.parametrize("head", ["squares", "quadratic", "morphing"])
@pytest.mark.parametrize("loss", [CrossEntropy(), Multiclass(), QuadraticClassifier()], ids=lambda e: e.name)
def test_separate_samples_give_the_ratio_of_densities(loss: Loss, head: str) -> None:
    """Six points fix all five coefficients of the ratio at every x."""
    theta = np.array([[1.0, 0.0], [-1.5, 0.0], [0.0, 1.0], [0.0, -1.2], [0.8, 0.9], [-0.7, 1.1]])
    data, source, rates = discrete(theta, np.ones(6), np.ones((6, N, N)))
    entry = HEADS[head]()
    outputs = solved(loss, entry, data, source)
    u = torch.as_tensor(theta[None] * GROWTH[:, None])
    np.testing.assert_allclose(entry.ratio(outputs[None], u)[0].T, rates, rtol=1e-4)
    linear, quadratic = entry.terms(outputs, N)
    np.testing.assert_allclose(linear * torch.as_tensor(GROWTH), LINEAR, atol=1e-3)
    both = torch.as_tensor(GROWTH[:, :, None] * GROWTH[:, None, :])
    np.testing.assert_allclose(quadratic * both, QUADRATIC, atol=1e-3)


@pytest.mark.parametrize(("positivity", "tolerance"), [("penalty", 1e-3), ("relu", 6e-3)])
def test_samples_of_single_terms_give_each_coefficient(positivity: str, tolerance: float) -> None:
    """A ReLU adds 1e-3 to the ratio, here at coefficients of 0.5 or more."""
    theta = np.array([[0.8, 0.0], [0.0, 0.8], [1.5, 0.0], [0.0, 1.5], [1.0, 1.0]])
    cross = 1 - np.eye(N)
    masks = np.stack([np.zeros((N, N)), np.zeros((N, N)), np.eye(N), np.eye(N), cross])
    data, source, _ = discrete(theta, np.array([1.0, 1, 0, 0, 0]), masks)
    outputs = solved(Decomposed(positivity=positivity), Quadratic(), data, source)
    linear, quadratic = Quadratic().terms(outputs, N)
    both = torch.as_tensor(GROWTH[:, :, None] * GROWTH[:, None, :])
    np.testing.assert_allclose(linear * torch.as_tensor(GROWTH), LINEAR, atol=tolerance)
    np.testing.assert_allclose(quadratic * both, QUADRATIC, atol=tolerance)


def test_linear_samples_give_the_linear_head() -> None:
    theta = np.array([[0.8, 0.0], [0.0, 0.8]])
    data, source, _ = discrete(theta, np.ones(2), np.zeros((2, N, N)))
    outputs = solved(Decomposed(), Linear(), data, source)
    np.testing.assert_allclose(outputs * torch.as_tensor(GROWTH), LINEAR, atol=1e-3)


def test_decomposed_samples_need_to_say_their_terms() -> None:
    data, source, _ = discrete(np.array([[1.0, 0.0]]), np.ones(1), np.ones((1, N, N)))
    with pytest.raises(InputError, match=r"needs a sample per term of the rate .*take loss='carl'"):
        Decomposed().bind(data, source)


@pytest.mark.parametrize("name", [n for n, entry in LOSSES.items() if "draws" in entry.__dataclass_fields__])
def test_losses_need_at_least_one_point(name: str) -> None:
    with pytest.raises(InputError, match="draws must be at least 1, got 0"):
        LOSSES[name](draws=0)


def test_the_positivity_is_one_of_two() -> None:
    with pytest.raises(InputError, match="positivity is 'penalty' or 'relu', got 'clip'"):
        Decomposed(positivity="clip")


def test_each_loss_says_which_heads_it_trains() -> None:
    for name, entry in LOSSES.items():
        assert entry.name == name
        assert entry.heads
        assert set(entry.heads) <= set(HEADS), name
    assert {n for n in LOSSES.own if not LOSSES[n].needs_truth} == {
        "carl", "multiclass", "decomposed", "quadratic-classifier",
    }  # fmt: skip
    assert {n for n in LOSSES.own if LOSSES[n].regression} == {"derivative", "sally"}


# where points are drawn


@pytest.mark.parametrize("source", list(SOURCES.values()), ids=list(SOURCES))
def test_the_rates_at_drawn_points_are_those_of_the_truth(source: Reweighting) -> None:
    data = data_of(B)
    assert data.labels is not None
    points = source.points(data, 4, torch.Generator().manual_seed(1))
    assert points.u.shape == (B, 4, N)
    assert points.rate.shape == points.size.shape == (B, 4)
    assert points.score is not None
    for e, d in np.ndindex(B, 4):
        u, lin, quad = points.u[e, d].numpy(), data.labels.linear[e].numpy(), data.labels.quadratic[e].numpy()
        rate = 1 + lin @ u + u @ quad @ u
        assert float(points.rate[e, d]) == pytest.approx(rate, rel=1e-4)
        assert float(points.size[e, d]) == pytest.approx(1 / (1 + u @ u), rel=1e-5)
        np.testing.assert_allclose(points.score[e, d], (lin + 2 * quad @ u) / rate, rtol=1e-4, atol=1e-5)


def test_a_prior_has_its_width() -> None:
    n, widths = 20_000, np.array([0.7, 0.4])
    growth = torch.tensor([[2.0, 3.0]]).expand(n, -1)
    labels = Labels(torch.zeros(n, N), torch.zeros(n, N, N))
    data = Data(torch.zeros(n, 1), growth, torch.ones(n, 1), labels)
    for source, std in ((SOURCES["gaussian prior"], 1.0), (SOURCES["uniform prior"], 3**-0.5)):
        c = source.points(data, 1, torch.Generator().manual_seed(1)).u.numpy()[:, 0] / growth.numpy()
        np.testing.assert_allclose(c.std(axis=0), widths * std, rtol=0.03)
        np.testing.assert_allclose(c.mean(axis=0), 0, atol=0.02)
    assert np.all(np.abs(c) <= widths * (1 + 1e-6))
