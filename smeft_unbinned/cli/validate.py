"""smeft-unbinned validate: a runcard, and all that it points to, without a fit."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd

from ..datasets import GaussianDataset, UnbinnedDataset
from ..datasets.protocol import nuisances_of
from ..fit.provenance import caveats
from ..likelihood import Likelihood
from ..runcard import Runcard
from .options import console, note, print_frame


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
def command(runcard: Path) -> None:
    """Check RUNCARD and everything that it points to: keys, files, checksums, coefficients, ranges.

    Prints what would be fitted: datasets with their points or events, coefficients with their prior ranges,
    and notes. Everything that is missing is listed together, with exit code 2. Nothing is written.

    \b
    Example: smeft-unbinned validate card.yaml
    """
    card = Runcard.load(runcard)
    likelihood = card.likelihood()
    print_frame(datasets(likelihood), "datasets")
    print_frame(coefficients(card, likelihood), "coefficients, TeV^-2")
    if likelihood.nuisances:
        shown = {
            n: "none" if c is None else f"{c[0]:g} +- {c[1]:g}" for n, c in likelihood.constraints.items()
        }
        print_frame(pd.DataFrame({"constraint": shown}), "nuisances")
    for text in (*likelihood.notes, *caveats(likelihood)):
        note(text)
    points = np.zeros(len(likelihood.parameters))
    if not np.isfinite(likelihood.gradient(points)).all():
        note("derivatives of -2 log L are not finite at the SM; check data and predictions")
    console.print(
        f"{runcard} can be fitted; results would go to {card.output}", highlight=False, soft_wrap=True
    )


def datasets(likelihood: Likelihood) -> pd.DataFrame:
    """Return a row per dataset: kind, size, coefficients, nuisances, operators that are zero here."""
    rows = {}
    for d in likelihood.datasets:
        kind = (
            "binned"
            if isinstance(d, GaussianDataset)
            else "events"
            if isinstance(d, UnbinnedDataset)
            else "counts"
        )
        metadata = getattr(d, "metadata", {})
        rows[d.name] = {
            "kind": kind,
            "size": len(d),  # type: ignore[arg-type]
            "coefficients": len(d.operators),
            "nuisances": len(nuisances_of(d)),
            "set to zero": ", ".join(metadata.get("operators_set_to_zero", [])) or "-",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def coefficients(card: Runcard, likelihood: Likelihood) -> pd.DataFrame:
    """Return a row per coefficient of the card: free, fixed or following others, and its range or value."""
    parsed = card.parsed
    rows = {}
    for name in card.coefficients:
        state, value = "free", "no range"
        if name in parsed.fixed:
            state, value = "fixed", f"{parsed.fixed[name]:g}"
        elif name in parsed.dependent:
            state, value = "follows others", "-"
        elif name in parsed.bounds:
            value = "{:g} to {:g}".format(*parsed.bounds[name])
        rows[name] = {"state": state, "range or value": value}
    return pd.DataFrame.from_dict(rows, orient="index")
