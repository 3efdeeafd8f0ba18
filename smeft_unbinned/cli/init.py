"""smeft-unbinned init: a commented runcard to start from."""

from __future__ import annotations

from pathlib import Path

import click

from ..card_template import template
from ..errors import InputError
from ..storage import write_text
from .options import SEED, say, target


@click.command()
@click.argument("card", type=click.Path(dir_okay=False, path_type=Path), default=Path("card.yaml"),
                callback=target)  # fmt: skip
@click.option("--dataset", "files", type=click.Path(path_type=Path), multiple=True,
              help="File of an unbinned or Poisson dataset; repeat for several.")  # fmt: skip
@click.option("--binned", multiple=True, metavar="NAME[:ORDER]",
              help="Binned dataset of the tables; repeat for several.")  # fmt: skip
@click.option(
    "--data-path", type=click.Path(path_type=Path), help="Folder of commondata; default shipped tables."
)
@click.option(
    "--theory-path", type=click.Path(path_type=Path), help="Folder of theory; default that of the data."
)
@click.option("--basis", default="smefit", show_default=True, help="Names of the coefficients.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed that the card holds.")
@click.option("--force", is_flag=True, help="Replace a card that is there.")
def command(
    card: Path, files: tuple[Path, ...], binned: tuple[str, ...], data_path: Path | None,
    theory_path: Path | None, basis: str, seed: int, force: bool,
) -> None:  # fmt: skip
    """Write a runcard with a comment on every key to CARD, default card.yaml.

    Its coefficients are those that the datasets depend on. Their prior ranges are about ten errors of each
    alone to either side: change them to what you believe before you sample. Without datasets, the card is one
    of the shipped ZH tables. Check it with `validate`, run it with `fit`.

    \b
    Example: smeft-unbinned init
             smeft-unbinned init zh.yaml --dataset zh_14tev.dataset --binned ZH_13TeV_STXS:LO
             smeft-unbinned init top.yaml --binned CMS_tt_13TeV_ljets_2016_Mtt:NLO_QCD \\
                 --data-path smefit_database/commondata --theory-path smefit_database/theory
    """
    if card.exists() and not force:
        raise InputError(f"{card} is there already; choose another name, or add --force to replace it")
    entries = [(name, order) for name, _, order in (text.partition(":") for text in binned)]
    folder = card.resolve().parent
    write_text(card, template(folder, files, entries, data_path, theory_path, basis, seed))
    say(card, f"a runcard; next: smeft-unbinned validate {card}, smeft-unbinned fit {card}")
