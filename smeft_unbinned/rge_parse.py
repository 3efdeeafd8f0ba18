"""The block `rge` of a card, with the defaults of SMEFiT."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .errors import InputError, brief, nearest
from .rg_matrix import Setting

DYNAMIC = "dynamic"
"""The value of obs_scale with which every data point has the scale of its own."""
ACCURACIES = ("integrate", "leadinglog")
YUKAWAS = ("top", "none", "full")
_FULL = "full"


def positive(value: object, what: str) -> float:
    """Return a positive number; raise InputError naming `what` it is for anything else."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 < value <= sys.float_info.max:  # type: ignore[operator]
        hint = "; in YAML a power of ten is written 1.0e+4" if isinstance(value, str) else ""
        raise InputError(f"{what} must be a positive number in GeV, got {brief(value)}{hint}")
    return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RunningBlock:
    """What a block `rge` says; field names and defaults are those of SMEFiT."""

    init_scale: float = 1000.0
    """Scale in GeV at which the coefficients of the card are defined."""
    obs_scale: float | str = 91.1876
    """Scale in GeV of all binned data points, or "dynamic": each has its own."""
    smeft_accuracy: str = "integrate"
    """"integrate" solves the equations, "leadinglog" takes the first logarithm."""
    adm_QCD: bool | str = _FULL
    """Whether to keep the strong coupling alone. SMEFiT's default is a text, which counts as true."""
    yukawa: str = "top"
    """Which Yukawa couplings to keep: of the top quark, none, or all of them with the mixing of quarks."""
    scale_variation: float = 1.0
    """Factor on the scales of the data points where obs_scale is dynamic."""
    rg_matrix: str | None = None
    """Path of a file with matrices, of SMEFiT or of `Running.save`."""

    @classmethod
    def parse(cls, block: object) -> RunningBlock:
        """Read a block; raise InputError for an unknown key and for a value that is not allowed."""
        if not isinstance(block, Mapping):
            raise InputError(f"rge must hold keys and values, got {brief(block)}")
        keys = [f.name for f in fields(cls)]
        for key in block:
            if key not in keys:
                raise InputError(
                    f"rge: unknown key {brief(key)}; known are {', '.join(keys)}.{nearest(str(key), keys)}"
                )
        values: dict[str, Any] = dict(block)
        for key, allowed in (("smeft_accuracy", ACCURACIES), ("yukawa", YUKAWAS)):
            if key in values and values[key] not in allowed:
                raise InputError(
                    f"rge: {key} must be one of {', '.join(allowed)}, got {brief(values[key])}."
                    + (nearest(values[key], allowed) if isinstance(values[key], str) else "")
                )
        values["adm_QCD"] = _qcd(values.get("adm_QCD", _FULL))
        for key in ("init_scale", "obs_scale"):
            if key in values and not (key == "obs_scale" and values[key] == DYNAMIC):
                what = f"rge: {key}" + (f", if not {DYNAMIC}," if key == "obs_scale" else "")
                values[key] = positive(values[key], what)
        if "scale_variation" in values:
            try:
                values["scale_variation"] = positive(values["scale_variation"], "")
            except InputError:
                came = brief(values["scale_variation"])
                raise InputError(f"rge: scale_variation must be a positive factor, got {came}") from None
        path = values.pop("rg_matrix", None) or None
        if path is not None and not isinstance(path, str):
            raise InputError(f"rge: rg_matrix must be the path of a file, got {brief(path)}")
        return cls(**values, rg_matrix=path)

    @property
    def settings(self) -> dict[str, Setting]:
        """What matrices depend on besides their scale."""
        return {key: getattr(self, key) for key in ("init_scale", "smeft_accuracy", "adm_QCD", "yukawa")}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect, in sentences."""
        result = []
        if self.adm_QCD == _FULL:
            result.append(
                "rge: adm_QCD is the text 'full', SMEFiT's default, which counts as true: only the strong "
                "coupling makes the coefficients run. Write adm_QCD: false for all couplings"
            )
        if self.scale_variation != 1.0 and self.obs_scale != DYNAMIC:
            result.append("rge: scale_variation has no effect on binned data, because obs_scale is fixed")
        return tuple(result)

    def conflicts(self, settings: Mapping[str, object]) -> list[str]:
        """Return what differs between the settings of a file and those of the card, in words.

        All values of adm_QCD that count as true are the same here, as they are in the computation.
        """
        result = []
        for key in dict.fromkeys([*self.settings, *settings]):
            mine, theirs = self.settings.get(key), settings.get(key)
            same = bool(mine) == bool(theirs) if key == "adm_QCD" else mine == theirs
            if key not in settings:
                result.append(f"the file does not say its {key}")
            elif not same:
                result.append(f"{brief(key)[1:-1]} is {brief(theirs)} there, and {brief(mine)} in the card")
        return result


def _qcd(value: object) -> bool | str:
    """Return adm_QCD as SMEFiT takes it; a text, other than its default, is surely meant otherwise."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if value == _FULL:
        return _FULL
    raise InputError(f"rge: adm_QCD must be true (QCD alone) or false, got {brief(value)}")
