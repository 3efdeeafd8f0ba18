"""smeft-unbinned generate: events of an exactly known process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import check_distinct, finite, operators_option, output_file, positive, say, seed_option

PROCESSES = ("ZH", "WH", "ttbar", "toy")


@click.command()
@click.argument("process", type=click.Choice(PROCESSES, case_sensitive=False), default="ZH")
@click.option("-n", "--events", "count", default=100_000, show_default=True, help="Number of events.")
@click.option("--energy", default=14_000.0, show_default=True, callback=positive,
              help="Proton-proton energy, GeV.")  # fmt: skip
@operators_option
@click.option("--weighted/--unweighted", default=True, show_default=True,
              help="Weighted events cover the high-energy tail better.")  # fmt: skip
@click.option("--pt-min", type=float, default=0.0, show_default=True, callback=finite,
              help="Smallest transverse momentum, GeV.")  # fmt: skip
@click.option("--density", type=click.Path(path_type=Path),
              help="Grid file or folder of an LHAPDF set; default Les Houches 2001.")  # fmt: skip
@seed_option
@output_file
def command(
    process: str, count: int, energy: float, operators: tuple[str, ...] | None, weighted: bool, pt_min: float,
    density: Path | None, seed: int, output: Path,
) -> None:  # fmt: skip
    """Generate SM events of PROCESS with exact truth polynomials.

    ZH and WH with leptonic decay, t tbar, and the one-dimensional toy of arXiv:2410.07315 (which has no
    energy, cuts or density).

    Example: smeft-unbinned generate ZH -n 100000 --operators cHW,cHq3 -o zh.events
    """
    from ..processes import HADRONIC, find
    from ..processes.lhagrid import LHAGrid

    check_distinct([output], [density])
    options: dict[str, Any] = {"operators": operators or find(process).DEFAULT}
    if process in HADRONIC:
        options |= {"energy": energy, "unweighted": not weighted, "pt_min": pt_min}
        options |= {} if density is None else {"density": LHAGrid(density)}
    events = find(process).generate(count, seed=seed, progress=True, **options)
    events.save(output)
    say(output, f"{len(events)} events in {', '.join(events.operators)}")
