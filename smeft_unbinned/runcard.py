"""Runcard: a fit in one YAML file, with SMEFiT's keys where it has one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import yamlfile
from .constraints import Coefficients, NuisanceBlock
from .datasets import Dataset, GaussianDataset, PoissonDataset, UnbinnedDataset
from .datasets.files import load_dataset
from .datasets.protocol import nuisances_of
from .errors import InputError, brief, nearest
from .likelihood import Likelihood
from .operators import DATASET_BASES, UNKNOWN, expressible, translatable

READERS: dict[str, Callable[[Path], UnbinnedDataset | PoissonDataset]] = {
    "unbinned": UnbinnedDataset.load,
    "poisson": PoissonDataset.load,
    "file": load_dataset,
}
"""What reads the file of a dataset entry, by its key; `file` is that of external_chi2, of either kind."""
SAMPLER_KEYS = (
    "lepsilon", "target_evidence_unc", "target_post_unc", "store_raw", "vectorized", "n_samples", "samples",
    "bounds", "float64", "mc_minimiser", "restarts", "maxiter", "use_bounds", "initial_temp",
    "restart_temp_ratio", "cluster_num_live_points", "has_posterior",
)  # fmt: skip
"""Keys of SMEFiT that steer its own samplers; accepted, and without effect here."""
UNSUPPORTED = (
    "rot_to_fit_basis", "uv_couplings", "cutoff_scale", "rge", "single_parameter_fits", "pairwise_fits",
    "replica", "n_replica",
)  # fmt: skip
"""Keys of SMEFiT that change the result and are not supported; refused unless null, false or 0."""


@dataclass(frozen=True)
class Runcard:
    """A fit. Field names are the keys of the YAML file; relative paths start at the card's own folder."""

    datasets: tuple[Mapping[str, Any], ...]
    """Binned: {name, order}; exported: {name, unbinned: path to the file} or {name, poisson: path}."""
    coefficients: Mapping[str, Mapping[str, Any]]
    """{operator: {min, max}}, prior range in TeV^-2; {constrain: true, value: v} fixes an operator;
    {constrain: [{O: a}, ...]} makes it the linear combination sum a O."""
    nuisances: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """{name: {constraint: [centre, error]}}, null for no constraint, default [0, 1]; {value: v} fixes it;
    min and max are the prior range that a nuisance without constraint needs in sampling."""
    profile: bool = False
    """Minimise over the nuisances at every point in place of fitting or sampling them."""
    result_ID: str = "fit"
    """Name of the folder with the results."""
    result_path: str = "results"
    """Where that folder is made."""
    data_path: str | None = None
    """Folder of the commondata YAML files; default the package's own tables."""
    theory_path: str | None = None
    """Folder of the theory JSON files; default the package's own tables."""
    basis: str = "smefit"
    """Name set of the coefficients, smefit, warsaw, ... (see `operators`); datasets are translated to it."""
    use_quad: bool = True
    """Keep the quadratic terms of binned predictions."""
    use_t0: bool = False
    """Scale multiplicative uncertainties with the SM prediction instead of the data."""
    use_theory_covmat: bool = True
    """Add the theory covariance of binned predictions."""
    use_multiplicative_prescription: bool = False
    """Multiply the best SM prediction by the relative EFT correction."""
    default_order: str = "LO"
    """Order of the EFT predictions of binned datasets that name none."""
    nlive: int = 400
    """Live points of nested sampling."""
    frac_remain: float = 0.01
    """Fraction of the evidence at which nested sampling stops."""
    seed: int = 0
    """Seed of every random choice of the fit."""
    folder: Path = field(default=Path("."), repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Runcard:
        """Read a YAML card; raise InputError for a missing file, bad YAML, or an unknown key."""
        file = Path(path)
        return cls.from_dict(yamlfile.read(file, "runcard"), file.resolve().parent, str(file))

    @classmethod
    def from_dict(
        cls, content: Any, folder: str | os.PathLike[str] = ".", source: str = "runcard"
    ) -> Runcard:
        """Build from the parsed content of a card; `folder` is where relative paths start."""
        if not isinstance(content, dict):
            raise InputError(f"{source} must hold keys and values, got {type(content).__name__}")
        known = [f.name for f in fields(cls) if f.name != "folder"]
        accepted = [*known, *SAMPLER_KEYS, *UNSUPPORTED, "external_chi2"]
        for key in content:
            if key not in accepted:
                raise InputError(
                    f"{source}: unknown key {brief(key)}; known are {', '.join(known)}."
                    + nearest(key, accepted)
                )
        blocked = [key for key in UNSUPPORTED if content.get(key)]
        if blocked:
            raise InputError(
                f"{source}: {', '.join(blocked)} is not supported; remove it. Fits of some coefficients at a "
                "time are Likelihood.only() in Python"
            )
        values = {key: content[key] for key in known if content.get(key) is not None}
        values["datasets"] = (*_datasets(values.get("datasets", []), source), *_external(content, source))
        for key in ("datasets", "coefficients"):
            if not values.get(key):
                raise InputError(f"{source} needs the key {key!r} with at least one entry")
        _check_types(values, source)
        NuisanceBlock.parse(values.get("nuisances", {}))
        return cls(**values, folder=Path(folder))

    def _path(self, value: str | None) -> Path | None:
        return None if value is None else self.folder / value

    @property
    def output(self) -> Path:
        """The folder of the results."""
        return self.folder / self.result_path / self.result_ID

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Prior ranges of the free coefficients by name."""
        return Coefficients.parse(self.coefficients).bounds

    def load_datasets(self) -> list[Dataset]:
        """Load every dataset, in the basis of the card.

        A systematic of the binned datasets that is correlated by name, and whose name is that of a nuisance
        of an exported dataset or of the card, becomes a nuisance parameter: one and the same in all of them.
        `metadata["operators_set_to_zero"]` of each lists the operators of its files that the basis of the
        card cannot express (and, of the binned one in its own basis, those that the card does not list).
        Raises InputError for a dataset none of whose operators can be written in the basis of the card.
        """
        binned = [dict(d) for d in self.datasets if not READERS.keys() & d.keys()]
        if binned and self.basis == UNKNOWN:
            raise InputError(f"binned datasets have no coefficients of basis {UNKNOWN!r}; name a known basis")
        exported = self._load_exported()
        named = dict.fromkeys([*(n for d in exported for n in nuisances_of(d)), *self.nuisances])
        return [*([self._load_binned(binned, list(named))] if binned else []), *exported]

    def _load_binned(self, binned: list[dict[str, Any]], nuisances: list[str]) -> Dataset:
        own = self.basis == "smefit"

        def load(explicit: list[str]) -> GaussianDataset:
            return GaussianDataset.load(
                binned,
                data_path=self._path(self.data_path),
                theory_path=self._path(self.theory_path),
                use_quad=self.use_quad,
                use_t0=self.use_t0,
                use_theory_covmat=self.use_theory_covmat,
                use_multiplicative_prescription=self.use_multiplicative_prescription,
                default_order=self.default_order,
                operators=list(self.coefficients) if own else translatable("smefit", self.basis),
                nuisances=explicit,
            )

        gaussian = load([])
        systematics = gaussian.metadata["correlated_systematics"]
        explicit = [name for name in nuisances if name in systematics]
        gaussian = load(explicit) if explicit else gaussian
        zero = gaussian.metadata["operators_set_to_zero"]
        return gaussian if own else _translated(gaussian, zero, self.basis)

    def _load_exported(self) -> list[Dataset]:
        loaded: list[Dataset] = []
        for entry in self.datasets:
            key = next((k for k in READERS if k in entry), None)
            if key is not None:
                dataset = READERS[key](self.folder / str(entry[key]))
                dataset.name = str(entry["name"])
                known = expressible(dataset.operators, dataset.basis, self.basis)
                zero = [n for n in dataset.operators if n not in known]
                if UNKNOWN not in (dataset.basis, self.basis):
                    dataset = dataset.restrict(known)
                loaded.append(
                    _translated(dataset, zero, self.basis) if dataset.basis != self.basis else dataset
                )
        return loaded

    def likelihood(self) -> Likelihood:
        """Return the likelihood of all datasets in the free coefficients and nuisances of the card.

        With the key `profile` it is minimised over the nuisances (`Likelihood.profiled`).
        Raises InputError for a coefficient that no dataset constrains, for a nuisance that no dataset has,
        and for an unknown or damaged dataset.
        """
        c, n = Coefficients.parse(self.coefficients), NuisanceBlock.parse(self.nuisances)
        datasets = self.load_datasets()
        known = {name for d in datasets for name in nuisances_of(d)}
        for name in self.nuisances:
            if name not in known:
                raise InputError(
                    f"no dataset has the nuisance {name!r} of the card; they have "
                    f"{', '.join(sorted(known)) or 'none'}.{nearest(name, known)}"
                )
        likelihood = Likelihood(
            datasets,
            c.free,
            fixed={**c.fixed, **n.fixed},
            dependent=c.dependent,
            bounds={**c.bounds, **n.bounds},
            constraints=n.constraints,
        )
        return likelihood.profiled() if self.profile else likelihood


def _translated(
    dataset: GaussianDataset | UnbinnedDataset | PoissonDataset, zero: list[str], basis: str
) -> Dataset:
    """Return a dataset in the basis of the card, with a record of the operators that it loses there."""
    if zero and not dataset.operators:
        raise InputError(
            f"dataset {dataset.name!r}: none of its operators ({', '.join(zero)}) exists in basis {basis!r}; "
            f"remove it from the card, or fit in its own basis {dataset.basis!r}"
        )
    new = dataset.in_basis(basis)
    new.metadata.update(operators_set_to_zero=zero, translated_from=dataset.basis)
    return new


def _datasets(entries: Any, source: str) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise InputError(f"{source}: datasets must be a list, got {type(entries).__name__}")
    known = ("name", "order", "theory_cov", "unbinned", "poisson")
    result = []
    for entry in entries:
        entry = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise InputError(f"{source}: a dataset entry needs a name, got {brief(entry)}")
        for key in entry:
            if key not in known:
                raise InputError(
                    f"{source}: dataset {entry['name']}: unknown key {brief(key)}.{nearest(key, known)}"
                )
        for key, value in entry.items():
            if not isinstance(value, str):
                raise InputError(f"{source}: dataset {entry['name']}: {key} must be text, got {brief(value)}")
        if {"unbinned", "poisson"} <= entry.keys():
            raise InputError(f"{source}: dataset {entry['name']}: give either unbinned or poisson, not both")
        result.append(dict(entry))
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
    result = []
    for name, entry in block.items():
        ours = isinstance(entry, dict) and "plugins.smefit" in str(entry.get("path"))
        if not ours or not isinstance(entry.get("file"), str):
            raise InputError(
                f"{source}: external_chi2 entry {brief(name)} is not an unbinned dataset of this package; "
                "remove it"
            )
        result.append({"name": str(name), "file": entry["file"]})
    return result


def _check_types(values: Mapping[str, Any], source: str) -> None:
    expected: dict[str, tuple[type, ...]] = {
        "result_ID": (str,), "result_path": (str,), "data_path": (str,), "theory_path": (str,),
        "basis": (str,), "default_order": (str,), "use_quad": (bool,), "use_t0": (bool,),
        "use_theory_covmat": (bool,), "use_multiplicative_prescription": (bool,), "nlive": (int,),
        "seed": (int,), "frac_remain": (float, int), "coefficients": (dict,),
        "nuisances": (dict,), "profile": (bool,),
    }  # fmt: skip
    for key, types in expected.items():
        value = values.get(key)
        if value is None:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise InputError(f"{source}: {key} must be {types[0].__name__}, got {brief(value)}")
    if values.get("basis", "smefit") not in DATASET_BASES:
        raise InputError(
            f"{source}: unknown basis {values['basis']!r}; known are {', '.join(DATASET_BASES)}."
            + nearest(values["basis"], DATASET_BASES)
        )
    ranges = {"nlive": (1, 10**9), "seed": (0, 2**32 - 1), "frac_remain": (1e-9, 1 - 1e-9)}
    for key, (lowest, highest) in ranges.items():
        if not lowest <= values.get(key, lowest) <= highest:
            raise InputError(
                f"{source}: {key} must lie between {lowest} and {highest}, got {brief(values[key])}"
            )
