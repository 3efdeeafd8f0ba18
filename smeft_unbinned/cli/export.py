"""smeft-unbinned export: estimator and events become a dataset, unbinned or in bins of its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..data_options import FB_PER_PB, PSEUDO_DATA
from ..datasets import PoissonDataset, UnbinnedDataset
from ..ensemble import CENTRAL
from ..errors import InputError, require
from ..events import Events
from ..export import export
from ..polynomial import Polynomial
from ..progress import progress_bar
from ..scores import SPACINGS, score_histogram
from ..systematics import GROUPS, with_responses
from .dataset_options import check_options, dataset_options, finished, load_responses
from .options import (
    assignments,
    check_distinct,
    efficiency_option,
    luminosity_option,
    names,
    output_file,
    say,
    seed_option,
)


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Estimator written by train.")
@click.option("--truth", is_flag=True, help="Use the exact truth of the events in place of a model.")
@click.option("--name", help="Name of the dataset in fits, by default unbinned or binned.")
@luminosity_option
@efficiency_option
@click.option("--data", type=click.Choice([*PSEUDO_DATA, "observed"]), default="asimov", show_default=True,
              help="Pseudo-data from simulated events, or the events as they are.")  # fmt: skip
@click.option("--yield-from", type=click.Path(path_type=Path),
              help="Simulated events whose sigma(c) gives the expected yield of observed data.")  # fmt: skip
@click.option(
    "--at", multiple=True, metavar="OPERATOR=VALUE", help="Coefficients of the pseudo-data; repeatable."
)
@click.option("--replicas/--no-replicas", default=False, show_default=True,
              help="Keep every network of the model, for its uncertainty in fits.")  # fmt: skip
@click.option("--central", type=click.Choice(CENTRAL), default=CENTRAL[0], show_default=True,
              help="What -2 log L takes of the networks of the model.")  # fmt: skip
@click.option("--binned", type=click.Choice(["score", "classes"]),
              help="Count events in bins of the scores at the SM, or of class probabilities.")  # fmt: skip
@click.option("--bins", type=click.IntRange(2), help="Bins per score, 10 unless given.")
@click.option("--spacing", type=click.Choice(SPACINGS),
              help="What bins share equally, information unless given.")  # fmt: skip
@click.option("--score-of", callback=names, help="Coefficients whose scores are binned, default all.")
@click.option("--class-at", multiple=True, metavar="OPERATOR=VALUE,...",
              help="A class of --binned classes besides the SM; repeatable.")  # fmt: skip
@dataset_options
@seed_option
@output_file
def command(
    events: Path, model: Path | None, truth: bool, name: str | None, luminosity: float | None,
    efficiency: float, data: str, yield_from: Path | None, at: tuple[str, ...], replicas: bool,
    central: str, binned: str | None, bins: int | None, spacing: str | None, score_of: tuple[str, ...] | None,
    class_at: tuple[str, ...], seed: int, output: Path, **chosen: Any,
) -> None:  # fmt: skip
    """Write EVENTS, seen through a model, as one dataset file that a fit reads.

    With --data observed the events count one each, and the expected yield comes from --yield-from.

    With --binned the dataset holds counts in bins of what the model says of each event: --binned score, or
    --binned classes --class-at cHW=0.5 --class-at cHW=-0.5,cHq3=0.1. Yields are then summed over the truth of
    the simulated events, those of --yield-from for observed data. Bins of equal --spacing information keep
    more of scores with long tails than bins of equal rate.

    --replicas keeps the polynomial of each network besides their --central one: a fit can then tell how far
    its result moves from network to network.

    --responses and --luminosity-uncertainty add nuisance parameters, which fits profile over; those that two
    datasets call by one name are one parameter. --low-rank and --precision can make the file smaller and
    fits faster; what they change is printed and kept in the file.

    \b
    Example: smeft-unbinned export asimov.events --model zh.model --luminosity 300 -o zh.dataset
             smeft-unbinned export asimov.events --model zh.model --luminosity 300 --replicas \\
                 --luminosity-uncertainty 0.017 --luminosity-name LUMI --precision float32 -o zh.dataset
    """
    if (model is None) != truth:
        raise InputError("give either --model FILE or --truth, not both and not none")
    if data == "observed" and at:
        raise InputError("--at is where pseudo-data are made; leave it out with --data observed")
    _check_binning(
        binned, {"--bins": bins, "--spacing": spacing, "--score-of": score_of, "--class-at": class_at}
    )
    if binned is not None and (replicas or central != CENTRAL[0]):
        raise InputError("--replicas and --central belong to unbinned datasets; leave them or --binned out")
    check_options(chosen, binned is not None)
    check_distinct([output], [events, model, yield_from, chosen["responses"]])
    sample = Events.load(events)
    estimator = None
    if model is not None:
        require("torch", "train")
        from ..estimators import Estimator

        estimator = Estimator.load(model)
    responses = load_responses(chosen)
    common: dict[str, Any] = {"efficiency": efficiency, "luminosity": luminosity}
    common["name"] = name or ("unbinned" if binned is None else "binned")
    point: dict[str, Any] = {}
    if data != "observed":
        point = {"pseudo_data": data, "at": assignments(at, "--at"), "seed": seed}
    dataset: UnbinnedDataset | PoissonDataset
    ensemble: dict[str, Any] = {"replicas": replicas, "central": central}
    with _watched(estimator, len(sample)) as watched:
        if binned is not None:
            if luminosity is None:
                raise InputError("the yields of bins need a luminosity; give --luminosity")
            measured = sample.features if data == "observed" else None
            simulated = sample if measured is None else _simulated(yield_from)[1]
            binning: dict[str, Any] = {"operators": score_of}
            if class_at:
                binning = {"points": [_class(text) for text in class_at]}
            common |= {"bins": bins or 10, "spacing": spacing or SPACINGS[0]}
            common |= {"observed": measured, "events": simulated, **binning}
            dataset = score_histogram(estimator=watched, **common, **point)
        elif data == "observed":
            expected_yield, simulated = _yield(yield_from, luminosity, efficiency)
            dataset = export(watched, sample.features, expected_yield, **common, **ensemble)
            if responses is not None:
                of_both = responses(sample.features), simulated, responses(simulated.features)
                dataset = with_responses(dataset, *of_both, groups=chosen["groups"] or GROUPS)
        else:
            ensemble |= {"responses": responses, "groups": chosen["groups"] or GROUPS}
            dataset = export(watched, sample, **common, **point, **ensemble)
    dataset.metadata["sources"] = list(sample.sources)  # a frame alone does not know its files
    if isinstance(dataset, UnbinnedDataset):
        dataset = finished(dataset, chosen)
    dataset.save(output)
    expected, kind = float(np.sum(dataset.expected.constant)), "events" if binned is None else "bins"
    text = f"{len(dataset)} {kind}, {expected:.4g} expected at the SM, {', '.join(dataset.operators)}"
    say(output, text + (f"; nuisances {', '.join(dataset.nuisances)}" if dataset.nuisances else ""))


@contextmanager
def _watched(estimator: Any, events: int) -> Iterator[Any]:
    """Yield the estimator, if there is one, with a bar over so many events that it will see."""
    with progress_bar(estimator is not None) as bar:
        line = bar.add_task("networks", total=events, note="")
        yield None if estimator is None else replace(estimator, watch=lambda n: bar.advance(line, n))


def _check_binning(binned: str | None, given: Mapping[str, object]) -> None:
    """Refuse options of histograms that do not fit together."""
    belongs = {"--score-of": ("score",), "--class-at": ("classes",)}
    for option, value in given.items():
        kinds = belongs.get(option, ("score", "classes"))
        if value and binned not in kinds:
            raise InputError(f"{option} belongs to --binned {' or '.join(kinds)}; add that or leave it out")
    if binned == "classes" and not given["--class-at"]:
        raise InputError("--binned classes needs at least one point besides the SM; give --class-at")


def _class(text: str) -> dict[str, float]:
    return assignments(tuple(text.split(",")), "--class-at")


def _simulated(path: Path | None) -> tuple[Path, Events]:
    if path is None:
        raise InputError("observed data need --yield-from EVENTS and --luminosity for the expected yield")
    return path, Events.load(path)


def _yield(path: Path | None, luminosity: float | None, efficiency: float) -> tuple[Polynomial, Events]:
    """Return nu(c) of observed data, and the simulated events that it comes from."""
    file, simulated = _simulated(None if luminosity is None else path)
    if simulated.cross_section is None or luminosity is None:
        raise InputError(f"{file} knows no cross section as a function of the coefficients")
    return simulated.cross_section * (FB_PER_PB * luminosity * efficiency), simulated
