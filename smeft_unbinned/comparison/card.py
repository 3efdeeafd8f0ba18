"""The card of a comparison: one measurement, and the versions in which it is read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import yamlfile
from ..errors import InputError, brief, nearest
from ..processes import find
from ..rules import number
from ..runcard_keys import check_keys, check_types
from .schemes import Scheme, parse_schemes

TERMS = ("linear", "quadratic")
"""Orders in 1/Lambda^2 of the rates: up to the first, or up to the second."""
MEMBERS = ("alone", "both", "none")
"""Fits that every network of an ensemble gets: of one coefficient at a time, of all together too, or none."""
RENAMED = {"global": "rest"}
"""Keys of the file that are no names in Python, with the field."""
PROCESS_KEYS = ("name", "n", "seed", "operators", "energy", "weighted", "pt_min", "mass_range", "tail")
_TYPES: dict[str, tuple[type, ...]] = {
    "events": (str,), "process": (dict,), "model": (str,), "train": (dict,), "luminosity": (float, int),
    "efficiency": (float, int), "operators": (list,), "levels": (list,), "at": (dict,), "members": (str,),
    "rest": (str,), "seed": (int,), "output": (str,),
}  # fmt: skip


@dataclass(frozen=True)
class ComparisonCard:
    """A comparison. Field names are the keys of the YAML file; relative paths start at the card's folder."""

    luminosity: float
    """Integrated luminosity in fb^-1."""
    events: str | None = None
    """File of simulated events with truth, from which all versions are made."""
    process: Mapping[str, Any] | None = None
    """Events generated in their place: name, n, seed, and options, see PROCESS_KEYS."""
    model: str | None = None
    """File of an estimator; without it and `train` there is no version of a network."""
    train: Mapping[str, Any] | None = None
    """Settings of a training on the events (`TrainSettings`, options of its entries), and `features`."""
    efficiency: float = 1.0
    """All that multiplies the rate: branching fractions, acceptance, efficiency."""
    operators: tuple[str, ...] | None = None
    """Coefficients; default all of the events."""
    levels: tuple[float, ...] = (0.68, 0.95)
    """Confidence levels of the intervals; ratios of widths are at the highest."""
    quadratic: bool | str = True
    """Rates up to the second order in 1/Lambda^2 (true), up to the first (false), or "both"."""
    at: Mapping[str, float] = field(default_factory=dict)
    """Coefficients that the data stand for, in TeV^-2; default the SM."""
    schemes: tuple[Scheme, ...] = ()
    """Binned versions."""
    members: str = "alone"
    """Fits of every network of the ensemble: "alone" (one coefficient at a time), "both" or "none"."""
    contours: str | tuple[tuple[str, str], ...] = "auto"
    """Pairs of coefficients, "all" pairs, "none", or "auto": all pairs of up to three coefficients."""
    rest: str | None = None
    """Key `global`: runcard of further datasets; every version is fitted without and with them."""
    seed: int = 0
    """Seed of random choices: the halves of optimal bins, and of training without a seed of its own."""
    output: str = "comparison"
    """Folder of the results."""
    folder: Path = field(default=Path("."), repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ComparisonCard:
        """Read a YAML card; raise InputError for a missing file, bad YAML, or a key that cannot be used."""
        file = Path(path)
        return cls.from_dict(yamlfile.read(file, "comparison card"), file.resolve().parent, str(file))

    @classmethod
    def from_dict(
        cls, content: Any, folder: str | os.PathLike[str] = ".", source: str = "comparison card"
    ) -> ComparisonCard:
        """Build from the parsed content of a card; `folder` is where relative paths start."""
        if not isinstance(content, dict):
            raise InputError(f"{source} must hold keys and values, got {type(content).__name__}")
        back = {v: k for k, v in RENAMED.items()}
        known = [back.get(f.name, f.name) for f in fields(cls) if f.name != "folder"]
        check_keys(content, known, known, source)
        values: dict[str, Any] = {RENAMED.get(str(k), str(k)): v for k, v in content.items() if v is not None}
        check_types(values, _TYPES, source)
        if ("events" in values) == ("process" in values):
            raise InputError(f"{source} needs either events, a file, or process, what to generate")
        if "model" in values and "train" in values:
            raise InputError(f"{source}: model and train exclude each other; give one of them")
        if "process" in values:
            values["process"] = _process(values["process"], source)
        for key, least in (("luminosity", None), ("efficiency", 1.0)):
            if not 0 < values.get(key, least or 0) < math.inf:
                raise InputError(f"{source} needs a {key} above zero, got {brief(values.get(key))}")
        values["schemes"] = parse_schemes(values.get("schemes", []), source)
        _read_choices(values, source)
        return cls(**values, folder=Path(folder))

    @property
    def terms(self) -> tuple[str, ...]:
        """The orders of the rates that are compared."""
        if self.quadratic == "both":
            return TERMS
        return TERMS[1:] if self.quadratic else TERMS[:1]

    @property
    def level(self) -> float:
        """The level at which widths are compared."""
        return max(self.levels)


def _process(content: dict[str, Any], source: str) -> dict[str, Any]:
    check_keys(content, PROCESS_KEYS, PROCESS_KEYS, f"{source}: process")
    name = content.get("name")
    if not isinstance(name, str):
        raise InputError(f"{source}: process needs a name, ZH say")
    find(name)
    n = content.get("n", 100_000)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise InputError(f"{source}: n of the process is a number of events, got {brief(n)}")
    return {**content, "n": n, "seed": content.get("seed", 1)}


def _read_choices(values: dict[str, Any], source: str) -> None:
    """Check and convert the keys that take several kinds of values, in place."""
    if values.get("quadratic", True) not in (True, False, "both"):
        raise InputError(
            f"{source}: quadratic is true, false or both, got {brief(values['quadratic'])}; both compares "
            "linear and quadratic rates"
        )
    if values.get("members", "alone") not in MEMBERS:
        raise InputError(f"{source}: members is one of {', '.join(MEMBERS)}, got {brief(values['members'])}")
    if "operators" in values:
        values["operators"] = _names(values["operators"], "operators", source)
    if "levels" in values:
        levels = tuple(x for x in map(number, values["levels"]) if x is not None and 0 < x < 1)
        if len(set(levels)) != len(values["levels"]) or not levels:
            raise InputError(
                f"{source}: levels are different numbers between 0 and 1, got {brief(values['levels'])}"
            )
        values["levels"] = tuple(sorted(levels))
    if "at" in values:
        point = {str(k): number(v) for k, v in values["at"].items()}
        if bad := [k for k, v in point.items() if v is None]:
            raise InputError(f"{source}: at needs numbers in TeV^-2, got none for {', '.join(bad)}")
        values["at"] = point
    if not 0 <= values.get("seed", 0) < 2**32:
        raise InputError(f"{source}: seed lies between 0 and {2**32 - 1}, got {brief(values['seed'])}")
    if "contours" in values:
        values["contours"] = _contours(values["contours"], source)


def _names(value: Sequence[Any], key: str, source: str) -> tuple[str, ...]:
    names = tuple(map(str, value))
    if not names or len(set(names)) < len(names):
        raise InputError(f"{source}: {key} must be different names, at least one, got {brief(value)}")
    return names


def _contours(value: Any, source: str) -> str | tuple[tuple[str, str], ...]:
    if value in (True, False):
        return "all" if value else "none"
    if isinstance(value, str):
        if value not in ("all", "none", "auto"):
            raise InputError(
                f"{source}: contours is all, none, auto, or a list of pairs, got {value!r}."
                + nearest(value, ("all", "none", "auto"))
            )
        return value
    pairs = []
    for pair in value if isinstance(value, list) else [value]:
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(
                f"{source}: contours lists pairs of coefficients, [[cHW, cHq3], ...], got {brief(pair)}"
            )
        pairs.append((str(pair[0]), str(pair[1])))
    return tuple(pairs)
