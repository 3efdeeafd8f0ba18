"""smeft-unbinned generate: events of an exactly known process."""

from __future__ import annotations

from pathlib import Path

import click

from .options import operators_option, output_file, say, seed_option


@click.command()
@click.argument("process", type=click.Choice(["ZH", "WH"], case_sensitive=False), default="ZH")
@click.option("-n", "--events", "count", default=100_000, show_default=True, help="Number of events.")
@click.option("--energy", default=14_000.0, show_default=True, help="Proton-proton energy, GeV.")
@operators_option
@click.option("--weighted/--unweighted", default=True, show_default=True,
              help="Weighted events cover the high-energy tail better.")  # fmt: skip
@click.option("--pt-min", type=float, default=0.0, show_default=True, help="Smallest pT of the boson, GeV.")
@seed_option
@output_file
def command(
    process: str, count: int, energy: float, operators: tuple[str, ...] | None, weighted: bool, pt_min: float,
    seed: int, output: Path,
) -> None:  # fmt: skip
    """Generate SM events of PROCESS (pp -> VH with leptonic decay) with exact truth polynomials.

    Example: smeft-unbinned generate ZH -n 100000 --operators cHW,cHq3 -o zh.events
    """
    from ..processes import vh

    chosen = vh.DEFAULT if operators is None else operators
    events = vh.generate(
        count, process=process.upper(), energy=energy, operators=chosen, seed=seed, unweighted=not weighted,
        pt_min=pt_min, progress=True,
    )  # fmt: skip
    events.save(output)
    say(output, f"{len(events)} events in {', '.join(events.operators)}")
