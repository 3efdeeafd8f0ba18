"""Where in coefficient space each weight of an LHE file stands, from the words in its header.

MadGraph's reweighting writes into `<initrwgt>` what each weight changed with respect to the parameter card,

    <weight id='cHW_0p1'>set param_card smeft 7 0.1 # orig: 0.0

(one line per parameter; none for the card's own point), and the card itself into `<slha>`, whose comments
hold the names (`7 0.0 # cHW`). Coefficients become c/Lambda^2 in TeV^-2 with the cutoff of the card.
SMEFTsim (arXiv:2012.11343) writes its names in lower case there; they get their published spelling back,
and cHDD is called cHD here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import InputError, nearest

_STANDARD_MODEL = ("mass", "decay", "sminputs", "yukawa", "wolfenstein", "ckmblock", "loop", "smeftcutoff")
_SMEFTSIM_BLOCKS = ("smeft", "smeftcpv")
_NAMES = """
    cG cW cH cHbox cHDD cHG cHW cHB cHWB cGtil cWtil cHGtil cHWtil cHBtil cHWBtil
    cHl1 cHl3 cHe cHq1 cHq3 cHu cHd cHud cHudRe cHudIm cHj1 cHj3 cHt cHbq cHtbRe cHtbIm
    cuHRe cdHRe ceHRe ctHRe cbHRe cuHIm cdHIm ceHIm ctHIm cbHIm
    cuGRe cuWRe cuBRe ctGRe ctWRe ctBRe cuGIm cuWIm cuBIm ctGIm ctWIm ctBIm
    cdGRe cdWRe cdBRe cbGRe cbWRe cbBRe cdGIm cdWIm cdBIm cbGIm cbWIm cbBIm ceWRe ceBRe ceWIm ceBIm
"""
_SPELLING = {name.lower(): name for name in _NAMES.split()} | {"chdd": "cHD"}
_THIRD = """
    cHQ1 cHQ3 cQj11 cQj18 cQj31 cQj38 cQQ1 cQQ8 cQu1 cQu8 cQt1 cQt8 cQd1 cQd8 cQb1 cQb8 cQl1 cQl3 cQe
"""  # with the flavour assumptions top and topU3l, Q is the doublet of the third generation
_TOP = {name.lower(): name for name in _THIRD.split()}
_SMALL = 1e-8


@dataclass(frozen=True)
class CardEntry:
    """One line of the parameter card: its name (from the comment) and its value."""

    name: str
    value: float


Card = Mapping[tuple[str, tuple[int, ...]], CardEntry]
"""Entries of a parameter card by block (lower case) and number."""


@dataclass(frozen=True)
class Points:
    """Points of an LHE file's weights.

    operators: names that vary. points: values of all of these, in TeV^-2, by weight id.
    nominal: the point at which the events were generated, that of XWGTUP; None where it is not known.
    ignored: weight ids that do not stand at a point: scales, parton densities, Standard Model parameters.
    basis: "warsaw" for SMEFTsim's blocks, else "unknown".
    """

    operators: tuple[str, ...]
    points: dict[str, dict[str, float]]
    nominal: dict[str, float] | None = None
    ignored: tuple[str, ...] = field(default=())
    basis: str = "unknown"


def spelling(name: str, model: str = "") -> str:
    """Return a coefficient's name as this package writes it, from any capitalisation of SMEFTsim's."""
    low = name.lower()
    if "top" in model.lower() and low in _TOP:
        return _TOP[low]
    if name != low and name not in ("CHDD", "cHDD"):
        return name  # written with capitals: cHd and cHD differ
    return _SPELLING.get(low, name)


def parse_card(text: str) -> dict[tuple[str, tuple[int, ...]], CardEntry]:
    """Return the entries of a parameter card; a block written twice counts as last written."""
    card: dict[tuple[str, tuple[int, ...]], CardEntry] = {}
    block = ""
    for line in text.splitlines():
        body, _, comment = line.partition("#")
        words = body.split()
        if not words:
            continue
        if words[0].lower() in ("block", "decay"):
            block = words[1].lower() if words[0].lower() == "block" and len(words) > 1 else "decay"
            continue
        number, value = _numbers(words[:-1]), _float(words[-1])
        if block and number and value is not None:
            name = comment.split(":")[0].split()
            card[block, number] = CardEntry(name[0] if name else "", value)
    return card


def _numbers(words: Sequence[str]) -> tuple[int, ...]:
    return tuple(int(w) for w in words) if all(re.fullmatch(r"\d+", w) for w in words) else ()


def _float(word: str) -> float | None:
    try:
        value = float(word.lower().replace("d", "e"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_points(
    weights: Iterable[tuple[str, str, str]], card: Card, *, model: str = "", source: str = "the file"
) -> Points:
    """Return the points of weights given as (id, group, text).

    Raises InputError for a weight listed twice, a `set` line that cannot be read, a header without any, and
    a coefficient that is not zero in the card but never varied.
    """
    weights = list(weights)
    ids = [i for i, _, _ in weights]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice is not None:
        raise InputError(f"{source}: weight {twice!r} is listed twice in the header; each id may occur once")
    groups = {group for _, group, text in weights if _lines(text)}
    if not groups:
        found = (
            f"{len(ids)} weights ({', '.join([*ids[:5], *['...'][: len(ids) > 5]])})" if ids else "no weights"
        )
        raise InputError(
            f"{source}: the header lists {found} and says of none, by 'set param_card BLOCK ID VALUE', at "
            "which coefficients it stands; pass points={weight id: {operator: value}}"
        )
    changes: dict[str, dict[tuple[str, tuple[int, ...]], float]] = {}
    base: dict[tuple[str, tuple[int, ...]], float] = {}
    for identity, group, text in weights:
        if _lines(text) or (group in groups and not text.strip()):
            changes[identity] = _parse_sets(identity, text, card, base, source)
    ignored = [i for i in ids if i not in changes]
    ignored += [i for i, sets in changes.items() if any(block in _STANDARD_MODEL for block, _ in sets)]
    kept = {i: sets for i, sets in changes.items() if i not in ignored}
    keys = sorted({key for sets in kept.values() for key in sets})
    for key in keys:
        base.setdefault(key, card[key].value if key in card else 0.0)
    _check_fixed(card, keys, source)
    scale = _cutoff(card, source) ** -2
    names = {key: _name(key, card, model) for key in keys}
    if len(set(names.values())) != len(names):
        raise InputError(
            f"{source}: the card gives two entries one name: {sorted(names.values())}; pass points="
        )
    values = {i: {names[k]: sets.get(k, base[k]) * scale for k in keys} for i, sets in kept.items()}
    blocks = {block for block, _ in keys}
    basis = "warsaw" if blocks <= set(_SMEFTSIM_BLOCKS) else "unknown"
    nominal = {names[k]: base[k] * scale for k in keys}
    return Points(tuple(names.values()), values, nominal, tuple(ignored), basis)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().lower().startswith("set ")]


def _parse_sets(
    identity: str,
    text: str,
    card: Card,
    base: dict[tuple[str, tuple[int, ...]], float],
    source: str,
) -> dict[tuple[str, tuple[int, ...]], float]:
    """Return the values that a weight's text sets, and note the original ones in `base`."""
    sets: dict[tuple[str, tuple[int, ...]], float] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        body, _, comment = line.partition("#")
        if not body.strip():
            continue
        words = body.split()
        words = words[2:] if [w.lower() for w in words[:2]] == ["set", "param_card"] else words[1:]
        key, value = _key(words, card), _float(words[-1]) if words else None
        if key is None or value is None or not body.lower().startswith("set "):
            raise InputError(
                f"{source}: weight {identity!r}: cannot read {line!r}, expected 'set param_card BLOCK ID "
                "VALUE'; pass points={weight id: {operator: value}}"
            )
        sets[key] = value
        original = re.match(r"\s*orig:\s*(\S+)", comment)
        before = _float(original.group(1)) if original else None
        if before is not None and base.setdefault(key, before) != before:
            raise InputError(
                f"{source}: weight {identity!r} says that {' '.join(words[:-1])} was {before:g} originally, "
                f"another weight says {base[key]:g}; pass points={{weight id: {{operator: value}}}}"
            )
    return sets


def _key(words: Sequence[str], card: Card) -> tuple[str, tuple[int, ...]] | None:
    """Return block and number of `BLOCK ID... VALUE`, or of `NAME VALUE` through the card."""
    if len(words) == 2:
        found = [key for key, entry in card.items() if entry.name.lower() == words[0].lower()]
        return found[0] if len(found) == 1 else None
    numbers = _numbers(words[1:-1])
    return (words[0].lower(), numbers) if numbers else None


def _name(key: tuple[str, tuple[int, ...]], card: Card, model: str) -> str:
    block, numbers = key
    written = card[key].name if key in card else ""
    name = written or "_".join([block, *map(str, numbers)])
    return spelling(name, model) if block in _SMEFTSIM_BLOCKS else name


def _cutoff(card: Card, source: str) -> float:
    """Return Lambda in TeV: the card's entry of that name, in GeV, or 1 TeV."""
    values = [e.value / 1000.0 for e in card.values() if e.name.lower() in ("lambda", "lambdasmeft")]
    if not values or values[-1] <= 0:
        return 1.0
    if not 1e-6 < values[-1] < 1e6:
        raise InputError(f"{source}: the card's Lambda is {values[-1]:g} TeV; correct it, or pass points=")
    return values[-1]


def _check_fixed(card: Card, keys: Sequence[tuple[str, tuple[int, ...]]], source: str) -> None:
    blocks = {block for block, _ in keys}
    for key, entry in card.items():
        other = key[0] in blocks and key not in keys and abs(entry.value) > _SMALL
        if other and not entry.name.lower().startswith(("lambda", "mu")):
            raise InputError(
                f"{source}: the card has {entry.name or key} = {entry.value:g} and no weight sets it to "
                "another value, so the SM point is out of reach; generate with it at zero, or pass points="
            )


def user_points(points: Mapping[str, Mapping[str, float]], listed: Sequence[str], source: str) -> Points:
    """Return the points that a user gives, {weight id: {operator: value in TeV^-2}}.

    Raises InputError for an id that the header does not list and for a value that is not a finite number.
    """
    for identity, values in points.items():
        if listed and identity not in listed:
            known = f"{', '.join(listed[:10])}{', ...' if len(listed) > 10 else ''}"
            raise InputError(
                f"{source}: unknown weight {identity!r} in points; the header lists {known}."
                f"{nearest(identity, listed)}"
            )
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise InputError(f"points[{identity!r}][{name!r}] must be a finite number, got {value!r}")
    operators = tuple(dict.fromkeys(name for values in points.values() for name in values))
    full = {i: {name: float(v.get(name, 0.0)) for name in operators} for i, v in points.items()}
    return Points(operators, full)


def select(found: Points, operators: Sequence[str] | None, source: str, model: str = "") -> Points:
    """Return the points at which all but these operators vanish, with the operators in the order given.

    Raises InputError for an operator that no weight varies.
    """
    if operators is None:
        return found
    if isinstance(operators, str):
        raise InputError(f"operators must be a sequence of names, got the single string {operators!r}")
    names = tuple(n if n in found.operators else spelling(n, model) for n in operators)
    for name in names:
        if name not in found.operators:
            raise InputError(
                f"{source}: no weight varies operator {name!r}; they vary {', '.join(found.operators)}."
                f"{nearest(name, found.operators)}"
            )

    def inside(point: Mapping[str, float]) -> bool:
        return all(value == 0 for name, value in point.items() if name not in names)

    points = {i: {n: p[n] for n in names} for i, p in found.points.items() if inside(p)}
    nominal = found.nominal if found.nominal is not None and inside(found.nominal) else None
    nominal = None if nominal is None else {n: nominal[n] for n in names}
    return Points(names, points, nominal, found.ignored, found.basis)
