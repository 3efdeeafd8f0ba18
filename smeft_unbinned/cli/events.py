"""smeft-unbinned events: read simulated events of a generator."""

from __future__ import annotations

from pathlib import Path

import click

from .options import check_distinct, names, operators_option, output_file, positive, print_frame, say


def _observables(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, str] | tuple[str, ...] | None:
    """Parse a list of names, or of FEATURE=COLUMN pairs."""
    parts = names(ctx, parameter, value)
    if parts is None or not all("=" in part for part in parts):
        return parts
    return {feature.strip(): column.strip() for feature, column in (part.split("=", 1) for part in parts)}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--observables", callback=_observables, help="What becomes features, separated by commas: "
              "LHE observables such as pt[h],mass[j1+j2] (default: a set chosen from the final "
              "state); MadMiner observables; branches or columns, FEATURE=COLUMN to rename.")  # fmt: skip
@click.option("--points", type=click.Path(path_type=Path), help="Points of the weights: YAML "
              "{weight: {operator: value}}, or a MadGraph reweighting card for ROOT.")  # fmt: skip
@click.option("--tree", default="Events", show_default=True, help="Tree of ROOT files.")
@click.option("--nominal", help="Branch or column that multiplies every weight, such as genWeight.")
@click.option("--cross-section", type=float, callback=positive,
              help="SM cross section in pb that the weights are scaled to.")  # fmt: skip
@click.option("--drop-non-positive", is_flag=True, help="Leave out events whose SM weight is not positive.")
@operators_option
@click.option("--max-events", type=int, help="Read at most so many events.")
@output_file
def command(
    files: tuple[Path, ...], observables: dict[str, str] | tuple[str, ...] | None, points: Path | None,
    tree: str, nominal: str | None, cross_section: float | None, drop_non_positive: bool,
    operators: tuple[str, ...] | None, max_events: int | None, output: Path,
) -> None:  # fmt: skip
    """Read simulated events with weights at several coefficient points.

    The format follows from the name: .lhe, .lhe.gz; .h5 (MadMiner); .root; .parquet, .csv, .tsv. The
    weights of every event are inverted to its truth polynomial. The points of LHE files are taken from the
    `set param_card` lines of the header, and observables are computed from the four-momenta.

    Example: smeft-unbinned events unweighted_events.lhe.gz -o vbf.events
    """
    from ..events.dispatch import read_events

    check_distinct([output], [*files, points])
    events = read_events(
        files, observables=observables, points=points, operators=operators, tree=tree, nominal=nominal,
        cross_section_pb=cross_section, non_positive="drop" if drop_non_positive else "error",
        max_events=max_events, progress=True,
    )  # fmt: skip
    events.save(output)
    print_frame(events.features.describe().T[["mean", "std", "min", "max"]], "features")
    say(output, f"{len(events)} events in {', '.join(events.operators) or 'no coefficients: without truth'}")
