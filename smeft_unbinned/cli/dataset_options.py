"""Options of `export` on nuisance parameters and on how a dataset is stored, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..datasets import UnbinnedDataset
from ..errors import InputError, require
from ..lowrank import to_sum_of_squares
from ..systematics import GROUPS
from .options import note, positive

if TYPE_CHECKING:
    from ..estimators import ResponseEstimator

PRECISIONS = ("float32", "float64")
LUMINOSITY = "luminosity"
_OPTIONS = (
    click.option("--responses", type=click.Path(path_type=Path),
                 help="Responses to nuisance parameters, written by responses."),
    click.option("--groups", type=click.IntRange(1),
                 help=f"Groups of simulated events that stand for the yield with nuisances, {GROUPS} unless "
                 "given."),
    click.option("--luminosity-uncertainty", type=float, metavar="FRACTION",
                 help="Relative uncertainty of the luminosity, one standard deviation."),
    click.option("--luminosity-name", metavar="NAME", help="Its name, shared with other datasets that have "
                 f"it, {LUMINOSITY} unless given."),
    click.option("--low-rank", type=float, callback=positive, metavar="TOLERANCE",
                 help="Store ratios as sums of squares, as few as this relative change allows; 1e-6, say."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Of the stored ratios."),
)  # fmt: skip
NAMES = ("responses", "groups", "luminosity_uncertainty", "luminosity_name", "low_rank", "precision")


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command takes them as keywords NAMES, for the functions below."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_options(chosen: Mapping[str, Any], binned: bool) -> None:
    """Refuse options that do not fit together, or a histogram."""
    given = [f"--{name.replace('_', '-')}" for name in NAMES if chosen[name] is not None]
    if binned and given:
        raise InputError(f"{' and '.join(given)} belong to unbinned datasets; leave them or --binned out")
    for option, needed in (("groups", "responses"), ("luminosity_name", "luminosity_uncertainty")):
        if chosen[option] is not None and chosen[needed] is None:
            dashed = [name.replace("_", "-") for name in (option, needed)]
            raise InputError(f"--{dashed[0]} goes with --{dashed[1]}; add that or leave it out")
    uncertainty = chosen["luminosity_uncertainty"]
    if uncertainty is not None and not 0 < uncertainty < 1:
        raise InputError(
            f"--luminosity-uncertainty must lie between 0 and 1, as 0.017 for 1.7 %, got {uncertainty}"
        )


def load_responses(chosen: Mapping[str, Any]) -> ResponseEstimator | None:
    """Return what --responses names, None without."""
    if chosen["responses"] is None:
        return None
    require("torch", "train")
    from ..estimators import ResponseEstimator

    return ResponseEstimator.load(chosen["responses"])


def finished(dataset: UnbinnedDataset, chosen: Mapping[str, Any]) -> UnbinnedDataset:
    """Return the dataset with the uncertainty of the luminosity, stored as the options ask for, and tell."""
    if chosen["luminosity_uncertainty"] is not None:
        dataset = dataset.with_luminosity(
            chosen["luminosity_uncertainty"], chosen["luminosity_name"] or LUMINOSITY
        )
    if chosen["low_rank"] is not None:
        dataset = _low_rank(dataset, chosen["low_rank"])
    if chosen["precision"] is not None:
        dataset = dataset.astype(chosen["precision"])
        note(precision_text(dataset.metadata["precision"]))
    return dataset


def _low_rank(dataset: UnbinnedDataset, tolerance: float) -> UnbinnedDataset:
    """Return the dataset with its ratios as sums of squares, the report in `metadata["low_rank"]`."""
    form, report = to_sum_of_squares(dataset.ratios, tolerance=tolerance)
    notes = list(dataset.metadata.get("notes", []))
    if not report.faithful:
        notes.append(f"ratios as sums of squares: {report}")
    n = len(dataset.operators)
    dense = (n + 1) * (n + 2) // 2
    note(f"sums of squares: {report}")
    if report.rank * (n + 1) >= dense:
        note(
            f"rank {report.rank} takes {report.rank * (n + 1)} numbers an event, polynomials {dense}; it "
            "becomes smaller with a larger tolerance"
        )
    metadata = {**dataset.metadata, "notes": notes, "low_rank": report.manifest()}
    return dataset.replace(ratios=form, metadata=metadata)


def precision_text(record: Mapping[str, Any]) -> str:
    """Return a record of `UnbinnedDataset.astype` in words."""
    return (
        f"ratios in {record['type']}: -2 log L changes by {record['largest_change']:.2g} at most, at "
        f"{record['points']} points within three standard deviations of the SM"
    )
