"""smeft-unbinned fit: run a runcard."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from ..fit import FitResult, minimise, sample
from ..fit.networks import count_networks
from ..fit.replicas import network, network_bands
from ..runcard import Runcard
from ..storage import check_folder, make_folder
from .options import SEED, console, note, print_frame, say


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(["minuit", "ultranest"]), default="minuit", show_default=True,
              help="Best fit with profile intervals, or a posterior by nested sampling.")  # fmt: skip
@click.option("--replicas/--no-replicas", default=False, show_default=True,
              help="Fit every network of the ensembles too, and add their spread to the errors.")  # fmt: skip
@click.option("--nlive", type=click.IntRange(min=1), help="Live points; default the card's.")
@click.option("--seed", type=SEED, help="Seed of the sampler; default the card's.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the results; default result_path/result_ID of the card.")  # fmt: skip
def command(
    runcard: Path, method: str, replicas: bool, nlive: int | None, seed: int | None, output: Path | None
) -> None:  # fmt: skip
    """Fit the datasets of RUNCARD, a YAML file with SMEFiT's keys.

    An unbinned dataset is an entry of `datasets:` with its file: {name: zh_14tev, unbinned: zh.dataset}.
    Writes fit_result.json, and fit_results.json in SMEFiT's format.

    --replicas needs unbinned datasets that hold the networks of an ensemble (export --replicas). Each of
    them is fitted; the covariance of their best fits is added to that of the result, and bands say between
    what the ends of the intervals of single networks lie. Profile intervals and posterior samples stay those
    of the mean, or median, of the networks.

    \b
    Example: smeft-unbinned fit card.yaml --replicas
             smeft-unbinned fit card.yaml --method ultranest
    """
    card = Runcard.load(runcard)
    folder = check_folder(output or card.output)
    likelihood = card.likelihood()
    if replicas:
        count_networks(likelihood)  # before the work, not after
    if method == "minuit":
        result = minimise(likelihood)
    else:
        result = sample(
            likelihood, nlive=nlive or card.nlive, seed=card.seed if seed is None else seed,
            frac_remain=card.frac_remain, log_dir=folder / "ultranest", progress=True,
        )  # fmt: skip
    make_folder(folder)
    save(result, folder)
    if replicas and result.valid:
        try:
            result = network(likelihood, result)
        except InputError as error:
            raise InputError(f"{error}. The result without the networks is in {folder}") from None
        save(result, folder)
    report(result)
    for level, band in network_bands(result).items():
        print_frame(band, f"single networks: ends of {level:.0%} intervals, median and central 68%")
    if replicas and not result.valid:
        note("the networks are not fitted, since the fit of their mean did not converge")
    say(folder / "fit_result.json", "the result")
    say(folder / "fit_results.json", "the same in SMEFiT's format")


def save(result: FitResult, folder: Path) -> None:
    """Write the result, here and in SMEFiT's format."""
    result.save(folder / "fit_result.json")
    result.save_smefit(folder / "fit_results.json")


def report(result: FitResult) -> None:
    """Print intervals, and whatever is wrong with the fit."""
    units = "coefficients in TeV^-2" + (", nuisances in their own units" if result.nuisances else "")
    if result.valid:
        print_frame(result.table(), f"{result.method}: {units}")
    console.print(f"-2 log L relative to the SM: {result.m2logl:.4g}", highlight=False)
    if result.logz is not None:
        console.print(f"log Z: {result.logz:.3f} +- {result.logz_error:.3f}", highlight=False)
    if not result.valid:
        console.print("[bold red]the fit did not converge[/bold red]")
    for message in result.messages:
        note(message)
