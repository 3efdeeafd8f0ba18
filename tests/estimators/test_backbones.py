"""The multilayer perceptron: a stack is each of its networks; products, separate towers, starting values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smeft_unbinned import InputError
from smeft_unbinned.estimators.backbones import BACKBONES, MLP
from smeft_unbinned.estimators.backbones.base import _CHUNK

M, B, INPUTS, OUTPUTS = 3, 7, 4, 2
VARIANTS = [
    MLP(hidden=(16, 8)),
    MLP(hidden=(16, 8), products=0),
    MLP(hidden=(8,), separate=True),
    MLP(hidden=(8, 4, 4), separate=True, products=0),
]
every_mlp = pytest.mark.parametrize("mlp", VARIANTS, ids=repr)


def generators(members: int = M, seed: int = 1) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 * seed + m) for m in range(members)]


def parameters(mlp: MLP) -> list[torch.Tensor]:
    return mlp.initialise((INPUTS,), OUTPUTS, generators())


def x_of(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, INPUTS, generator=torch.Generator().manual_seed(2))


def by_hand(layers: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """One fully connected network with SiLU between the layers, on x (B, in)."""
    for k in range(0, len(layers), 2):
        x = x @ layers[k] + layers[k + 1]
        x = x / (1 + np.exp(-x)) if k + 2 < len(layers) else x
    return x


def with_products(x: np.ndarray) -> np.ndarray:
    pairs = [(i, j) for i in range(x.shape[1]) for j in range(i, x.shape[1])]
    return np.concatenate([x, np.stack([x[:, i] * x[:, j] for i, j in pairs], axis=1)], axis=1)


@every_mlp
def test_a_stack_of_networks_is_each_of_them(mlp: MLP) -> None:
    layers, x = parameters(mlp), x_of(B)
    y = mlp.forward(layers, x, OUTPUTS)
    assert y.shape == (M, B, OUTPUTS)
    inputs = with_products(x.numpy()) if mlp.products else x.numpy()
    for m in range(M):
        one = [p[m].numpy() for p in layers]
        if mlp.separate:
            expected = np.concatenate([by_hand([p[k] for p in one], inputs) for k in range(OUTPUTS)], axis=1)
        else:
            expected = by_hand(one, inputs)
        np.testing.assert_allclose(y[m], expected, rtol=1e-4, atol=1e-5)


@every_mlp
def test_events_of_each_member_are_those_shared(mlp: MLP) -> None:
    layers, x = parameters(mlp), x_of(M, B)
    y = mlp.forward(layers, x, OUTPUTS)
    assert y.shape == (M, B, OUTPUTS)
    for m in range(M):
        np.testing.assert_allclose(y[m], mlp.forward(layers, x[m], OUTPUTS)[m], rtol=1e-4, atol=1e-6)


@every_mlp
def test_a_prediction_is_a_forward_pass_in_pieces(mlp: MLP) -> None:
    layers, x = parameters(mlp), x_of(_CHUNK + 5)
    found = mlp.predict([p.numpy() for p in layers], x.numpy().astype(float), OUTPUTS)
    assert found.shape == (M, _CHUNK + 5, OUTPUTS)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, mlp.forward(layers, x, OUTPUTS), rtol=1e-4, atol=1e-6)


@every_mlp
def test_a_member_starts_from_its_own_generator(mlp: MLP) -> None:
    whole = parameters(mlp)
    again = mlp.initialise((INPUTS,), OUTPUTS, generators())
    alone = mlp.initialise((INPUTS,), OUTPUTS, generators()[1:2])
    for a, b, c in zip(whole, again, alone, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a[1:2], c)
    assert not torch.equal(whole[0][0], whole[0][1])


def test_starting_values_have_the_spread_they_say() -> None:
    layers = MLP(hidden=(400, 400), products=0).initialise((100,), 50, generators(1))
    for k, fan_in in enumerate((100, 400, 400)):
        bound = (0.1 if k == 2 else 1.7) / np.sqrt(fan_in)
        weight = layers[2 * k].numpy()
        assert weight.shape[1] == fan_in
        assert np.abs(weight).max() <= bound
        assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.03)
        assert torch.all(layers[2 * k + 1] == 0)


@pytest.mark.parametrize(("inputs", "first"), [(1, 2), (4, 14), (16, 152), (17, 17)])
def test_products_are_added_to_few_inputs(inputs: int, first: int) -> None:
    assert MLP(hidden=(8,)).initialise((inputs,), 1, generators(1))[0].shape == (1, first, 8)
    assert MLP(hidden=(8,), products=0).initialise((inputs,), 1, generators(1))[0].shape == (1, inputs, 8)


def test_separate_towers_share_nothing() -> None:
    mlp = MLP(hidden=(8,), separate=True)
    layers = [p.requires_grad_() for p in parameters(mlp)]
    mlp.forward(layers, x_of(B), OUTPUTS)[..., 0].sum().backward()
    for p in layers:
        assert p.shape[:2] == (M, OUTPUTS)
        assert p.grad is not None
        assert torch.all(p.grad[:, 1] == 0)
        assert p.grad[:, 0].abs().sum() > 0


@every_mlp
def test_members_share_nothing(mlp: MLP) -> None:
    layers = [p.requires_grad_() for p in parameters(mlp)]
    mlp.forward(layers, x_of(B), OUTPUTS)[1].sum().backward()
    for p in layers:
        assert p.grad is not None
        assert torch.all(p.grad[[0, 2]] == 0)


@pytest.mark.parametrize("hidden", [(), (16, 0), (-4,)])
def test_networks_without_units_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="hidden needs at least one positive width, got"):
        MLP(hidden=hidden)


def test_widths_become_a_tuple_of_whole_numbers() -> None:
    assert MLP(hidden=[np.int64(8), 4]).hidden == (8, 4)  # type: ignore[arg-type]
    assert BACKBONES["mlp"] is MLP
