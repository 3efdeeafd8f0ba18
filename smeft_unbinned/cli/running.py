"""smeft-unbinned running: matrices of running coefficients, computed once or taken from SMEFiT's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from ..errors import InputError
from ..rg_matrix import read_rg_matrix
from ..rge import Running
from ..runcard import Runcard
from .options import check_distinct, note, output_file, say


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@output_file
def command(source: Path, output: Path) -> None:
    """Write the running of the coefficients to the scales of all data of a runcard, or convert a file.

    SOURCE is a runcard with a block `rge`, or a file that SMEFiT wrote (rge_matrix.pkl), which is read
    without being executed. The output is what the block can name as `rg_matrix`. Computing needs SMEFiT;
    whatever OUTPUT holds already is not computed again, so an interrupted run goes on where it stopped.

    \b
    Example: smeft-unbinned running card.yaml -o running.safetensors
             smeft-unbinned running rge_matrix.pkl -o running.safetensors
    """
    check_distinct([output], [source])
    if source.suffix in (".yaml", ".yml"):
        running = _of_card(Runcard.load(source), output)
    else:
        settings, matrices = read_rg_matrix(source)
        names = sorted({name for matrix in matrices.values() for name in matrix.names})
        running = Running.parse({**settings, "rg_matrix": str(source.resolve())}, names)
        running.save(output)
    for text in running.notes:
        note(text)
    say(output, "matrices of running coefficients; name it as rg_matrix in the block rge of a card")


def _of_card(card: Runcard, output: Path) -> Running:
    """Compute what the data of a card need, and write it."""
    if card.rge is None:
        raise InputError("the card has no block rge, so that nothing runs; add one with init_scale")
    block = {**card.rge, **({"rg_matrix": str(output.resolve())} if output.exists() else {})}
    running = replace(card, rge=block).running
    assert running is not None
    scales: list[float] = []
    for dataset in replace(card, rge=None).load_datasets():
        metadata = getattr(dataset, "metadata", {})
        if "datasets" in metadata:
            own = [e["scales"] or [np.nan] * e["points"] for e in metadata["datasets"]]
            scales += [float(x) for row in own for x in running.point_scales(row)]
        else:
            scales.append(running.dataset_scale(metadata.get("scale"), dataset.name))
    running.prepare(scales, file=output, progress=True)
    return running
