"""smeft-unbinned export: estimator and events become an unbinned dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError, require
from ..events import Events
from ..export import FB_PER_PB, PSEUDO_DATA, export
from ..polynomial import Polynomial
from .options import (
    assignments,
    check_distinct,
    efficiency_option,
    luminosity_option,
    output_file,
    say,
    seed_option,
)


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Estimator written by train.")
@click.option("--truth", is_flag=True, help="Use the exact truth of the events in place of a model.")
@click.option("--name", default="unbinned", show_default=True, help="Name of the dataset in fits.")
@luminosity_option
@efficiency_option
@click.option("--data", type=click.Choice([*PSEUDO_DATA, "observed"]), default="asimov", show_default=True,
              help="Pseudo-data from simulated events, or the events as they are.")  # fmt: skip
@click.option("--yield-from", type=click.Path(path_type=Path),
              help="Simulated events whose sigma(c) gives the expected yield of observed data.")  # fmt: skip
@click.option(
    "--at", multiple=True, metavar="OPERATOR=VALUE", help="Coefficients of the pseudo-data; repeatable."
)
@seed_option
@output_file
def command(
    events: Path, model: Path | None, truth: bool, name: str, luminosity: float | None, efficiency: float,
    data: str, yield_from: Path | None, at: tuple[str, ...], seed: int, output: Path,
) -> None:  # fmt: skip
    """Write EVENTS, seen through a model, as one dataset file that a fit reads.

    With --data observed the events count one each, and the expected yield comes from --yield-from.

    Example: smeft-unbinned export asimov.events --model zh.model --luminosity 300 -o zh.dataset
    """
    if (model is None) != truth:
        raise InputError("give either --model FILE or --truth, not both and not none")
    if data == "observed" and at:
        raise InputError("--at is where pseudo-data are made; leave it out with --data observed")
    check_distinct([output], [events, model, yield_from])
    sample = Events.load(events)
    estimator = None
    if model is not None:
        require("torch", "train")
        from ..estimators import Estimator

        estimator = Estimator.load(model)
    common: dict[str, Any] = {"name": name, "efficiency": efficiency, "luminosity": luminosity}
    if data == "observed":
        dataset = export(estimator, sample.features, _yield(yield_from, luminosity, efficiency), **common)
    else:
        point = assignments(at, "--at")
        dataset = export(estimator, sample, pseudo_data=data, at=point, seed=seed, **common)
    dataset.save(output)
    expected = float(dataset.expected.constant)
    say(output, f"{len(dataset)} events, {expected:.4g} expected at the SM, {', '.join(dataset.operators)}")


def _yield(path: Path | None, luminosity: float | None, efficiency: float) -> Polynomial:
    if path is None or luminosity is None:
        raise InputError("observed data need --yield-from EVENTS and --luminosity for the expected yield")
    sigma = Events.load(path).cross_section
    if sigma is None:
        raise InputError(f"{path} knows no cross section as a function of the coefficients")
    return sigma * (FB_PER_PB * luminosity * efficiency)
