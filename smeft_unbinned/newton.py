"""Nuisance parameters at the minimum of -2 log L for given coefficients, for whole batches of points.

Every point of a batch takes its own steps. The first ones are those of the BFGS method (Nocedal and Wright,
Numerical Optimization, section 6.1), which needs gradients only and starts from a Hessian that is known: that
at the SM. What has not converged then goes on with Newton's method, in which the eigenvalues of the Hessian
count by their size, so that -2 log L falls wherever its slope does not vanish. A step that raises it is
shortened. Written with the array API, for numpy, torch, and jax inside and outside of a trace; for jax, all
steps are of the first kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from array_api_compat import is_jax_array, is_numpy_array

from .polynomial import Array, namespace

MOST = 200
"""Steps of Newton's method after which a point counts as not converged."""
QUASI = 25
"""Steps without Hessian before them."""
CLOSE = 1e-6
"""Decrement g H^-1 g (a change of -2 log L) from which on full steps are taken without a look back:
differences of -2 log L are rounding there."""
TOLERANCE = 1e-10
"""Decrement at which a point has converged; the step that follows is taken still."""
_TIGHT = 1e-4
"""The same without Hessian, relative: a decrement with an approximate one may be too small."""
_FLAT = 1e-12
_SHORTER = 0.25


class Function(Protocol):
    """-2 log L over coefficients, and nuisances after them."""

    def m2logl(self, c: Array) -> Array:
        """Return the value, shape (...)."""

    def gradient(self, c: Array) -> Array:
        """Return the first derivatives, shape (..., n + K)."""

    def hessian(self, c: Array) -> Array:
        """Return the second derivatives, shape (..., n + K, n + K)."""


def constant(a: Array) -> Array:
    """Return the same numbers, cut off from automatic differentiation."""
    if is_jax_array(a):
        from jax import lax

        return lax.stop_gradient(a)
    return a.detach() if hasattr(a, "detach") else a


def join(c: Array, theta: Array) -> Array:
    """Return points (..., n + K) of coefficients (..., n) and nuisances (..., K)."""
    return namespace(c, theta).concat([c, theta], axis=-1)


def curvature(function: Function, c: Array, theta: Array) -> Array:
    """Return the second derivatives by the nuisances, shape (..., K, K)."""
    n = int(c.shape[-1])
    if not is_jax_array(theta):
        return function.hessian(join(c, theta))[..., n:, n:]
    import jax

    def slope(t: Array) -> Array:
        return function.gradient(join(c, t))[..., n:]

    def column(direction: Array) -> Array:
        return jax.jvp(slope, (theta,), (direction + 0.0 * theta,))[1]

    return jax.vmap(column, out_axes=-1)(jax.numpy.eye(theta.shape[-1], dtype=theta.dtype))


def spectrum(matrix: Array) -> tuple[Array, Array, Array]:
    """Return sizes (..., K) and axes (..., K, K) of symmetric matrices, and whether none is negative (...).

    Eigenvalues count by their absolute size, and those that vanish as a small number. A matrix that is not
    finite becomes the unit matrix.
    """
    xp = namespace(matrix)
    finite = xp.all(xp.isfinite(matrix), axis=(-2, -1))
    unit = xp.eye(matrix.shape[-1], dtype=matrix.dtype)
    values, axes = xp.linalg.eigh(xp.where(finite[..., None, None], matrix, unit))
    sizes = xp.abs(values)
    least = _FLAT * xp.max(sizes, axis=-1, keepdims=True) + float(np.finfo(np.float32).tiny)
    convex = finite & xp.all(values > -1e-9 * xp.max(sizes, axis=-1, keepdims=True), axis=-1)
    return xp.where(sizes > least, sizes, least), axes, convex


def solve(sizes: Array, axes: Array, vector: Array) -> Array:
    """Return the solution (..., K) of a linear system whose matrix is given by `spectrum`."""
    xp = namespace(sizes, vector)
    along = xp.matmul(xp.matrix_transpose(axes), vector[..., None])[..., 0]
    return xp.matmul(axes, (along / sizes)[..., None])[..., 0]


State = tuple[Array, ...]
"""Nuisances (..., K), -2 log L there, length of the next step, and whether it has converged, (...) each; for
BFGS, the gradient (..., K) and the inverse Hessian (..., K, K) too."""


def _limits(xp: Any, dtype: Any) -> tuple[float, float]:
    """Return CLOSE and TOLERANCE, looser where numbers have fewer digits."""
    loose = 1.0 if dtype == xp.float64 else (float(xp.finfo(dtype).eps) / 2.3e-16) ** 0.5
    return CLOSE * loose, TOLERANCE * loose


def _slope(function: Function, c: Array, theta: Array) -> Array:
    return function.gradient(join(c, theta))[..., c.shape[-1] :]


def _move(
    function: Function, c: Array, state: State, step: Array, close: Array
) -> tuple[Array, Array, Array, Array]:
    """Return nuisances, value and length after a step (..., K) is tried, and where it was taken."""
    theta, value, length, done = state[:4]
    xp = namespace(theta)
    ones = xp.ones_like(length)
    trial = theta + xp.where(close, ones, length)[..., None] * step
    no_look = not is_jax_array(c) and bool(xp.all(close))
    new = value if no_look else function.m2logl(join(c, trial))
    taken = (close | (new <= value)) & xp.isfinite(new) & ~done
    longer = xp.where(4.0 * length < 1.0, 4.0 * length, ones)
    return (
        xp.where(taken[..., None], trial, theta),
        xp.where(taken, new, value),
        xp.where(taken, longer, _SHORTER * length),
        taken,
    )


def _newton_step(function: Function, c: Array, state: State) -> State:
    theta = state[0]
    xp = namespace(theta)
    slope = _slope(function, c, theta)
    sizes, axes, convex = spectrum(curvature(function, c, theta))
    step = -solve(sizes, axes, slope)
    decrement = -xp.sum(step * slope, axis=-1)
    near, converged = _limits(xp, theta.dtype)
    theta, value, length, taken = _move(function, c, state, step, (decrement < near) & convex)
    return theta, value, length, state[3] | (taken & convex & (decrement < converged))


def _quasi_step(function: Function, c: Array, state: State) -> State:
    old, _, _, done, slope, inverse = state
    xp = namespace(old)
    step = -xp.matmul(inverse, slope[..., None])[..., 0]
    decrement = -xp.sum(step * slope, axis=-1)
    near, converged = _limits(xp, old.dtype)
    theta, value, length, taken = _move(function, c, state, step, decrement < near)
    new = _slope(function, c, theta)
    s, y = theta - old, new - slope
    curved = xp.sum(s * y, axis=-1)
    usable = taken & (curved > 0)
    rho = 1.0 / xp.where(usable, curved, xp.ones_like(curved))
    left = xp.eye(int(s.shape[-1]), dtype=s.dtype) - rho[..., None, None] * s[..., :, None] * y[..., None, :]
    updated = xp.matmul(xp.matmul(left, inverse), xp.matrix_transpose(left))
    updated = updated + rho[..., None, None] * s[..., :, None] * s[..., None, :]
    inverse = xp.where(usable[..., None, None], updated, inverse)
    return theta, value, length, done | (taken & (decrement < _TIGHT * converged)), new, inverse


def minimise_over(
    function: Function, c: Array, start: Array, hessian: Array | None = None
) -> tuple[Array, Array]:
    """Return nuisances (..., K) at the minimum, and where it has converged (...).

    c: coefficients (..., n). start: nuisances (K,) at which the search begins. hessian: (K, K), positive
    definite, about that at the minimum; without it every step takes the Hessian itself. The numbers that come
    back are cut off from automatic differentiation. A point that has not converged has the lowest -2 log L
    that was found.
    """
    c = constant(c)
    xp = namespace(c)
    batch, k = c.shape[:-1], int(start.shape[-1])
    if not is_jax_array(c):
        c = c.reshape((-1, c.shape[-1]))
    theta = xp.zeros((*c.shape[:-1], k), dtype=c.dtype) + start
    value = constant(function.m2logl(join(c, theta)))
    state: State = (theta, value, xp.ones_like(value), xp.zeros_like(value) > 1.0)
    run, quasi = (_traced, MOST) if is_jax_array(c) else (_plain, QUASI)
    if hessian is not None:
        inverse = xp.zeros((*theta.shape, k), dtype=c.dtype) + xp.linalg.inv(hessian)
        extra = (constant(_slope(function, c, theta)), inverse)
        moved, value, _, done, *_ = run(_quasi_step, function, c, (*state, *extra), quasi)
        if is_jax_array(c):
            return moved, done
        stayed = xp.all(xp.abs(moved - theta) < 1e-9, axis=-1)  # may be a maximum
        state = (moved, value, xp.ones_like(value), done & ~stayed)
    theta, _, _, done = run(_newton_step, function, c, state, MOST)
    return theta.reshape((*batch, k)), done.reshape(batch)


def _plain(
    step: Callable[[Function, Array, State], State], function: Function, c: Array, state: State, most: int
) -> State:
    """Take steps of those points that have not converged, c (B, n)."""
    xp = namespace(c)
    with np.errstate(over="ignore", invalid="ignore"):  # of trial steps; a step that is taken is finite
        for _ in range(most):
            unfinished = ~state[3]
            if not bool(xp.any(unfinished)):
                break
            new = step(function, c[unfinished], tuple(a[unfinished] for a in state))
            for old, now in zip(state, new, strict=True):
                old[unfinished] = constant(now)
    return state


def _traced(
    step: Callable[[Function, Array, State], State], function: Function, c: Array, state: State, most: int
) -> State:
    from jax import lax

    def more(carry: tuple[Any, State]) -> Any:
        return (carry[0] < most) & ~carry[1][3].all()

    def advance(carry: tuple[Any, State]) -> tuple[Any, State]:
        return carry[0] + 1, step(function, c, carry[1])

    return tuple(lax.stop_gradient(a) for a in lax.while_loop(more, advance, (0, state))[1])


def differentiable(function: Function, c: Array, theta: Array) -> Array:
    """Return the same nuisances as a function of c for automatic differentiation, numpy arrays as they are.

    One more Newton step with a constant Hessian: d theta/dc = -H^-1 d(gradient)/dc.
    """
    if is_numpy_array(c):
        return theta
    sizes, axes, _ = spectrum(constant(curvature(function, constant(c), theta)))
    return theta - solve(sizes, axes, function.gradient(join(c, theta))[..., c.shape[-1] :])
