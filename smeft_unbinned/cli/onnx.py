"""smeft-unbinned onnx: an estimator becomes an ONNX file, compared with the estimator by onnxruntime."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import require
from ..events import Events
from .options import check_distinct, console, output_file, say, seed_option

TOLERANCE = 1e-4
"""Differences above are not those of rounding in float32."""


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--members", is_flag=True, help="Give the coefficients of every member of the ensemble too.")
@click.option("--check", "events", type=click.Path(path_type=Path),
              help="Events to compare on, in place of random ones in the range of the training.")  # fmt: skip
@click.option("-n", "--number", type=click.IntRange(1), default=1000, show_default=True,
              help="Random events to compare on.")  # fmt: skip
@seed_option
@output_file
def command(
    model: Path, members: bool, events: Path | None, number: int, seed: int, output: Path
) -> None:  # fmt: skip
    """Write the estimator MODEL as an ONNX graph, from features to ratio coefficients.

    The file is run with onnxruntime and its coefficients are compared with those of MODEL; the exit code is 1
    where they differ by more than rounding.

    Example: smeft-unbinned onnx zh.model -o zh.onnx
    """
    require("torch", "train")
    require("onnx", "onnx")
    require("onnxruntime", "onnx")
    from ..estimators import Estimator
    from ..estimators.onnx_export import check, random_features, to_onnx

    check_distinct([output], [model, events])
    estimator = Estimator.load(model)
    sample = None if events is None else Events.load(events).features
    to_onnx(estimator, output, members=members)
    frame = random_features(estimator, number, seed) if sample is None else sample
    difference = check(output, estimator, frame)
    say(output, f"{len(estimator.features)} features to the coefficients of {', '.join(estimator.operators)}")
    kind = "random events" if sample is None else "events"
    console.print(
        f"largest relative difference on {len(frame):,} {kind}: {difference:.1e}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if not difference <= TOLERANCE:
        raise click.ClickException(
            f"{output} and {model} differ by more than the {TOLERANCE:g} that rounding may do; do not use it"
        )
