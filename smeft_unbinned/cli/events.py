"""smeft-unbinned events: read simulated events of a generator."""

from __future__ import annotations

from pathlib import Path

import click

from .options import names, operators_option, output_file, print_frame, say


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--observables", callback=names, help="Observables such as pt[h],mass[j1+j2],delta_phi[j1,j2]; "
              "default: a set chosen from the final state.")  # fmt: skip
@operators_option
@click.option("--max-events", type=int, help="Read at most so many events.")
@output_file
def command(
    files: tuple[Path, ...], observables: tuple[str, ...] | None, operators: tuple[str, ...] | None,
    max_events: int | None, output: Path,
) -> None:  # fmt: skip
    """Read LHE files (.lhe, .lhe.gz) with weights at several coefficient points.

    The points are taken from the `set param_card` lines of the header; the weights of every event are
    inverted to its truth polynomial, and named observables are computed from the four-momenta.

    Example: smeft-unbinned events unweighted_events.lhe.gz -o vbf.events
    """
    from ..events.lhe import read_lhe

    events = read_lhe(
        list(files), observables=observables, operators=operators, max_events=max_events, progress=True
    )
    events.save(output)
    print_frame(events.features.describe().T[["mean", "std", "min", "max"]], "features")
    say(output, f"{len(events)} events in {', '.join(events.operators)}")
