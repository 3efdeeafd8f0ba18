"""smeft-unbinned train: learn the ratio coefficients."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import require
from ..events import Events
from ..plots import training_curves
from ..storage import check_target
from .options import (
    check_distinct,
    names,
    operators_option,
    output_file,
    say,
    say_figure,
    seed_option,
    target,
)


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option(
    "--replicas", default=10, show_default=True, help="Networks in the ensemble, each on its own bootstrap."
)
@click.option("--epochs", default=60, show_default=True, help="Passes over the events, at most.")
@click.option("--patience", default=15, show_default=True, help="Epochs without improvement before stopping.")
@click.option("--hidden", default="64,64,64", show_default=True, help="Widths of the hidden layers.")
@click.option("--rank", default=0, show_default=True, help="Squares in the ratio; 0 takes n + 1, at most 8.")
@click.option("--batch", default=512, show_default=True, help="Events per step.")
@click.option("--learning-rate", default=1e-2, show_default=True, help="Peak learning rate.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--features", callback=names, help="Subset of the features, separated by commas.")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Larger sample that fixes the inclusive coefficients.",
)
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), callback=target,
              help="Written every epoch, to go on after a kill. Default OUTPUT.checkpoint.")  # fmt: skip
@click.option(
    "--plot/--no-plot", default=True, show_default=True, help="Draw the training curves beside OUTPUT."
)
@operators_option
@seed_option
@output_file
def command(
    events: Path, replicas: int, epochs: int, patience: int, hidden: str, rank: int, batch: int,
    learning_rate: float, device: str, features: tuple[str, ...] | None, calibrate: Path | None,
    checkpoint: Path | None, plot: bool, operators: tuple[str, ...] | None, seed: int, output: Path,
) -> None:  # fmt: skip
    """Train an ensemble on EVENTS (with truth) by derivative learning with a sum-of-squares ratio.

    A run that was interrupted goes on from its checkpoint, to the same result, when called again.

    Example: smeft-unbinned train zh.events --replicas 10 -o zh.model
    """
    require("torch", "train")
    from ..errors import InputError
    from ..estimators import TrainSettings, train

    try:
        widths = tuple(int(x) for x in hidden.split(","))
    except ValueError:
        raise InputError(f"--hidden takes whole numbers separated by commas, got {hidden!r}") from None
    settings = TrainSettings.of(
        replicas=replicas, epochs=epochs, patience=patience, hidden=widths, rank=rank, batch=batch,
        learning_rate=learning_rate, device=device, seed=seed,
    )  # fmt: skip
    checkpoint = checkpoint or check_target(output.with_name(output.name + ".checkpoint"))
    figure = check_target(output.with_name(output.name + ".png"))
    check_distinct([output, checkpoint, *([figure] if plot else [])], [events, calibrate])
    sample = Events.load(events)
    estimator = train(
        sample, settings, features=features, operators=operators, checkpoint=checkpoint, progress=True,
        calibrate=None if calibrate is None else Events.load(calibrate),
    )  # fmt: skip
    estimator.save(output)
    checkpoint.unlink(missing_ok=True)
    say(
        output,
        f"{estimator.members} networks, {len(estimator.features)} features, {', '.join(estimator.operators)}",
    )
    if plot:
        say_figure(lambda: training_curves(estimator.metadata["history"], figure), "training curves")
