"""One run of UltraNest: its seeds, its batches, its step sampler, its log and its progress."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import require
from ..progress import Rate, progress_bar
from ..storage import make_folder
from .nested_points import PointFile
from .ranks import or_end

POINTS = "points.f64"
BATCHES = 16, 128
"""Least and most points that are proposed at once, unless a quarter of the live points lies between."""
WALKERS = 16, 64
"""Least and most walkers of a step sampler, unless a quarter of the live points lies between."""
TRIES = 100
"""Attempts at filling a batch of proposals."""
LARGEST, GROWTH = 2**14, 4
"""Proposals before rejection at once, and times as many as at the attempt before."""

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides the likelihood. steps: of the step sampler for each point, 0 without."""

    nlive: int
    seed: int
    frac_remain: float
    max_calls: int | None = None
    steps: int = 0


def run(
    names: tuple[str, ...],
    log_likelihood: Function,
    transform: Function,
    settings: Settings,
    folder: Path | None,
    comm: Any | None,
    progress: bool,
) -> dict[str, Any]:
    """Return UltraNest's results; transform maps the unit cube (s, p) to parameters (s, p).

    folder: of the records, from which a run goes on. comm: of several processes, which all call this.
    """
    ultranest = require("ultranest", "nested")
    first = comm is None or comm.Get_rank() == 0
    batch = _between(settings.nlive // 4, BATCHES)

    def sampled() -> dict[str, Any]:
        with _seeded(settings.seed), _quiet(), _stored(folder if first else None, names) as store:
            sampler = ultranest.ReactiveNestedSampler(
                list(names),
                log_likelihood,
                transform=transform,
                vectorized=True,
                draw_multiple=True,
                ndraw_min=batch,
                ndraw_max=batch,
                comm=comm,
            )
            if store is not None:
                sampler.pointstore, sampler.log_to_pointstore = store, True
                sampler.ncall = store.ncalls
                if store.nrows:  # not the same random numbers once more
                    np.random.seed([settings.seed, store.nrows])  # noqa: NPY002
            if settings.steps:
                sampler.stepsampler = _step_sampler(settings)
            with _shown(progress and first, settings.frac_remain, sampler.ncall) as callback:
                outcome = sampler.run(
                    min_num_live_points=settings.nlive,
                    frac_remain=settings.frac_remain,
                    max_ncalls=settings.max_calls,
                    region_class=_region(bool(settings.steps)),
                    show_status=False,
                    viz_callback=callback,
                )
        return dict(outcome)

    return or_end(comm, sampled)


def _between(number: int, ends: tuple[int, int]) -> int:
    return min(max(number, ends[0]), ends[1])


def _region(steps: bool) -> Any:
    """Return the kind of region around the live points: one that fills the batches asked of it.

    UltraNest proposes a number of points and evaluates those few that lie in its region; a batch that is full
    is several times faster per point. For a step sampler, which proposes by itself, ellipsoids do.
    """
    mlfriends = require("ultranest.mlfriends", "nested")
    if steps:
        return mlfriends.RobustEllipsoidRegion

    class Filled(mlfriends.MLFriends):  # type: ignore[misc, name-defined]
        def sample(self, nsamples: int = 100) -> np.ndarray:
            parts: list[np.ndarray] = []
            found, asked = 0, nsamples
            for _ in range(TRIES):
                parts.append(super().sample(asked))
                found += len(parts[-1])
                if found >= nsamples:
                    break
                wanted = (nsamples - found) * asked / max(len(parts[-1]), 1)
                asked = min(int(1.2 * wanted) + 1, GROWTH * asked, LARGEST)
            return np.concatenate(parts)[:nsamples]

    return Filled


def _step_sampler(settings: Settings) -> Any:
    """Return walkers that make slice sampling steps side by side, all evaluated in one call.

    Steps along the axes of the live points gave the closed form of log Z of a Gaussian in 20 parameters;
    mixed with differences of live points, the same number of steps gave too high a value.
    """
    steps = require("ultranest.popstepsampler", "nested")
    return steps.PopulationSimpleSliceSampler(
        popsize=_between(settings.nlive // 4, WALKERS),
        nsteps=settings.steps,
        generate_direction=steps.generate_region_oriented_direction,
    )


@contextlib.contextmanager
def _stored(folder: Path | None, names: tuple[str, ...]) -> Iterator[PointFile | None]:
    if folder is None:
        yield None
        return
    store = PointFile(make_folder(folder) / POINTS, 3 + 2 * len(names))
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _shown(enabled: bool, frac_remain: float, calls: int) -> Iterator[Callable[..., None] | bool]:
    """Give the function that UltraNest calls with its state, and show that in one line.

    The run ends where the log of the remaining over the collected evidence has fallen to a known value. The
    bar shows how far it has fallen, and the time left follows from that.
    calls: made in earlier runs.
    """
    if not enabled:
        yield False
        return
    goal, start, rate = np.log(frac_remain / (1 - frac_remain)), None, Rate()
    with progress_bar(True) as bar:
        task = bar.add_task("nested sampling", total=1.0, note="")

        def show(info: dict[str, Any], **_: Any) -> None:
            nonlocal start
            rate.add(info["ncall"] - calls - rate.calls)
            gap = float(info["logz_remain"] - info["logz"])
            start = gap if start is None and np.isfinite(gap) else start
            done = 0.0 if start is None else (start - gap) / max(start - goal, 1e-9)
            bar.update(
                task,
                completed=min(max(done, bar.tasks[0].completed), 1.0),
                note=f"{info['ncall']:,} calls, {rate}, log Z {info['logz']:.1f}, "
                f"{1 / (1 + np.exp(-gap)):.1%} remain",
            )

        yield show
        bar.update(task, completed=1.0)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, the only one UltraNest knows, and restore it afterwards.

    Of several processes the first keeps this seed, and UltraNest derives those of the others from it.
    """
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep UltraNest's log to warnings, and take away the handlers that it leaves behind."""
    logger = logging.getLogger("ultranest")
    before, level = list(logger.handlers), logger.level

    def wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
        logger.setLevel(level)
        for handler in [h for h in logger.handlers if h not in before]:
            logger.removeHandler(handler)
            handler.close()
