"""smeft-unbinned responses: learn how nuisance parameters change the rates of events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import require
from ..events.nuisance_samples import effects, largest, one_sided, read_with_nuisances
from ..storage import check_target
from .method import widths
from .options import check_distinct, note, output_file, print_held_out, say, seed_option, target

if TYPE_CHECKING:
    from ..estimators import ResponseEstimator

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS = {
    "replicas": 5, "hidden": "32,32", "epochs": 40, "patience": 15, "batch": 512, "learning_rate": 0.01,
    "device": "cpu",
}  # fmt: skip
"""What --help shows of the settings; those of `train_responses`."""


def _setting(name: str, kind: Any, about: str, metavar: str | None = None) -> Callable[[F], F]:
    shown = f"{about}  [default: {DEFAULTS[name]}]"
    return click.option("--" + name.replace("_", "-"), name, type=kind, metavar=metavar, help=shown)


@click.command()
@click.argument("samples", metavar="SAMPLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--nuisance", multiple=True, metavar="NAME",
              help="Nuisance parameter of the samples to learn; repeatable, default all.")  # fmt: skip
@click.option("--largest", "most", type=click.IntRange(1), metavar="N",
              help="Of these only the N of largest effect on the events.")  # fmt: skip
@click.option("--feature", multiple=True, metavar="NAME",
              help="Observable to learn from; repeatable, default all.")  # fmt: skip
@click.option("--drop-non-positive", is_flag=True, help="Leave out events whose SM weight is not positive.")
@_setting("replicas", click.IntRange(1), "Networks in the ensemble, on bootstrapped events.")
@_setting("hidden", str, "Widths of the hidden layers.", "WIDTHS")
@_setting("epochs", click.IntRange(1), "Passes over the events, at most.")
@_setting("patience", click.IntRange(1), "Epochs without improvement before a member stops.")
@_setting("batch", click.IntRange(1), "Events per step.")
@_setting("learning_rate", float, "Peak learning rate.")
@_setting("device", str, "cpu or cuda.", "NAME")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), callback=target,
              help="Written every epoch, to go on after a kill. Default OUTPUT.checkpoint.")  # fmt: skip
@seed_option
@output_file
def command(
    samples: tuple[Path, ...], nuisance: tuple[str, ...], most: int | None, feature: tuple[str, ...],
    drop_non_positive: bool, checkpoint: Path | None, seed: int, output: Path, **settings: Any,
) -> None:  # fmt: skip
    """Learn the responses of events to nuisance parameters from SAMPLEs, MadMiner files.

    A nuisance parameter, such as a scale or an eigenvector of parton densities, changes the rate of an event
    by exp(theta D(x) + theta^2 DD(x)). The weights of simulated events with it shifted up and down give D and
    DD before the detector; networks learn what is left of them in the observables, which is what measured
    events respond with. Samples are joined, each with its own weights.

    The table shows the effect of each nuisance, the root mean square of log r one standard deviation up and
    down, and the error of what was learned on held-out events over that of a constant: below 1 something was
    learned. A note names the nuisances for which nothing was.

    export --responses puts the responses into a dataset, and fits then profile over the nuisances. The
    observables must be those of the events that are exported.

    \b
    Example: smeft-unbinned events tth.h5 -o tth.events
             smeft-unbinned train tth.events -o tth.model
             smeft-unbinned responses tth.h5 --nuisance mur --nuisance muf -o tth.responses
             smeft-unbinned export tth.events --model tth.model --luminosity 300 \\
                 --responses tth.responses --luminosity-uncertainty 0.017 -o tth.dataset
    """
    checkpoint = checkpoint or check_target(output.with_name(output.name + ".checkpoint"))
    check_distinct([output, checkpoint], samples)
    given = {name: value for name, value in settings.items() if value is not None}
    if "hidden" in given:
        given["hidden"] = widths(given["hidden"])
    require("torch", "train")
    from ..estimators import train_responses

    events, nuisances = read_with_nuisances(
        samples, names=nuisance or None, non_positive="drop" if drop_non_positive else "error"
    )
    if most is not None:
        nuisances = largest(events, nuisances, most)
    estimator = train_responses(
        events, nuisances, one_sided=one_sided(nuisances), features=feature or None, seed=seed,
        checkpoint=checkpoint, progress=True, **given,
    )  # fmt: skip
    estimator.save(output)
    checkpoint.unlink(missing_ok=True)
    print_held_out(estimator.held_out().assign(effect=effects(events, nuisances)))
    for text in estimator.notes:
        note(text)
    _tell(estimator, output)


def _tell(estimator: ResponseEstimator, path: Path) -> None:
    """Tell what was trained and what it cost."""
    seconds, members = estimator.metadata["seconds"], estimator.members
    say(
        path,
        f"{members} network{'s' * (members > 1)}, {len(estimator.features)} features, responses to "
        f"{len(estimator.names)} nuisances; {seconds['wall']:.1f} s, of processors {seconds['cpu']:.1f} s",
    )
