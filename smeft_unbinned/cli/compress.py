"""smeft-unbinned compress: fewer events, the same -2 log L where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ..compress import compress
from ..datasets import UnbinnedDataset
from .options import check_distinct, console, note, output_file, positive, say, seed_option


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--tolerance", type=float, default=0.05, show_default=True, callback=positive,
              help="Largest |change of -2 log L| in the region.")  # fmt: skip
@click.option("--rise", type=float, default=25.0, show_default=True, callback=positive,
              help="The region: -2 log L up to this much above its minimum.")  # fmt: skip
@seed_option
@output_file
def command(dataset: Path, tolerance: float, rise: float, seed: int, output: Path) -> None:
    """Write an unbinned DATASET with fewer events, to be fitted like any other, and faster.

    Events that are close in r over the region are merged, their weights are made to agree with all events,
    and the largest change of -2 log L in the region is searched for by optimisation over all events. The
    number of events doubles until that is below the tolerance. The file records it all; see it with inspect.

    The region is that of this dataset alone, in all of its operators. Operators that it hardly constrains
    make the region large and more events necessary: a fit of few operators needs a dataset of those only.

    Example: smeft-unbinned compress zh.dataset -o zh_small.dataset
    """
    check_distinct([output], [dataset])
    full = UnbinnedDataset.load(dataset)
    small = compress(full, tolerance=tolerance, rise=rise, seed=seed, progress=True)
    small.save(output)
    record: dict[str, Any] = small.metadata["compression"]
    certificate = record["certificate"]
    sizes = dataset.stat().st_size, output.stat().st_size
    table = Table(show_header=False)
    for what, value in (
        ("events", f"{len(full):,} -> {len(small):,}, {len(full) / len(small):.4g} times fewer"),
        ("size of the file", f"{sizes[0] / 1e6:.4g} MB -> {sizes[1] / 1e6:.4g} MB"),
        ("largest |change of -2 log L|", f"{certificate['largest']:.3g}, tolerance {tolerance:g}"),
        ("found at", ", ".join(f"{name} = {x:.4g}" for name, x in certificate["at"].items())),
        ("where -2 log L is", f"{certificate['height']:.4g} above its minimum, region up to {rise:g}"),
        ("searches", f"{certificate['starts']}, of which {certificate['converged']} converged"),
    ):
        table.add_row(what, value)
    console.print(table)
    if record["dropped"]:
        note(f"the {' and '.join(record['dropped'])} of the ensemble are not in the new file")
    if certificate["converged"] < certificate["starts"]:
        note("some searches for the largest change did not converge; the number above is the largest seen")
    say(output, f"{len(small)} events, {', '.join(small.operators)}")
