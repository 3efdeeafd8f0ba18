"""sum_e w_e log r_e(c) with its derivatives, for any number of points, in one pass over blocks of events.

Where all weights agree, the logarithm is taken of products of ratios and not of each: GROUP of them do not
underflow, being above FLOOR, and where they overflow the sum is taken again term by term.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..polynomial import Array, QuadraticForm, namespace
from . import blocks
from .rows import FEW, Floats, rows_of

FLOOR = 1e-10
"""Ratios at or below this have no logarithm worth the name: log r continues linearly from here down."""
GROUP = 28
"""Ratios whose product is formed before its logarithm is taken."""
POINTS = 64
"""Points evaluated together."""
Work: TypeAlias = "Callable[[slice], tuple[Any, ...]]"
Scratch: TypeAlias = "Callable[[int], Floats]"
"""Gives an array of so many numbers, whose memory is used again by the next call."""


def log_ratio(r: Array) -> Array:
    """Return log r above FLOOR and its tangent at FLOOR below.

    A ratio that turns negative thus costs a large, finite, sloping amount in -2 log L, which minimisers and
    samplers walk away from; `LogSum.penalised` counts them. Array API, any shape.
    """
    xp = namespace(r)
    safe = xp.where(r > FLOOR, r, xp.ones_like(r))
    return xp.where(r > FLOOR, xp.log(safe), (r - FLOOR) / FLOOR + float(np.log(FLOOR)))


class LogSum:
    """sum_e w_e log r_e(c) of N events; points are x = (1, c), (S, n + 1) in double precision.

    form: ratios, batch (N,), in memory or in a mapped file. weights: (N,).
    threads: at most; None takes OMP_NUM_THREADS or the cores of the process. unit: all ratios are 1 at c = 0.
    penalised: how many ratios at or below FLOOR were evaluated so far, over all points and calls.
    """

    def __init__(
        self, form: QuadraticForm, weights: Floats, threads: int | None = None, unit: bool = False
    ) -> None:
        self._rows = rows_of(form, unit)
        self._weights = weights
        self._common = float(weights[0]) if len(weights) and np.all(weights == weights[0]) else None
        self._threads = threads
        self.penalised = 0
        self._scratch: list[Floats] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": []}

    def value(self, x: Floats) -> Floats:
        """Return the sum, (S,)."""
        return self._batched(self._value, x)

    def gradient(self, x: Floats) -> Floats:
        """Return the derivatives by c, (S, n)."""
        return self._batched(self._gradient, x)

    def value_and_gradient(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the sum, (S,), and its derivatives by c, (S, n), in one pass."""
        both = self._batched(lambda x: self._gradient(x, with_value=True), x)
        return both[:, 0], both[:, 1:]

    def hessian(self, x: Floats) -> Floats:
        """Return the second derivatives by c, (S, n, n)."""
        return self._batched(self._hessian, x, POINTS // 2)

    def hvp(self, x: Floats, v: Floats) -> Floats:
        """Return the second derivatives times v = (0, direction), (S, n), without forming them; v like x."""
        return self._batched(
            lambda pair: self._hvp(*np.split(pair, 2, axis=1)), np.concatenate([x, v], axis=1)
        )

    def _batched(self, evaluate: Callable[[Floats], Floats], x: Floats, points: int = POINTS) -> Floats:
        if not len(x):
            return evaluate(np.zeros((1, x.shape[1])))[:0]
        parts = [np.ascontiguousarray(x[s : s + points], dtype=float) for s in range(0, len(x), points)]
        results = [evaluate(part) for part in parts]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _value(self, x: Floats, grouped: bool = True) -> Floats:
        rows, columns, points = self._rows, self._rows.columns(x), len(x)

        def worker(step: int, scratch: Scratch) -> Work:
            out = scratch(step * rows.rank * points).reshape(-1, points)
            products = np.empty(step // GROUP * points)

            def work(part: slice) -> tuple[Floats, int]:
                r, _ = rows.values(rows.block(part, points), columns, out)
                return self._logs(r, part, products if grouped else None)

            return work

        parts = self._run(worker, points, 1)
        self.penalised += sum(count for _, count in parts)
        total: Floats = np.sum([value for value, _ in parts], axis=0)
        if grouped and self._common is not None and not np.all(np.isfinite(total)):
            return self._value(x, grouped=False)
        return total

    def _gradient(self, x: Floats, with_value: bool = False) -> Floats:
        rows, columns, points = self._rows, self._rows.columns(x), len(x)

        def worker(step: int, scratch: Scratch) -> Work:
            out = scratch(step * rows.rank * points).reshape(-1, points)
            products = np.empty(step // GROUP * points)

            def work(part: slice) -> tuple[Floats, int, Floats]:
                block = rows.block(part, points)
                r, at = rows.values(block, columns, out)
                value, count = self._logs(r, part, products) if with_value else (np.zeros(points), 0)
                return value, count, rows.slope(block, at, self._first(r, part))

            return work

        parts = self._run(worker, points, 2)
        self.penalised += sum(count for _, count, _ in parts)
        slope = rows.finish_slope(sum(part[2] for part in parts), x)
        if not with_value:
            return slope
        value = np.sum([part[0] for part in parts], axis=0)
        if not np.all(np.isfinite(value)):
            value = self._value(x, grouped=False)
        return np.concatenate([value[:, None], slope], axis=1)

    def _hessian(self, x: Floats) -> Floats:
        rows, columns, points = self._rows, self._rows.columns(x), len(x)

        def worker(step: int, scratch: Scratch) -> Work:
            out = scratch(step * rows.rank * points).reshape(-1, points)

            def work(part: slice) -> tuple[Floats, Floats]:
                block = rows.block(part, points)
                r, at = rows.values(block, columns, out)
                d = rows.slopes(block, at, x)
                weighted = d * self._second(r, part).T
                outer = np.stack([d[:, s] @ weighted[:, s].T for s in range(points)])
                return rows.curvature(block, self._first(r, part)), outer

            return work

        n = x.shape[1] - 1
        arrays = 2 * n if points <= FEW else max(n // 2, 2)  # for many points, long products pay
        parts = self._run(worker, points, arrays)
        outer = np.sum([part[1] for part in parts], axis=0)
        return np.asarray(rows.finish_curvature(sum(part[0] for part in parts)) - outer)

    def _hvp(self, x: Floats, v: Floats) -> Floats:
        rows, points = self._rows, len(x)
        columns, change = rows.columns(x), rows.columns(x, v)

        def worker(step: int, scratch: Scratch) -> Work:
            out = scratch(step * rows.rank * points).reshape(-1, points)

            def work(part: slice) -> tuple[Floats, Floats]:
                block = rows.block(part, points)
                r, at = rows.values(block, columns, out)
                derivative, along = rows.along(block, at, change)
                derivative *= self._second(r, part)
                return rows.slope(block, along, self._first(r, part)), rows.slope(block, at, derivative)

            return work

        parts = self._run(worker, points, 4)
        first = rows.finish_slope(sum(part[0] for part in parts), v)
        return first - rows.finish_slope(sum(part[1] for part in parts), x)

    def _run(self, worker: Callable[[int, Scratch], Work], points: int, arrays: int) -> list[Any]:
        """Return the results of all blocks; arrays: how many of size (B, S) a block needs."""
        rows, total = self._rows, len(self._weights)
        read, computed = rows.width * rows.array.itemsize, 8 * points * (arrays + rows.rank - 1)
        if rows.array.dtype != np.float64 and (arrays > 1 or points > FEW):  # converted, block by block
            computed += 2 * read
        step = blocks.length(read, computed, GROUP)
        step = min(step, -(-total // GROUP) * GROUP)
        threads = 1
        if float(total) * rows.width * points > blocks.WORTHWHILE:
            threads = blocks.available() if self._threads is None else self._threads
        source = blocks.mapping(rows.array) if rows.array.nbytes > blocks.RESIDENT else None

        used: list[Floats] = []

        def scratch(size: int) -> Floats:
            try:
                buffer = self._scratch.pop()
            except IndexError:
                buffer = np.empty(0)
            used.append(buffer if buffer.size >= size else np.empty(size))
            return used[-1][:size]

        def releasing() -> Work:
            work = worker(step, scratch)
            if source is None:
                return work

            def and_release(part: slice) -> tuple[Any, ...]:
                result = work(part)
                blocks.release(rows.array, part, source)
                return result

            return and_release

        blocks.unchanged(rows.array)  # a shorter file would end the process
        results = blocks.run(releasing, total, step, threads)
        blocks.unchanged(rows.array)
        self._scratch = used
        return results

    def _logs(self, r: Floats, part: slice, products: Floats | None) -> tuple[Floats, int]:
        """Return sum_e w_e log r_e of a block, (S,), and how many ratios are not positive."""
        if not r.min(initial=1.0) > FLOOR:
            return self._weights[part] @ log_ratio(r), int(np.sum(r <= FLOOR))
        if self._common is None or products is None:
            return self._weights[part] @ np.log(r), 0
        groups = len(r) // GROUP
        product = products[: groups * r.shape[1]]
        np.multiply.reduce(r[: groups * GROUP].reshape(GROUP, -1), axis=0, out=product)
        logs = np.log(product, out=product).reshape(groups, r.shape[1]).sum(axis=0)
        if groups * GROUP < len(r):
            logs += np.log(r[groups * GROUP :]).sum(axis=0)
        return self._common * logs, 0

    def _first(self, r: Floats, part: slice) -> Floats:
        """Return w d(log r)/dr, (B, S)."""
        weights = self._weights[part, None] if self._common is None else self._common
        return np.asarray(weights / np.maximum(r, FLOOR))

    def _second(self, r: Floats, part: slice) -> Floats:
        """Return -w d2(log r)/dr2, (B, S)."""
        inverse = (r > FLOOR) / np.maximum(r, FLOOR)
        weights = self._weights[part, None] if self._common is None else self._common
        return np.asarray(weights * inverse * inverse)
