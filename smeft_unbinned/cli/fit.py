"""smeft-unbinned fit: run a runcard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..fit import FitResult
from ..fit.methods import METHODS, SHARED, fit, options_of
from ..fit.networks import count_networks
from ..fit.ranks import agreed, communicator, first
from ..fit.replicas import network, network_bands
from ..fit.single import PartialFits, individual, pairwise
from ..likelihood import Likelihood
from ..locks import claim
from ..runcard import Runcard
from ..storage import check_folder, make_folder, write_text
from .fit_report import chi2_frames, report, report_partial, save_card
from .interrupt import hold, keep, told_once
from .options import SEED, assignments, note, print_frame, say

Levels = tuple[float, ...]
LEVELS: Levels = (0.68, 0.95)


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(list(METHODS)), default="minuit", show_default=True,
              help="minuit: best fit with profile intervals. linear: exact, of linear binned data. laplace, "
              "nuts, ultranest: a posterior, of near-Gaussian problems, by gradients, of any. auto: chooses."
)  # fmt: skip
@click.option("--individual", "kind", flag_value="individual",
              help="One coefficient at a time, the others zero; default the card's single_parameter_fits."
)  # fmt: skip
@click.option("--pairwise", "kind", flag_value="pairwise",
              help="Two coefficients at a time; default the card's pairwise_fits.")  # fmt: skip
@click.option(
    "--global", "kind", flag_value="global", help="All coefficients together, whatever the card says."
)
@click.option("--level", "levels", type=click.FloatRange(0, 1, min_open=True, max_open=True), multiple=True,
              help="Confidence level of intervals; repeat for several.  [default: 0.68, 0.95]")  # fmt: skip
@click.option(
    "--starts",
    type=click.IntRange(min=0),
    help="Random starts besides the systematic ones (minuit).  [default: 20]",
)
@click.option("--samples", "n_samples", type=click.IntRange(min=1),
              help="Posterior samples (not ultranest or minuit); default the card's n_samples.")  # fmt: skip
@click.option(
    "--nlive", type=click.IntRange(min=1), help="Live points (ultranest, auto); default the card's."
)
@click.option("--asimov", multiple=True, metavar="sm|NAME=VALUE",
              help="Fit the data expected at this point in place of the measured ones; repeat for a point."
)  # fmt: skip
@click.option("--replicas/--no-replicas", default=False, show_default=True,
              help="Fit every network of the ensembles too, and add their spread to the errors.")  # fmt: skip
@click.option("--seed", type=SEED, help="Seed of every random choice; default the card's.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the results; default result_path/result_ID of the card.")  # fmt: skip
def command(
    runcard: Path, method: str, kind: str | None, levels: tuple[float, ...], asimov: tuple[str, ...],
    replicas: bool, seed: int | None, output: Path | None, **given: Any,
) -> None:  # fmt: skip
    """Fit the datasets of RUNCARD, a YAML file with SMEFiT's keys.

    An unbinned dataset is an entry of `datasets:` with its file: {name: zh_14tev, unbinned: zh.dataset}.
    Writes fit_result.json, fit_results.json in SMEFiT's format, and the card beside it, so that
    `smefit R` finds all it needs. Prints intervals, minima, and chi2 by dataset.

    Fits of one or two coefficients at a time have the others at zero. They go to the subfolder individual or
    pairwise, unless the card itself asks for them. They and nested sampling store what is done: after Ctrl-C
    the same command goes on.

    --replicas needs unbinned datasets that hold the networks of an ensemble (export --replicas). Each of
    them is fitted; the covariance of their best fits is added to that of the result, and bands say between
    what the ends of the intervals of single networks lie. Profile intervals and posterior samples stay those
    of the mean, or median, of the networks.

    Under mpiexec, ultranest and auto share the work between the processes; other methods run in one of them.
    The first process alone writes and prints.

    \b
    Example: smeft-unbinned fit card.yaml --level 0.9 --level 0.99
             smeft-unbinned fit card.yaml --method ultranest --nlive 1000
             smeft-unbinned fit card.yaml --individual --method laplace
             smeft-unbinned fit card.yaml --asimov cHW=0.1 --asimov cHq3=-0.02
             smeft-unbinned fit card.yaml --replicas
    """
    comm, main = communicator(), first()
    if comm is not None and method not in SHARED:
        if not main:
            return
        note(f"--method {method} runs in one of the processes; {' and '.join(SHARED)} use all of them")
        comm = None

    def prepare() -> tuple[Runcard, str, Path, dict[str, Any], Likelihood]:
        card = Runcard.load(runcard)
        folder = check_folder(output or card.output)
        what = kind or (
            "individual" if card.single_parameter_fits else "pairwise" if card.pairwise_fits else "global"
        )
        if replicas and what != "global":
            raise InputError(f"--replicas is for the fit of all coefficients, not {what} fits; add --global")
        options = _options(card, method, folder, seed, levels, given)
        likelihood = card.likelihood()
        if asimov:
            likelihood = _asimov(likelihood, asimov, main)
        if replicas:
            count_networks(likelihood)  # before the work, not after
        return card, what, folder, {**options, "progress": main}, likelihood

    with told_once(main):
        card, what, folder, options, likelihood = agreed(comm, prepare)
        if what == "global":
            if "log_dir" in options:
                keep(folder)
            result = fit(likelihood, method, **options).with_runcard(card)
        else:
            own = card.single_parameter_fits if what == "individual" else card.pairwise_fits
            folder = folder if own else folder / what
            keep(make_folder(folder))
            agreed(comm, lambda: hold(folder) if main else None)
            run = individual if what == "individual" else pairwise
            found = run(likelihood, method, folder=folder / "fits", **options)
    if not main:
        return
    if what == "global":
        _finish(likelihood, result, card, runcard, folder, replicas, levels or LEVELS)
    else:
        _finish_partial(found, what, folder, levels or LEVELS)
        flags = {"single_parameter_fits": what == "individual", "pairwise_fits": what == "pairwise"}
        save_card(card, runcard, folder, **flags)


def _finish(
    likelihood: Likelihood, result: FitResult, card: Runcard, runcard: Path, folder: Path, replicas: bool,
    levels: Levels,
) -> None:  # fmt: skip
    """Write and print the result of all coefficients together, after a fit of the networks if wanted."""
    _save(result, card, runcard, make_folder(folder))
    if replicas and result.valid:
        try:
            result = network(likelihood, result)
        except InputError as error:
            raise InputError(f"{error}. The result without the networks is in {folder}") from None
        _save(result, card, runcard, folder)
    report(result, levels)
    for title, frame in chi2_frames(likelihood, result.best):
        print_frame(frame, title)
    for level, band in network_bands(result).items():
        print_frame(band, f"single networks: ends of {level:.0%} intervals, median and central 68%")
    if replicas and not result.valid:
        note("the networks are not fitted, since the fit of their mean did not converge")
    say(folder / "fit_result.json", "the result")
    say(folder / "fit_results.json", "the same in SMEFiT's format")
    if not result.valid:
        click.get_current_context().exit(1)


def _options(
    card: Runcard, method: str, folder: Path, seed: int | None, levels: Levels, given: dict[str, Any]
) -> dict[str, Any]:
    """Return the options of the method: those given, and those of the card that it knows.

    Raises InputError for an option that has no use with the method.
    """
    known = options_of(method)
    for name, value in given.items():
        if value is not None and name not in known:
            shown = {"n_samples": "samples"}.get(name, name)
            raise InputError(f"--{shown} has no use with --method {method}; leave it out")
    defaults: dict[str, Any] = {
        "nlive": card.nlive,
        "frac_remain": card.frac_remain,
        "log_dir": folder / "ultranest",
        "n_samples": card.n_samples,
        "levels": levels or LEVELS,
    }
    options = {k: v for k, v in defaults.items() if v is not None and k in known}
    options |= {k: v for k, v in given.items() if v is not None}
    return {**options, "seed": card.seed if seed is None else seed}


def _asimov(likelihood: Likelihood, values: tuple[str, ...], tell: bool) -> Likelihood:
    """Return the likelihood of the data expected at a point, `sm` or NAME=VALUE."""
    from ..statistics.toys import asimov

    point = assignments(tuple(v for v in values if v.lower() != "sm"), "--asimov")
    result: Likelihood = asimov(likelihood, point)
    if tell:
        shown = ", ".join(f"{k} = {v:g}" for k, v in point.items()) or "the SM"
        note(f"the data are those expected at {shown}, not the measured ones")
    return result


def _finish_partial(found: PartialFits, kind: str, folder: Path, levels: Levels) -> None:
    """Print fits of one or two coefficients at a time, and write their table; results are in `fits`."""
    report_partial(found, kind, levels)
    table = found.table(levels)
    if len(table):
        write_text(folder / "table.csv", table.to_csv())
        say(folder / "table.csv", "the table")
    paths = found.save_smefit(folder)
    say(folder / "fits", "every result")
    if paths:
        say(paths[0] if len(paths) == 1 else folder, "the same in SMEFiT's format")


def _save(result: FitResult, card: Runcard, runcard: Path, folder: Path) -> None:
    """Write the result, here and in SMEFiT's format, and its card: all files are of one run."""
    with claim(folder, wait=True):
        result.save(folder / "fit_result.json")
        result.save_smefit(folder / "fit_results.json")
        save_card(card, runcard, folder)
