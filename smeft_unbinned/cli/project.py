"""smeft-unbinned project: measurements at other luminosities or at a point in the EFT."""

from __future__ import annotations

from pathlib import Path

import click

from ..projection import NOISE, project
from ..projection_card import ProjectionCard
from .options import SEED, luminosity_option, note, say


@click.command()
@click.argument("card", type=click.Path(path_type=Path))
@luminosity_option
@click.option("--noise", type=click.Choice(NOISE), default=NOISE[0], show_default=True,
              help="L0: data are the prediction; L1: they fluctuate about it.")  # fmt: skip
@click.option("--seed", type=SEED, help="Seed of the noise; results then go to the folder seed_N.")
@click.option("--theory-beside", is_flag=True, help="Write NAME_proj.json beside NAME.json, as SMEFiT does.")
def command(card: Path, luminosity: float | None, noise: str, seed: int | None, theory_beside: bool) -> None:
    """Project the measurements of CARD, a YAML file with the keys of SMEFiT's PROJ.

    With --luminosity each becomes NAME_proj, with statistical uncertainties of that luminosity and
    systematic ones times fred_sys (times fred_tot where there are no others). Without it uncertainties stay
    and NAME.yaml has data at the coefficients of the card, for closure tests.

    Fits find them through data_path and theory_path, which can be lists of folders.

    \b
    Example: smeft-unbinned project hllhc.yaml --luminosity 3000
             smeft-unbinned project hllhc.yaml --luminosity 3000 --noise L1 --seed 1
    """
    theory = "beside" if theory_beside else "projections"
    made = project(ProjectionCard.load(card), luminosity=luminosity, noise=noise, seed=seed, theory=theory)
    for text in made.notes:
        note(text)
    points = sum(d.data.size for d in made.datasets.values())
    say(made.files[0].parent, f"{len(made.files)} files, {len(made.datasets)} datasets with {points} points")
