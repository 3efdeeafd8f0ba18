"""smeft-unbinned diagnose: is a trained estimator right, and are the intervals that follow from it?"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from rich.text import Text

from ..data_options import FB_PER_PB
from ..errors import InputError, require
from ..events import Events
from .options import (
    assignments,
    console,
    efficiency_option,
    folder,
    luminosity_option,
    names,
    note,
    positive,
    say,
    seed_option,
)

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}
WRITTEN = {".txt": "the report with all tables", ".json": "the same for programs", ".png": "figure"}


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--checks", callback=names, help="Names separated by commas; default all: positivity, "
              "expectation, reference, spread, truth, closure, coverage.")  # fmt: skip
@luminosity_option
@efficiency_option
@click.option("--expected", type=float, callback=positive, help="SM events that the measurement expects, "
              "in place of --luminosity. Default 1000.")  # fmt: skip
@click.option("--toys", type=click.IntRange(min=0), default=200, show_default=True, help="Toys per point.")
@click.option("--at", multiple=True, metavar="OPERATOR=VALUE", help="Point to look at, beside the SM; "
              "repeat for its other coefficients. Default: from the expected intervals.")  # fmt: skip
@click.option(
    "--compare", "other", type=click.Path(path_type=Path), help="Second estimator to compare log ratios with."
)
@click.option("--strict", is_flag=True, help="Exit with code 1 if a check fails.")
@seed_option
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True,
              callback=folder, help="Folder for text, JSON and figures.")  # fmt: skip
def command(
    model: Path, events: Path, checks: tuple[str, ...] | None, luminosity: float | None, efficiency: float,
    expected: float | None, toys: int, at: tuple[str, ...], other: Path | None, strict: bool, seed: int,
    output: Path,
) -> None:  # fmt: skip
    """Check the estimator MODEL on EVENTS, simulated at the SM and best not used in its training.

    Every check ends with a verdict: pass, warn, fail or not applicable. The exit code is 0 whatever they are,
    unless --strict is given.

    Example: smeft-unbinned diagnose zh.model test.events --luminosity 300 -o diagnostics
    """
    if luminosity is not None and expected is not None:
        raise InputError("give either --luminosity or --expected, not both")
    if luminosity is None and efficiency != 1.0:
        raise InputError("--efficiency multiplies the rate and needs --luminosity; leave it out")
    require("torch", "train")
    from ..diagnostics import diagnose
    from ..diagnostics.run import EXPECTED
    from ..estimators import Estimator

    sample = Events.load(events)
    if luminosity is not None:
        expected = float(luminosity * FB_PER_PB * efficiency * np.sum(np.asarray(sample.weights)))
    report = diagnose(
        Estimator.load(model), sample, other=None if other is None else Estimator.load(other), checks=checks,
        toys=toys, points=assignments(at, "--at") or None, expected=expected or EXPECTED, seed=seed,
        progress=True,
    )  # fmt: skip
    for check in report.checks:
        verdict = (f"{check.verdict:>14}  ", COLOURS.get(check.verdict, "dim"))
        line = Text.assemble(verdict, (f"{check.name}: ", "bold"), check.sentence)
        console.print(line, highlight=False, soft_wrap=True)
    if report.settings["events_of_the_training"]:
        note("these are the events of the training, which flatter the estimator; take others")
    for path in report.save(output):
        say(path, WRITTEN[path.suffix])
    if strict and report.verdict == "fail":
        raise click.exceptions.Exit(1)
