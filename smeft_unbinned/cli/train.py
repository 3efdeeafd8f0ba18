"""smeft-unbinned train: learn the ratio coefficients, here or in parts on many machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, require
from ..events import Events
from ..plots import training_curves
from ..storage import check_target, write_text
from .interrupt import hold, keep
from .method import method_options, settings_of
from .options import (
    check_distinct,
    console,
    names,
    note,
    operators_option,
    output_file,
    say,
    say_figure,
    target,
)

if TYPE_CHECKING:
    from ..estimators import Estimator
    from ..estimators.tasks import Executor

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("events", type=click.Path(path_type=Path), required=False)
@method_options
@click.option("--features", callback=names, help="Subset of the features, separated by commas.")
@operators_option
@click.option("--calibrate", type=click.Path(path_type=Path),
              help="Larger sample with truth that fixes the inclusive coefficients.")  # fmt: skip
@click.option("--checkpoint", type=FILE, callback=target,
              help="Written every epoch, to go on after a kill. Default OUTPUT.checkpoint.")  # fmt: skip
@click.option("--task", metavar="I/N", help="Train part I of N of the ensemble, I from 1, to "
              "OUTPUT.part-I-of-N.")  # fmt: skip
@click.option(
    "--collect", type=click.IntRange(1), metavar="N", help="Join N parts to OUTPUT, without EVENTS."
)
@click.option("--executor", type=click.Choice(("local", "dask")),
              help="Train in parts, on processes here or on workers of dask.distributed.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1),
              help="Parts to train at a time. Default 2, or all that a scheduler has.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Of a running dask scheduler; default starts one here.")
@click.option("--plot/--no-plot", default=True, show_default=True,
              help="Draw the training curves beside OUTPUT.")  # fmt: skip
@click.option("--curves", type=FILE, callback=target, metavar="FILE.csv", help="Training curves as a table.")
@output_file
def command(
    events: Path | None, features: tuple[str, ...] | None, operators: tuple[str, ...] | None,
    calibrate: Path | None, checkpoint: Path | None, task: str | None, collect: int | None,
    executor: str | None, workers: int | None, scheduler: str | None, plot: bool, curves: Path | None,
    output: Path, **method: Any,
) -> None:  # fmt: skip
    """Train an ensemble on EVENTS: simulated at the SM with truth polynomials, or separate samples.

    A method is a loss, a head, a network and an ensemble. The default, derivative learning of a positive
    ratio, is a good choice for events with truth.

    \b
    Losses for events with truth:
      derivative            regression of the coefficients
      alice, alices         cross-entropy with soft labels; with the score
      rolr, rascal          squared error of the ratio and its inverse; with the score
      cascal                cross-entropy with the score
      sally                 the score at the SM: linear terms alone
    For separate samples too (files of several points):
      carl, multiclass      cross-entropy with two classes, or with all points at once
      quadratic-classifier  squared error of a classifier
      decomposed            a classifier per coefficient

    A run that was interrupted goes on from its checkpoint, to the same result, when called again. Large
    ensembles are trained in parts: --executor here, --task on a cluster, then --collect.

    \b
    Example: smeft-unbinned train zh.events -o zh.model
             smeft-unbinned train zh.events --loss alices --set alpha=2 --replicas 4 -o zh.model
             smeft-unbinned train zh.events --replicas 100 --task 3/20 -o zh.model
             smeft-unbinned train --collect 20 -o zh.model
    """
    chosen = [f"--{k}" for k, v in (("task", task), ("collect", collect), ("executor", executor)) if v]
    _check_modes(chosen, events, checkpoint, curves if task else None, workers, scheduler)
    number, count = _part(task) if task else (0, 0)
    asked = checkpoint is not None
    checkpoint = checkpoint or check_target(output.with_name(output.name + ".checkpoint"))
    figure = check_target(output.with_name(output.name + ".png"))
    made = [output, checkpoint, *([figure] if plot else []), *([curves] if curves else [])]
    check_distinct(made, [events, calibrate])
    require("torch", "train")
    if not task:
        hold(output)
    if collect:
        estimator = _collected(output, collect, method)
    else:
        from ..estimators import tasks, train

        assert events is not None
        settings = settings_of(method)
        options: dict[str, Any] = {"features": features, "operators": operators, "progress": True}
        if task:
            own = tasks.part_file(output, number, count)
            hold(own)
            keep(own.with_name(f"{own.name}.checkpoint"))
            _train_part(own, lambda: tasks.train_task(
                events, settings, number, count, output, calibrate=calibrate, **options))  # fmt: skip
            return
        if executor:
            keep(output.absolute().parent)
            with _workers(executor, workers, scheduler) as (pool, most):
                count = min(most, settings.ensemble.replicas)
                estimator = tasks.train_parts(
                    events, settings, pool, count, output, calibrate=calibrate, **options
                )
        else:
            keep(checkpoint)
            estimator = train(
                tasks.load_sample(events), settings,
                checkpoint=checkpoint if asked or tasks.resumable(settings) else None,
                calibrate=None if calibrate is None else Events.load(calibrate), **options,
            )  # fmt: skip
    estimator.save(output)
    if executor:
        for i in range(1, count + 1):
            tasks.part_file(output, i, count).unlink(missing_ok=True)
    elif not collect:  # with --collect a checkpoint of that name is another training's
        checkpoint.unlink(missing_ok=True)
    _tell(estimator, output)
    if curves:
        write_text(curves, estimator.curves().to_csv(index=False))
        say(curves, "training curves, a row per epoch and member")
    if plot:
        say_figure(lambda: training_curves(estimator.metadata["history"], figure), "training curves")


def _check_modes(
    chosen: list[str], events: Path | None, checkpoint: Path | None, curves: Path | None,
    workers: int | None, scheduler: str | None,
) -> None:  # fmt: skip
    """Refuse options that have no meaning together."""
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} are different ways to train; give one of them")
    if events is None and chosen != ["--collect"]:
        raise InputError("train needs EVENTS, a file of `generate` or `events`; only --collect goes without")
    if checkpoint is not None and chosen:
        raise InputError(
            f"with {chosen[0]} every part has a checkpoint beside its file; leave --checkpoint out"
        )
    if curves is not None:
        raise InputError("a part has no --curves of its own; give it with --collect")
    if (workers is not None or scheduler is not None) and chosen != ["--executor"]:
        raise InputError("--workers and --scheduler go with --executor")


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if match is None:
        raise InputError(f"--task takes I/N, as 3/20 for the third of twenty parts, got {text!r}")
    return int(match[1]), int(match[2])


def _train_part(path: Path, run: Callable[[], object]) -> None:
    """Train a part, unless it is finished, and tell."""
    from ..estimators import Estimator

    there = path.exists()
    run()
    if there:
        console.print(f"{path} is finished; nothing to do", highlight=False, markup=False, soft_wrap=True)
    else:
        _tell(Estimator.load(path), path)


def _collected(output: Path, n: int, method: dict[str, Any]) -> Estimator:
    """Return the joined parts; where settings are given too, they must be those of the parts."""
    from ..estimators.parts import collect, differences

    estimator = collect(output, n)
    settings = estimator.metadata["settings"]
    odd = differences(settings, settings_of(method, settings).manifest())
    if odd:
        raise InputError(f"the parts were trained with other settings: {'; '.join(odd)}")
    return estimator


def _tell(estimator: Estimator, path: Path) -> None:
    """Tell what was trained, what it cost, and what the user should know about it."""
    seconds = estimator.metadata["seconds"]
    members, names_ = estimator.members, estimator.operators
    shown = ", ".join(names_) if len(names_) <= 12 else f"{len(names_)} coefficients"
    say(
        path,
        f"{members} network{'s' * (members > 1)} ({estimator.metadata['method']}), "
        f"{len(estimator.features)} features, {shown}; "
        f"{seconds['wall']:.1f} s, of processors {seconds['cpu']:.1f} s",
    )
    for text in estimator.notes:
        note(text)


@contextmanager
def _workers(kind: str, workers: int | None, scheduler: str | None) -> Iterator[tuple[Executor, int]]:
    """Yield an executor and how many parts it trains at a time."""
    if kind == "local":
        if scheduler is not None:
            raise InputError("--scheduler goes with --executor dask")
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        import torch

        count = workers or 2
        threads = max(1, torch.get_num_threads() // count)
        context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        with ProcessPoolExecutor(count, context, torch.set_num_threads, (threads,)) as pool:
            try:
                yield pool, count
            except KeyboardInterrupt:  # SIGTERM may have come to this process alone
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
        return
    distributed: Any = require("distributed", "dask")
    local = {"n_workers": workers or 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(scheduler) if scheduler else distributed.Client(**local) as client:
        count = workers or len(client.nthreads())
        if not count:
            raise InputError(f"the scheduler {scheduler} has no workers yet; start some, or give --workers")
        yield client, count
