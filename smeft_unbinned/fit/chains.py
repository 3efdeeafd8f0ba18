"""Chains of NUTS side by side: one compiled function for warm-up and sampling, in chunks of steps.

Step sizes are adapted by dual averaging (arXiv:1111.4246), per chain; the variances of the coordinates are
those of all chains together in windows that double in length. Both stay fixed after the warm-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ..errors import require
from ..progress import Rate, progress_bar

CHUNK = 50
"""Steps between two looks at the chains."""
ACCEPTANCE = 0.8


@dataclass(frozen=True)
class Run:
    """Points z (chains, n, p), how many steps diverged, how many gradients all steps took, step sizes."""

    points: np.ndarray
    divergences: int
    gradients: int
    step_sizes: list[float]


def run_chains(
    log_density: Callable[[Any], Any],
    starts: np.ndarray,
    *,
    seed: int,
    warmup: int,
    steps: int,
    progress: bool,
) -> Run:
    """Run chains from starts (m, p) for `warmup` steps, whole chunks of them, and `steps` more.

    Raises InputError without jax or blackjax.
    """
    jax, blackjax = require("jax", "nuts"), require("blackjax", "nuts")
    chains, p = starts.shape
    chunk, restart = _compiled(jax, blackjax, log_density, chains)
    key = jax.random.key(seed)
    states = jax.vmap(lambda z: blackjax.nuts.init(z, log_density))(jax.numpy.asarray(starts))
    sizes, variances = np.full(chains, 0.5), np.ones(p)
    first, pieces, rate = -(-warmup // CHUNK), -(-steps // CHUNK), Rate("gradients")
    window: list[np.ndarray] = []
    found: list[list[np.ndarray]] = []
    with progress_bar(progress) as bar:
        task = bar.add_task("nuts", total=first + pieces, note="compiling")
        adaptation = restart(sizes)
        for number in range(first + pieces):
            adapt = number < first
            states, adaptation, part = chunk(
                jax.random.fold_in(key, number), states, adaptation, variances, adapt
            )
            points, divergent, gradients = (np.asarray(x) for x in part)
            rate.add(int(gradients.sum()))
            if not adapt:
                found.append([points, divergent])
            elif number + 2 < first and number > 0:  # the last chunk, and the first, are for step sizes alone
                window.append(points)
                if len(window) >= number // 2 + 1:
                    variances = _variances(np.concatenate(window), variances)
                    adaptation, window = restart(np.exp(np.asarray(adaptation.log_step_size_avg))), []
            bar.update(task, advance=1, note=f"{'warm-up, ' if adapt else ''}{rate}")
    points, divergent = (np.concatenate(x)[:steps] for x in zip(*found, strict=True))
    last = np.exp(np.asarray(adaptation.log_step_size_avg)).tolist()
    return Run(points.swapaxes(0, 1), int(divergent.sum()), rate.calls, last)


def _compiled(
    jax: Any, blackjax: Any, log_density: Callable[[Any], Any], chains: int
) -> tuple[Callable[..., Any], Callable[[np.ndarray], Any]]:
    """Return the function that goes on by a chunk of steps, and the one that starts dual averaging anew."""
    xp, kernel = jax.numpy, blackjax.nuts.build_kernel()
    begin, update, _ = blackjax.adaptation.step_size.dual_averaging_adaptation(ACCEPTANCE)

    def chunk(key: Any, states: Any, adaptation: Any, variances: Any, adapt: Any) -> Any:
        def one(key: Any, state: Any, size: Any) -> Any:
            return kernel(key, state, log_density, size, variances)

        def body(carry: Any, key: Any) -> Any:
            states, adaptation = carry
            sizes = xp.exp(xp.where(adapt, adaptation.log_step_size, adaptation.log_step_size_avg))
            states, info = jax.vmap(one)(jax.random.split(key, chains), states, sizes)
            new = jax.vmap(update)(adaptation, info.acceptance_rate)
            adaptation = jax.tree_util.tree_map(lambda a, b: xp.where(adapt, a, b), new, adaptation)
            return (states, adaptation), (states.position, info.is_divergent, info.num_integration_steps)

        (states, adaptation), part = jax.lax.scan(body, (states, adaptation), jax.random.split(key, CHUNK))
        return states, adaptation, part

    def restart(sizes: np.ndarray) -> Any:
        new = jax.vmap(begin)(xp.asarray(sizes))
        return jax.tree_util.tree_map(lambda x: xp.asarray(x, dtype=_wide(xp, x)), new)

    return jax.jit(chunk), restart


def _wide(xp: Any, x: Any) -> Any:
    """Return the dtype that a member of the state of dual averaging has after an update."""
    return xp.float64 if xp.issubdtype(x.dtype, xp.floating) else x.dtype


def _variances(points: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the variances of points (n, m, p), drawn a little to those before, (p,)."""
    flat = points.reshape(-1, points.shape[-1])
    found = np.var(flat, axis=0)
    n = len(flat) / 10  # neighbours in a chain are not independent
    return np.asarray((n * found + 5 * before) / (n + 5))


def split_rhat(chains: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of chains (m, n, p), bulk or tails, whichever is larger: (p,).

    arXiv:1903.08008. Every chain is cut into two halves, so that a single one has an R-hat too.
    """
    half = chains.shape[1] // 2
    halves = np.concatenate([chains[:, :half], chains[:, -half:]])
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.asarray(np.maximum(_rhat(halves), _rhat(folded)))


def _rhat(chains: np.ndarray) -> np.ndarray:
    m, n, p = chains.shape
    ranks = scipy.stats.rankdata(chains.reshape(m * n, p), axis=0)
    z = scipy.special.ndtri((ranks - 0.375) / (m * n + 0.25)).reshape(m, n, p)
    within = z.var(axis=1, ddof=1).mean(axis=0)
    between = z.mean(axis=1).var(axis=0, ddof=1)
    return np.asarray(np.sqrt((n - 1) / n + between / within))
