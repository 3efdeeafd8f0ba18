"""The card of a projection, with the keys of `smefit PROJ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import rules, yamlfile
from .constraints import Coefficients
from .datasets.entries import Entry, parse_entries
from .datasets.gaussian_load import Rules
from .errors import InputError, brief
from .runcard_keys import check_keys, check_types

UNSUPPORTED = ("uv_couplings", "uv_coupling")
"""Keys of SMEFiT that change the result and are not supported; refused unless null, false or 0."""
_TYPES: dict[str, tuple[type, ...]] = {
    "commondata_path": (str, list), "theory_path": (str, list), "projections_path": (str,),
    "datasets": (list,), "coefficients": (dict,), "default_order": (str,), "use_quad": (bool,),
    "use_theory_covmat": (bool,), "use_t0": (bool,), "use_multiplicative_prescription": (bool,),
    "rot_to_fit_basis": (str,), "rge": (dict,), "fred_tot": (float, int), "fred_sys": (float, int),
}  # fmt: skip
_NEEDED = ("projections_path", "datasets")


@dataclass(frozen=True)
class ProjectionCard:
    """Measurements to be projected. Field names are the keys; relative paths start at the card's folder."""

    projections_path: str
    """Folder of what is written."""
    datasets: tuple[Any, ...]
    """Names, or {name, order, theory_cov}."""
    commondata_path: str | list[str] | None = None
    """Folder or folders of the measurements, NAME.yaml; default the package's own tables."""
    theory_path: str | list[str] | None = None
    """Folder or folders of the predictions, NAME.json; default those of the measurements."""
    coefficients: Mapping[str, Any] = field(default_factory=dict)
    """{operator: {constrain: true, value: v}}, TeV^-2: what nature has; none for the SM."""
    default_order: str = "LO"
    """Order of the EFT predictions of datasets that name none."""
    use_quad: bool = False
    """Keep the quadratic terms of predictions."""
    use_theory_covmat: bool = True
    """Let noise fluctuate with the theory covariance too."""
    use_t0: bool = False
    """Without effect: multiplicative uncertainties scale with the prediction in any case, as in SMEFiT."""
    use_multiplicative_prescription: bool = False
    """Multiply the best SM prediction by the relative EFT correction."""
    rot_to_fit_basis: str | None = None
    """JSON file of the coefficients of the tables in terms of those of the card."""
    rge: Mapping[str, Any] | None = None
    """Running of the coefficients to the scale of each point, SMEFiT's block."""
    fred_tot: float = 1.0
    """Factor of the uncertainties of measurements without statistical ones, at another luminosity."""
    fred_sys: float = 1.0
    """Factor of the systematic uncertainties of the others, at another luminosity."""
    folder: Path = field(default=Path("."), repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ProjectionCard:
        """Read a YAML card; raise InputError for a missing file, bad YAML, or a key that cannot be used."""
        file = Path(path)
        return cls.from_dict(yamlfile.read(file, "projection card"), file.resolve().parent, str(file))

    @classmethod
    def from_dict(
        cls, content: Any, folder: str | os.PathLike[str] = ".", source: str = "projection card"
    ) -> ProjectionCard:
        """Build from the parsed content of a card; `folder` is where relative paths start."""
        if not isinstance(content, dict):
            raise InputError(f"{source} must hold keys and values, got {type(content).__name__}")
        known = [f.name for f in fields(cls) if f.name != "folder"]
        check_keys(content, known, [*known, *UNSUPPORTED], source)
        blocked = [key for key in UNSUPPORTED if content.get(key)]
        if blocked:
            raise InputError(f"{source}: {', '.join(blocked)} is not supported; remove it")
        values = {key: content[key] for key in known if content.get(key) is not None}
        for key in _NEEDED:
            if not values.get(key):
                raise InputError(f"{source} needs the key {key!r}")
        check_types(values, _TYPES, source)
        for key in ("fred_tot", "fred_sys"):
            if not 0 <= values.get(key, 1.0) < float("inf"):
                raise InputError(f"{source}: {key} must be a number of at least 0, got {brief(values[key])}")
        card = cls(**{**values, "datasets": tuple(values["datasets"])}, folder=Path(folder))
        _ = card.entries, card.values
        return card

    @property
    def entries(self) -> list[Entry]:
        """The datasets."""
        return parse_entries(self.datasets, self.default_order)

    @property
    def values(self) -> dict[str, float]:
        """The value of every coefficient; raise InputError for one that is free."""
        parsed = Coefficients.parse(self.coefficients)
        if parsed.free:
            raise InputError(
                f"coefficient {parsed.free[0]} of a projection needs a value: "
                f"{parsed.free[0]}: {{constrain: true, value: 0.5}}"
            )
        written = rules.resolve(parsed.dependent, parsed.fixed, ())
        return {**parsed.fixed, **{name: terms.get((), 0.0) for name, terms in written.items()}}

    @property
    def rules(self) -> Rules:
        """How predictions are read."""
        return Rules(
            use_quad=self.use_quad,
            use_theory_covmat=self.use_theory_covmat,
            use_multiplicative_prescription=self.use_multiplicative_prescription,
        )

    def paths(self, key: str) -> list[Path] | None:
        """Return the folders of `commondata_path` or `theory_path`, None where the card has none."""
        value = getattr(self, key)
        if value is None:
            return None
        return [self.folder / str(part) for part in (value if isinstance(value, list) else [value])]
