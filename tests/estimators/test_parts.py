"""Head, loss, network and settings against closed forms and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smeft_unbinned import InputError, SumOfSquares, TrainSettings
from smeft_unbinned.estimators import derivative, head, network
from smeft_unbinned.polynomial import unpack

M, N, R, K = 2, 5, 3, 2  # members, events, rank, operators


@pytest.fixture
def outputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(M, N, R * K)).astype(np.float32)


@pytest.fixture
def growth() -> np.ndarray:
    return np.random.default_rng(2).uniform(0.5, 3, size=(N, K))


def test_the_head_is_the_sum_of_squares_it_says(outputs: np.ndarray, growth: np.ndarray) -> None:
    form = SumOfSquares(("cHW", "cHu"), head.factors(outputs.astype(float), growth))
    assert form.batch_shape == (M, N)
    c = np.array([0.3, -0.7])
    for m in range(M):
        for e in range(N):
            a = outputs[m, e].reshape(R, K) * growth[e]
            r = (1 + a[0] @ c) ** 2 + sum((a[k] @ c) ** 2 for k in range(1, R))
            assert form.evaluate(c)[m, e] == pytest.approx(r, rel=1e-6)
    np.testing.assert_allclose(form.evaluate([0, 0]), 1.0)


def test_scaled_outputs_are_scaled_labels(outputs: np.ndarray, growth: np.ndarray) -> None:
    """What the loss compares with the labels is what the factors give, divided by the growth."""
    truth = SumOfSquares(("cHW", "cHu"), head.factors(outputs.astype(float), growth)[0]).dense()
    labels = head.Labels.scaled(truth, growth)
    tensor = torch.as_tensor(outputs[0])
    np.testing.assert_allclose(head.linear(tensor, K), labels.linear, rtol=1e-5)
    np.testing.assert_allclose(head.quadratic(tensor, K), labels.quadratic, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(labels.linear.numpy() * growth, truth.linear, rtol=1e-5)
    product = labels.quadratic.numpy() * growth[:, :, None] * growth[:, None, :]
    np.testing.assert_allclose(product, unpack(truth.coefficients)[:, 1:, 1:], rtol=1e-5, atol=1e-6)


def test_the_loss_is_a_mean_of_squares(outputs: np.ndarray, growth: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    lin, quad = rng.normal(size=(N, K)), rng.normal(size=(N, K, K))
    labels = head.Labels(torch.as_tensor(lin).float(), torch.as_tensor(quad).float())
    rms, size = np.array([0.5, 2.0]), np.array([1.5, 0.7])
    norms = torch.as_tensor(rms).float(), torch.as_tensor(size).float()
    values = derivative.loss(torch.as_tensor(outputs), labels, norms)
    for m in range(M):
        for e in range(N):
            a = outputs[m, e].reshape(R, K).astype(float)
            first = np.mean([((2 * a[0, i] - lin[e, i]) / rms[i]) ** 2 for i in range(K)])
            square = a.T @ a
            second = np.mean(
                [
                    (square[i, j] - quad[e, i, j]) ** 2 / (size[i] * size[j])
                    for i in range(K)
                    for j in range(K)
                ]
            )
            assert float(values[m, e]) == pytest.approx(first + second, rel=1e-4)
    perfect = head.Labels(
        head.linear(torch.as_tensor(outputs[0]), K), head.quadratic(torch.as_tensor(outputs[0]), K)
    )
    np.testing.assert_allclose(derivative.loss(torch.as_tensor(outputs[:1]), perfect, norms), 0.0, atol=1e-10)


def test_the_normalisation_is_the_weighted_rms_with_a_floor() -> None:
    lin = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    quad = torch.zeros(2, 2, 2)
    quad[:, 0, 0] = torch.tensor([1.0, 7.0])
    rms, size = derivative.spreads(head.Labels(lin, quad), torch.tensor([1.0, 3.0]))
    assert rms[0] == pytest.approx(np.sqrt((9 + 3 * 16) / 4))
    assert size[0] == pytest.approx(np.sqrt((1 + 3 * 49) / 4))
    assert 0 < rms[1] < rms[0]
    assert 0 < size[1] < size[0]


def test_a_stack_of_networks_is_each_of_them() -> None:
    parameters = network.initialise(3, [4, 16, 8, 2], torch.Generator().manual_seed(1))
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    y = network.forward(parameters, x)
    assert y.shape == (3, 7, 2)
    for m in range(3):
        h = x.numpy()
        for k in range(0, 6, 2):
            h = h @ parameters[k][m].numpy() + parameters[k + 1][m].numpy()
            h = h / (1 + np.exp(-h)) if k < 4 else h
        np.testing.assert_allclose(y[m], h, rtol=1e-4, atol=1e-6)
    again = network.initialise(3, [4, 16, 8, 2], torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(parameters, again, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicas": 0}, "replicas must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"patience": -1}, "patience must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"rank": -1}, "rank must be positive, or 0"),
        ({"validation": 0.0}, "validation is a fraction between 0 and 1, got 0.0"),
        ({"validation": 1.0}, "validation is a fraction"),
        ({"learning_rate": 0.0}, "learning_rate and clip must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate and clip must be positive"),
        ({"clip": -1.0}, "learning_rate and clip must be positive"),
        ({"weight_decay": -1.0}, "weight_decay not negative"),
        ({"hidden": ()}, "at least one positive width"),
        ({"hidden": (16, 0)}, "at least one positive width"),
    ],
)
def test_unusable_settings_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainSettings(**arguments)


def test_settings_are_json_types() -> None:
    assert TrainSettings(hidden=[32, 16]).manifest()["hidden"] == [32, 16]
    assert TrainSettings(**TrainSettings(seed=3).manifest()) == TrainSettings(seed=3)
