"""Gradient, Hessian and Hessian times vector against the value, at single points and in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
EVENTS = 102_400
WHO = ("value", "gradient", "value and gradient", "hessian", "hvp", "jax, gradient", "jax, hessian")


@pytest.mark.parametrize("points", [1, 64])
@pytest.mark.parametrize("n", [2, 8, 16])
@pytest.mark.parametrize("who", WHO)
def test_derivatives(who: str, n: int, points: int, problem: Any, race: Any) -> None:
    made = problem(n, EVENTS)
    data, c = made.data, made.points[0] if points == 1 else made.points
    v = np.ones_like(c)
    matrix = jax.numpy.asarray(made.matrix)
    i, j = (jax.numpy.asarray(k) for k in np.triu_indices(n + 1))

    def logs(m: Any, c: Any) -> Any:
        x = jax.numpy.concatenate([jax.numpy.ones(1), c])
        return -2 * jax.numpy.log(1 + m @ (x[i] * x[j])[1:]).sum()

    at = jax.numpy.asarray(made.points[0])
    slope, bend = jax.jit(jax.grad(logs, argnums=1)), jax.jit(jax.hessian(logs, argnums=1))
    contenders = {
        "value": lambda: data.m2logl(c),
        "gradient": lambda: data.gradient(c),
        "value and gradient": lambda: data.value_and_gradient(c),
        "hessian": lambda: data.hessian(c),
        "hvp": lambda: data.hvp(c, v),
    }
    if points == 1:
        contenders["jax, gradient"] = lambda: slope(matrix, at).block_until_ready()
        contenders["jax, hessian"] = lambda: bend(matrix, at).block_until_ready()
    elif who.startswith("jax"):
        pytest.skip("jax is timed at single points")
    first = made.points[0]
    exact = np.asarray(slope(matrix, at)) + 2.0 * data.expected.gradient(first)
    scale = np.abs(np.asarray(slope(matrix, at))).max()
    found = np.asarray(data.gradient(c)).reshape(points, n)[0]
    assert found == pytest.approx(exact, abs=1e-10 * scale)
    curved = np.asarray(bend(matrix, at)) + 2.0 * data.expected.hessian()
    scale = np.abs(np.asarray(bend(matrix, at))).max()
    found = np.asarray(data.hessian(c)).reshape(points, n, n)[0]
    assert found == pytest.approx(curved, abs=1e-10 * scale)
    assert np.asarray(data.hvp(first, v if points == 1 else v[0])) == pytest.approx(
        found.sum(axis=1), abs=1e-10 * n * scale
    )
    count = {name: 1 if name.startswith("jax") else points for name in contenders}
    kind = "single" if points == 1 else "batch"
    race(who, contenders, group=f"derivatives, {kind}, n={n}", points=count, n=n, events=EVENTS)
