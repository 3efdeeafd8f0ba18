"""smeft-unbinned onnx: estimator, dataset or both become ONNX files, compared with them by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..datasets import UnbinnedDataset
from ..errors import InputError, require
from ..events import Events
from ..graphs import ESTIMATOR, check_bundle, check_bundle_target, to_bundle
from ..storage import check_target
from .options import check_distinct, console, say, seed_option

if TYPE_CHECKING:
    from ..estimators import Estimator

TOLERANCE = 1e-4
"""Differences above are not those of rounding in float32."""
DOUBLE_TOLERANCE = 1e-10
"""Differences above are not those of rounding in float64."""


@click.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--dataset", type=click.Path(path_type=Path),
              help="Write a bundle of this unbinned dataset, with the MODEL behind it or alone.")  # fmt: skip
@click.option("--members", is_flag=True, help="Give the coefficients of every member of the ensemble too.")
@click.option("--check", "events", type=click.Path(path_type=Path),
              help="Events to compare on, in place of random ones in the range of the training.")  # fmt: skip
@click.option("-n", "--number", type=click.IntRange(1), default=1000, show_default=True,
              help="Random events to compare on.")  # fmt: skip
@seed_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="File to write, or with --dataset the new folder.")  # fmt: skip
def command(
    model: Path | None, dataset: Path | None, members: bool, events: Path | None, number: int, seed: int,
    output: Path,
) -> None:  # fmt: skip
    """Write the estimator MODEL as an ONNX graph, from features to ratio coefficients.

    With --dataset write a bundle, a folder of graphs from features to -2 log L: events of the dataset, its
    expected yield, the likelihood, a manifest, and MODEL where one is given.

    The files are run with onnxruntime and compared with MODEL and the dataset; the exit code is 1 where they
    differ by more than rounding.

    \b
    Example: smeft-unbinned onnx zh.model -o zh.onnx
             smeft-unbinned onnx zh.model --dataset zh.dataset -o zh_bundle/
    """
    if model is None and (dataset is None or members or events is not None):
        raise InputError(
            "give a MODEL, to which --members and --check belong, or the --dataset to write a bundle of"
        )
    check_distinct([output], [model, dataset, events])
    require("onnx", "onnx")
    require("onnxruntime", "onnx")
    if dataset is None:
        check_target(output)
    else:
        check_bundle_target(output)
    estimator = None if model is None else _load(model)
    sample = None if events is None else Events.load(events).features
    if estimator is not None and sample is not None:
        estimator.inputs(sample)  # refuses other features before anything is written
    measured = None if dataset is None else UnbinnedDataset.load(dataset)
    compared: list[tuple[str, float, float]] = []
    frame = None
    if measured is not None:
        to_bundle(measured, output, estimator, members=members)
        made = ", ".join(path.name for path in sorted(output.iterdir()))
        say(output, f"{made}; {len(measured):,} events of {', '.join(measured.operators)}")
    if estimator is not None:
        from ..estimators.onnx_export import check, random_features, to_onnx

        if measured is None:
            to_onnx(estimator, output, members=members)
            names = ", ".join(estimator.operators)
            say(output, f"{len(estimator.features)} features to the coefficients of {names}")
        frame = random_features(estimator, number, seed) if sample is None else sample
        difference = check(output if measured is None else output / ESTIMATOR, estimator, frame)
        compared.append((f"on {len(frame):,} {'random ' * (sample is None)}events", difference, TOLERANCE))
    if measured is not None:
        found = check_bundle(output, measured, estimator, frame, seed=seed)
        compared.append(("of -2 log L from coefficients", found.likelihood, DOUBLE_TOLERANCE))
        if found.network is not None:
            compared.append(("of -2 log L from features", found.network, TOLERANCE))
    for what, value, _ in compared:
        text = f"largest relative difference {what}: {value:.1e}"
        console.print(text, highlight=False, soft_wrap=True)
    for _, value, tolerance in compared:
        if not value <= tolerance:
            given = " and ".join(str(path) for path in (model, dataset) if path is not None)
            raise click.ClickException(
                f"{output} and {given} differ by more than the {tolerance:g} that rounding may do; "
                "do not use it"
            )


def _load(model: Path) -> Estimator:
    require("torch", "train")
    from ..estimators import Estimator

    return Estimator.load(model)
