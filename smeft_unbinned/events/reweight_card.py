"""MadGraph's reweighting cards: the points at which a sample's weights stand, in order.

    launch --rwgt_name=cHW_0p1
    set SMEFT 7 0.1

A block of `set` lines follows each `launch`; what a block does not set keeps the value of the parameter card
that the events were generated with. Names of coefficients come from that card's comments, or from the user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, nearest
from . import lhe_points
from .assembly import as_paths

_OTHER = ("change", "compute_widths", "decay", "done", "exit", "0", "update", "import", "help")


def parse_reweight_card(
    path: str | os.PathLike[str],
    *,
    names: Mapping[str, str] | None = None,
    param_card: str | os.PathLike[str] | None = None,
    model: str = "",
) -> dict[str, dict[str, float]]:
    """Return {weight name: {operator: value in TeV^-2}} in the order of the card.

    names: {"BLOCK ID": operator} for cards whose names are not known otherwise; without, `smeft 7` becomes
        smeft_7. param_card: the card at generation, which gives names, values not set, and Lambda; without it
        these are zero and 1 TeV. model: of MadGraph, such as "SMEFTsim_top_MwScheme_UFO", for the spelling.
    A launch without --rwgt_name is called rwgt_1, rwgt_2, ..., as MadGraph does.
    Raises InputError naming file and line for what cannot be read.
    """
    (file,) = as_paths(path, "reweighting card")
    blocks = _blocks(file)
    card = (
        {} if param_card is None else lhe_points.parse_card(_text(as_paths(param_card, "parameter card")[0]))
    )
    weights = [(name, "card", "\n".join(lines)) for name, lines in blocks.items()]
    found = lhe_points.parse_points(weights, card, model=model, source=file.name)
    if found.ignored:
        raise InputError(
            f"{file.name}: weight {found.ignored[0]!r} changes a parameter of the Standard Model; give the "
            "other points by hand"
        )
    return _rename(found.points, names or {}, file.name)


def _rename(
    points: Mapping[str, Mapping[str, float]], names: Mapping[str, str], source: str
) -> dict[str, dict[str, float]]:
    known = list(dict.fromkeys(name for point in points.values() for name in point))
    new = {}
    for key, name in names.items():
        old = "_".join(str(key).lower().split())
        if old not in known:
            raise InputError(f"{source} never sets {key!r}; it sets {', '.join(known)}.{nearest(old, known)}")
        new[old] = name
    if len({new.get(n, n) for n in known}) < len(known):
        raise InputError(f"{source}: names= gives two parameters one name: {dict(names)}")
    return {label: {new.get(n, n): x for n, x in point.items()} for label, point in points.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not a text file: {error}") from error


def _blocks(path: Path) -> dict[str, list[str]]:
    """Return the `set` lines of each launch by its name."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        body = line.partition("#")[0].strip()
        words = body.split()
        if not words or words[0].lower() in _OTHER:
            continue
        if words[0].lower() == "launch":
            match = re.search(r"--rwgt_name[=\s]\s*(\S+)", body)
            name = match.group(1) if match else f"rwgt_{len(blocks) + 1}"
            if name in blocks:
                raise InputError(f"{path.name}, line {number}: weight {name!r} is launched twice")
            blocks[name] = []
        elif words[0].lower() == "set" and name and len(words) > 2:
            blocks[name].append(" ".join(words))
        else:
            raise InputError(
                f"{path.name}, line {number}: cannot read {line.strip()[:60]!r}, expected 'launch "
                "[--rwgt_name=NAME]' and after it 'set BLOCK ID VALUE'"
            )
    if not blocks:
        raise InputError(f"{path.name} launches no weight; expected 'launch' and 'set BLOCK ID VALUE' lines")
    return blocks
