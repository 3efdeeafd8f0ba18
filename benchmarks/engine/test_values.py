"""-2 log L against one line of numpy and the same in jax: batches, single points, precision, weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
EVENTS = 102_400
WHO = ("ours", "numpy", "jax")


def line(matrix: Any, v: Any) -> Any:
    """Return -2 sum log r, for v (P - 1,) or for many points (P - 1, S)."""
    return -2 * np.log(1 + matrix @ v).sum(axis=0)


def compiled(matrix: Any, v: Any) -> Callable[[], Any]:
    """Return the call of the same line in jax."""
    device, column = jax.numpy.asarray(matrix), jax.numpy.asarray(v)
    function = jax.jit(lambda m, v: -2 * jax.numpy.log(1 + m @ v).sum(axis=0))
    return lambda: function(device, column).block_until_ready()


@pytest.mark.parametrize("n", [2, 8, 16])
@pytest.mark.parametrize("who", [*WHO, "numpy, batch", "jax, batch"])
def test_batch(who: str, n: int, problem: Any, race: Any) -> None:
    made = problem(n, EVENTS)
    v = made.columns()
    first = np.ascontiguousarray(v[:, 0])
    contenders = {
        "ours": lambda: made.data.m2logl(made.points),
        "numpy": lambda: line(made.matrix, first),
        "jax": compiled(made.matrix, first),
        "numpy, batch": lambda: line(made.matrix, v),
        "jax, batch": compiled(made.matrix, v),
    }
    expected = line(made.matrix, v)
    assert made.events(made.points) == pytest.approx(expected, rel=1e-10)
    assert np.asarray(contenders["jax, batch"]()) == pytest.approx(expected, rel=1e-10)
    points = {"ours": 64, "numpy, batch": 64, "jax, batch": 64}
    race(who, contenders, group=f"batch, n={n}", points=points, n=n, events=EVENTS)


@pytest.mark.parametrize("n", [2, 8, 16])
@pytest.mark.parametrize("who", WHO)
def test_single(who: str, n: int, problem: Any, race: Any) -> None:
    made = problem(n, EVENTS)
    c, v = made.points[0], np.ascontiguousarray(made.columns()[:, 0])
    contenders = {
        "ours": lambda: made.data.m2logl(c),
        "numpy": lambda: line(made.matrix, v),
        "jax": compiled(made.matrix, v),
    }
    assert made.events(c) == pytest.approx(line(made.matrix, v), rel=1e-10)
    race(who, contenders, group=f"single, n={n}", n=n, events=EVENTS)


@pytest.mark.parametrize("n", [2, 8, 16])
@pytest.mark.parametrize("who", ["ours", "numpy", "ours, double"])
def test_single_precision(who: str, n: int, problem: Any, race: Any) -> None:
    made = problem(n, EVENTS)
    small = made.data.astype(np.float32)
    c, v = made.points[0], np.ascontiguousarray(made.columns()[:, 0])
    contenders = {
        "ours": lambda: small.m2logl(c),
        "numpy": lambda: line(made.matrix, v),
        "ours, double": lambda: made.data.m2logl(c),
    }
    change = small.metadata["precision"]["largest_change"]
    far = float(np.abs(small.m2logl(made.points) - made.data.m2logl(made.points)).max())
    largest = float(np.abs(made.data.m2logl(made.points)).max())
    race(
        who, contenders, group=f"float32, n={n}", n=n, events=EVENTS, change=change, change_far=far,
        value_far=largest,
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 8, 16])
@pytest.mark.parametrize("who", ["ours", "numpy", "ours, single", "ours, equal"])
def test_weighted(who: str, n: int, problem: Any, race: Any) -> None:
    made = problem(n, EVENTS)
    w = np.random.default_rng(3).uniform(0.5, 1.5, EVENTS)
    data = made.data.replace(weights=w)
    v = made.columns()
    first = np.ascontiguousarray(v[:, 0])
    contenders = {
        "ours": lambda: data.m2logl(made.points),
        "numpy": lambda: -2 * w @ np.log(1 + made.matrix @ first),
        "ours, single": lambda: data.m2logl(made.points[0]),
        "ours, equal": lambda: made.data.m2logl(made.points),
    }
    nu = made.data.expected
    events = data.m2logl(made.points) - 2.0 * (nu.evaluate(made.points) - nu.constant)
    assert events == pytest.approx(-2 * w @ np.log(1 + made.matrix @ v), rel=1e-10)
    points = {"ours": 64, "ours, equal": 64}
    race(who, contenders, group=f"weighted, n={n}", points=points, n=n, events=EVENTS)
