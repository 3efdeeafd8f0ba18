"""The keys of a runcard: which there are, of what type, and what the entries of its lists hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InputError, brief, nearest
from .operators import DATASET_BASES
from .rules import number

SAMPLER_KEYS = (
    "lepsilon", "target_evidence_unc", "target_post_unc", "store_raw", "vectorized", "samples", "bounds",
    "float64", "mc_minimiser", "restarts", "maxiter", "use_bounds", "initial_temp", "restart_temp_ratio",
    "cluster_num_live_points", "has_posterior", "chi2_threshold", "replica",
)  # fmt: skip
"""Keys of SMEFiT that steer its own samplers and minimisers; accepted, and without effect here."""
LABELS = ("Model name", "UV Collection", "UV model")
"""Keys that describe the model in SMEFiT's cards of UV completions; accepted, and without effect."""
RENAMED = {"order": "default_order"}
"""Keys that older cards of SMEFiT have and SMEFiT 4 ignores, with what they are called now."""
RENAMED_COEFFICIENTS = {"Opd": "OpBox"}
"""Names of coefficients that SMEFiT does not take any more, with what they are called now."""
FILE_KEYS = ("unbinned", "poisson")
"""Keys of entries of `datasets` that name the file of an exported dataset."""
_TYPES: dict[str, tuple[type, ...]] = {
    "result_ID": (str,), "result_path": (str,), "data_path": (str, list), "theory_path": (str, list),
    "basis": (str,), "default_order": (str,), "use_quad": (bool,), "use_t0": (bool,),
    "use_theory_covmat": (bool,), "use_multiplicative_prescription": (bool,), "nlive": (int,), "seed": (int,),
    "n_samples": (int,), "n_replica": (int,), "frac_remain": (float, int), "cutoff_scale": (float, int),
    "coefficients": (dict,), "nuisances": (dict,), "profile": (bool,), "rge": (dict,),
    "rot_to_fit_basis": (str,), "uv_couplings": (bool,), "single_parameter_fits": (bool,),
    "pairwise_fits": (bool,), "allow_overlap": (list,),
}  # fmt: skip
_RANGES = {
    "nlive": (1, 10**9), "seed": (0, 2**32 - 1), "frac_remain": (1e-9, 1 - 1e-9), "n_samples": (0, 10**9),
    "n_replica": (0, 10**9), "cutoff_scale": (1e-9, 1e9),
}  # fmt: skip
_SWITCHES = ("rge", "rot_to_fit_basis", "cutoff_scale", "n_replica")
"""Keys that are off where they are false."""


def read_values(content: Mapping[str, Any], known: Sequence[str], source: str) -> dict[str, Any]:
    """Return the values of the known keys that a card sets, checked.

    Raises InputError naming the card and the key for unknown and outdated keys, wrong types and values out
    of range.
    """
    accepted = [*known, *SAMPLER_KEYS, *LABELS, "external_chi2"]
    for key in content:
        if key in RENAMED:
            raise InputError(
                f"{source}: the key {key!r} has no effect in SMEFiT 4; write {RENAMED[key]!r}, or the order "
                "of each dataset, and remove it"
            )
    check_keys(content, known, accepted, source)
    values = {key: content[key] for key in known if content.get(key) is not None}
    values = {key: value for key, value in values.items() if value is not False or key not in _SWITCHES}
    values["datasets"] = (*_datasets(values.get("datasets", []), source), *_external(content, source))
    for key in ("datasets", "coefficients"):
        if not values.get(key):
            raise InputError(f"{source} needs the key {key!r} with at least one entry")
    check_types(values, _TYPES, source)
    for key, (lowest, highest) in _RANGES.items():
        if not lowest <= values.get(key, lowest) <= highest:
            raise InputError(
                f"{source}: {key} must lie between {lowest} and {highest}, got {brief(values[key])}"
            )
    _check_choices(values, source)
    if "rge" in values:
        values["rge"] = {key: _converted(value) for key, value in values["rge"].items()}
    return values


def _converted(value: Any) -> Any:
    """Return the number in a text that holds one, and anything else as it is."""
    result = number(value) if isinstance(value, str) else None
    return value if result is None else result


def _datasets(entries: Any, source: str) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise InputError(f"{source}: datasets must be a list, got {type(entries).__name__}")
    known = ("name", "order", "theory_cov", *FILE_KEYS, "scale")
    result = []
    for entry in entries:
        entry = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise InputError(f"{source}: a dataset entry needs a name, got {brief(entry)}")
        where = f"{source}: dataset {entry['name']}"
        for key in entry:
            if key not in known:
                raise InputError(f"{where}: unknown key {brief(key)}.{nearest(key, known)}")
        for key, value in entry.items():
            if key != "scale" and not isinstance(value, str):
                raise InputError(f"{where}: {key} must be text, got {brief(value)}")
        if entry.keys() >= set(FILE_KEYS):
            raise InputError(f"{where}: give either unbinned or poisson, not both")
        if "scale" in entry and not set(FILE_KEYS) & entry.keys():
            raise InputError(f"{where}: scale is for exported datasets; binned ones have theirs in the table")
        result.append(_with_scale(entry, where))
    names = [e["name"] for e in result]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(f"{source}: datasets listed twice: {', '.join(twice)}")
    return result


def _external(content: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    """Return the exported datasets that the card hands to SMEFiT as external chi2 of our adapter."""
    block = content.get("external_chi2") or {}
    if not isinstance(block, dict):
        raise InputError(f"{source}: external_chi2 must be a mapping of names, got {brief(block)}")
    others = [name for name, entry in block.items() if not _is_ours(entry)]
    if others:
        what = "no unbinned dataset" if len(others) == 1 else "no unbinned datasets"
        raise InputError(
            f"{source}: external_chi2: {', '.join(map(brief, others))}: {what} of this package; remove "
            f"{'it' if len(others) == 1 else 'them'}"
        )
    for name, entry in block.items():
        for key in entry:
            if key not in ("path", "file", "scale"):
                raise InputError(f"{source}: external_chi2 {name}: unknown key {brief(key)}")
    return [
        _with_scale(
            {"name": str(name), **{k: v for k, v in entry.items() if k != "path"}}, f"{source}: {name}"
        )
        for name, entry in block.items()
    ]


def _is_ours(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and "plugins.smefit" in str(entry.get("path"))
        and isinstance(entry.get("file"), str)
    )


def _with_scale(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return an entry with its scale as a number, without one where it is null."""
    result = dict(entry)
    if result.get("scale") is None:
        result.pop("scale", None)
        return result
    result["scale"] = number(result["scale"])
    if not (result["scale"] or 0) > 0:
        raise InputError(f"{where}: scale must be a positive number in GeV, got {brief(entry['scale'])}")
    return result


def check_keys(
    content: Mapping[str, Any], known: Sequence[str], accepted: Sequence[str], source: str
) -> None:
    """Raise InputError for a key of a card that is not among the accepted ones; the known ones are listed."""
    for key in content:
        if key not in accepted:
            raise InputError(
                f"{source}: unknown key {brief(key)}; known are {', '.join(known)}."
                + nearest(str(key), accepted)
            )


def check_types(values: dict[str, Any], types: Mapping[str, tuple[type, ...]], source: str) -> None:
    """Raise InputError for a value of another type; a text that holds a number becomes one where it may.

    types: by key, the first of them for messages; what may be text or a list is one folder or several.
    """
    for key, allowed in types.items():
        value = values.get(key)
        if value is None:
            continue
        if float in allowed and isinstance(value, str) and number(value) is not None:
            values[key] = value = number(value)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise InputError(f"{source}: {key} must be {allowed[0].__name__}, got {brief(value)}")
        folders = value if isinstance(value, list) and str in allowed else [""]
        if not folders or not all(isinstance(v, str) for v in folders):
            raise InputError(f"{source}: {key} must be a folder or a list of folders, got {brief(value)}")


def _check_choices(values: Mapping[str, Any], source: str) -> None:
    basis = values.get("basis", "smefit")
    if basis not in DATASET_BASES:
        raise InputError(
            f"{source}: unknown basis {basis!r}; known are {', '.join(DATASET_BASES)}."
            + nearest(basis, DATASET_BASES)
        )
    for key in ("rge", "rot_to_fit_basis"):
        if values.get(key) and basis != "smefit":
            raise InputError(f"{source}: {key} needs coefficients of basis 'smefit', got basis {basis!r}")
    if values.get("single_parameter_fits") and values.get("pairwise_fits"):
        raise InputError(f"{source}: single_parameter_fits and pairwise_fits exclude each other; choose one")
    for name in values["coefficients"]:
        if basis == "smefit" and name in RENAMED_COEFFICIENTS:
            raise InputError(
                f"{source}: the coefficient {name} is called {RENAMED_COEFFICIENTS[name]} now; rename it"
            )
