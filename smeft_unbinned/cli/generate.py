"""smeft-unbinned generate: events of an exactly known process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..catalogue import PROCESSES
from ..errors import InputError, nearest
from .options import check_distinct, finite, operators_option, output_file, positive, say, seed_option


@click.command()
@click.argument("process", type=click.Choice(list(PROCESSES), case_sensitive=False), default="ZH")
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
@click.option("--smear", type=click.Path(path_type=Path), metavar="FILE.yaml",
              help="Resolutions of a detector by feature.")  # fmt: skip
@click.option("--copies", type=click.IntRange(1), default=1, show_default=True,
              help="With --smear: how often events with outlying labels enter, weight shared.")  # fmt: skip
@seed_option
@output_file
def command(
    process: str, count: int, energy: float, operators: tuple[str, ...] | None, weighted: bool, pt_min: float,
    density: Path | None, smear: Path | None, copies: int, seed: int, output: Path,
) -> None:  # fmt: skip
    """Generate SM events of PROCESS with exact truth polynomials.

    ZH and WH with leptonic decay, t tbar, and the one-dimensional toy of arXiv:2410.07315 (which has no
    energy, cuts or density). Installed packages add others, see CONTRIBUTING.md.

    A file for --smear has one line per smeared feature, with the width of its noise: E (stochastic/sqrt(E) +
    constant) + absolute. Truth polynomials then are labels of the event before the detector.

    \b
      pt_z: {stochastic: 1.0, constant: 0.02, limits: [0, .inf]}
      cos_theta_l: {absolute: 0.02, limits: [-1, 1]}
      phi_l: {absolute: 0.05, period: 6.283185307179586}

    Example: smeft-unbinned generate ZH -n 100000 --operators cHW,cHq3 -o zh.events
    """
    from ..processes import find, hadronic
    from ..processes.lhagrid import LHAGrid
    from ..processes.smearing import fractional_smear, load_resolutions
    from ..processes.smearing import smear as smear_once

    check_distinct([output], [density, smear])
    if smear is None and copies > 1:
        raise InputError("--copies repeats smeared events; give their resolutions with --smear FILE.yaml")
    resolutions = None if smear is None else load_resolutions(smear)
    chosen = find(process)
    _check_features(resolutions or (), chosen.columns())
    options: dict[str, Any] = {"operators": operators or chosen.DEFAULT}
    if hadronic(chosen):
        options |= {"energy": energy, "unweighted": not weighted, "pt_min": pt_min}
        options |= {} if density is None else {"density": LHAGrid(density)}
    events = chosen.generate(count, seed=seed, progress=True, **options)
    if resolutions is not None and copies == 1:
        events = smear_once(events, resolutions, seed)
    elif resolutions is not None:
        events = fractional_smear(events, resolutions, seed, copies=copies)
    events.save(output)
    say(output, f"{len(events)} events in {', '.join(events.operators)}")


def _check_features(smeared: Iterable[str], known: Sequence[str]) -> None:
    for name in smeared:
        if name not in known:
            raise InputError(
                f"--smear: unknown feature {name!r}; known are {', '.join(known)}.{nearest(name, known)}"
            )
