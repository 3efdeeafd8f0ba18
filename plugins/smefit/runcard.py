"""Runcards: ours, with entries {name, unbinned: file} or {name, poisson: file}, to those of SMEFiT.

On the command line, `python -m plugins.smefit.runcard card.yaml > smefit.yaml`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from smeft_unbinned import yamlfile
from smeft_unbinned.errors import InputError, brief

MODULE = "plugins.smefit.unbinned.py"
"""The `path` of external_chi2: SMEFiT imports its stem."""
_DEFAULTS = {"use_quad": True, "use_t0": False, "use_theory_covmat": True, "result_path": "results"}


def with_unbinned(card: Mapping[str, Any], folder: str | Path = ".") -> dict[str, Any]:
    """Return a card for SMEFiT: entries of `datasets` with a file of ours move to `external_chi2`.

    Those are the entries with the key `unbinned` or `poisson`.
    folder: where relative paths of the card start; paths come back absolute. Keys that SMEFiT requires are
    added with the values that our own fit takes for them; data paths default to the package's own tables.
    `profile` is left out: the adapter always minimises over nuisance parameters.
    Raises InputError for entries without a name, names given twice, rotated coordinates, several folders of
    data or of theory, and a block `nuisances`, which has no place in SMEFiT.
    """
    out = copy.deepcopy(dict(card))
    base = Path(folder).resolve()
    if out.get("rot_to_fit_basis"):
        raise InputError("rot_to_fit_basis does not work with unbinned datasets; remove it from the card")
    if out.get("nuisances"):
        raise InputError(
            "SMEFiT knows no nuisances: the adapter minimises over those of each dataset with unit "
            "constraints. Remove the block nuisances from the card, or fit without SMEFiT"
        )
    for ours in ("nuisances", "profile"):
        out.pop(ours, None)
    external, binned = dict(out.get("external_chi2") or {}), []
    for entry in out.pop("datasets", None) or []:
        fields = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            raise InputError(f"datasets: an entry needs a name, got {entry!r}")
        key = next((k for k in ("unbinned", "poisson") if k in fields), None)
        if key is None:
            binned.append(dict(fields))
            continue
        name = fields["name"]
        if name in external or name.startswith("_"):
            raise InputError(
                f"external_chi2: {name!r} is given twice or starts with '_'; choose another name"
            )
        rest = {k: v for k, v in fields.items() if k not in ("name", key)}
        external[name] = {"path": MODULE, "file": str(base / fields[key]), **rest}
    for key, value in _DEFAULTS.items():
        out.setdefault(key, value)
    if binned:
        out["datasets"] = binned
        own = "theory_tables"
        if not out.get("data_path"):
            out["data_path"] = str(files(own) / "commondata")
            out["theory_path"] = out.get("theory_path") or str(files(own) / "theory")
        for key in ("data_path", "theory_path"):
            if out.get(key):
                out[key] = str(base / _one_folder(key, out[key]))
    if external:
        out["external_chi2"] = external
    out["result_path"] = str(base / out["result_path"])
    return out


def _one_folder(key: str, value: Any) -> str:
    """Return the folder that a key of the card names, alone or as the one entry of a list."""
    folders = value if isinstance(value, list) else [value]
    if len(folders) != 1 or not isinstance(folders[0], str):
        raise InputError(
            f"SMEFiT takes one folder as {key}, got {brief(value)}; put the files into one folder, or fit "
            "without SMEFiT"
        )
    return folders[0]


def load(path: Path) -> dict[str, Any]:
    """Read a card of ours and return that for SMEFiT, see `with_unbinned`.

    The name of the file is the default of `result_ID`.
    """
    card = yamlfile.read(path, "runcard")
    if not isinstance(card, dict):
        raise InputError(f"{path} must hold keys and values, found {type(card).__name__}")
    card.setdefault("result_ID", path.stem)
    return with_unbinned(card, path.parent)


def main(arguments: list[str]) -> str:
    """Return the YAML text of the card for SMEFiT, given the path of ours."""
    if len(arguments) != 1:
        raise InputError("usage: python -m plugins.smefit.runcard CARD.yaml > SMEFIT.yaml")
    return yaml.safe_dump(load(Path(arguments[0])), sort_keys=False)


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
