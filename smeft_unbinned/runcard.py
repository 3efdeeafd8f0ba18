"""Runcard: a fit in one YAML file, with SMEFiT's keys where it has one."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import yamlfile
from .constraints import Coefficients, NuisanceBlock
from .datasets import Dataset, GaussianDataset, PoissonDataset, UnbinnedDataset
from .datasets.files import load_dataset
from .datasets.gaussian_load import Rules
from .datasets.protocol import nuisances_of
from .datasets.rotation import read_rotation
from .errors import InputError, nearest
from .likelihood import Likelihood
from .maps import Evolution
from .operators import UNKNOWN, expressible, translatable
from .rules import names_in
from .runcard_keys import read_values
from .runcard_maps import mapped, scale_of

if TYPE_CHECKING:
    from .rge import Running

READERS: dict[str, Callable[[Path], UnbinnedDataset | PoissonDataset]] = {
    "unbinned": UnbinnedDataset.load,
    "poisson": PoissonDataset.load,
    "file": load_dataset,
}
"""What reads the file of a dataset entry, by its key; `file` is that of external_chi2, of either kind."""


@dataclass(frozen=True)
class Runcard:
    """A fit. Field names are the keys of the YAML file; relative paths start at the card's own folder."""

    datasets: tuple[Mapping[str, Any], ...]
    """Binned: {name, order}; exported: {name, unbinned: path to the file} or {name, poisson: path}."""
    coefficients: Mapping[str, Mapping[str, Any]]
    """{operator: {min, max}}, prior range in TeV^-2; {constrain: true, value: v} fixes an operator;
    {constrain: [{O: a, P: [b, n]}, ...]} makes it the sum of products a O b P^n."""
    nuisances: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """{name: {constraint: [centre, error]}}, null for no constraint, default [0, 1]; {value: v} fixes it;
    min and max are the prior range that a nuisance without constraint needs in sampling."""
    allow_overlap: tuple[tuple[str, ...], ...] = ()
    """Groups of names of exported datasets that may be made of the same events; others are refused."""
    profile: bool = False
    """Minimise over the nuisances at every point in place of fitting or sampling them."""
    result_ID: str = "fit"
    """Name of the folder with the results."""
    result_path: str = "results"
    """Where that folder is made."""
    data_path: str | list[str] | None = None
    """Folder of the commondata files, or several, searched in order; default the package's own tables."""
    theory_path: str | list[str] | None = None
    """Folder of the theory JSON files, or several; default those of the data, or the package's own tables."""
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
    cutoff_scale: float | None = None
    """Scale in GeV from which on points of binned datasets are left out."""
    rge: Mapping[str, Any] | None = None
    """The coefficients of the card are those at its `init_scale` and run to the scale of each point."""
    rot_to_fit_basis: str | None = None
    """JSON file of a rotation: the coefficients of the card are its combinations of those of the tables."""
    uv_couplings: bool = False
    """Without effect: coefficients that only others depend on are always allowed."""
    single_parameter_fits: bool = False
    """Fit one coefficient at a time, the other free ones at zero."""
    pairwise_fits: bool = False
    """Fit two coefficients at a time, the other free ones at zero."""
    n_samples: int = 10_000
    """Number of samples of an exact or approximate posterior."""
    n_replica: int = 0
    """Number of replica fits, for commands that make some."""
    nlive: int = 400
    """Live points of nested sampling."""
    frac_remain: float = 0.01
    """Fraction of the evidence at which nested sampling stops."""
    seed: int = 0
    """Seed of every random choice of the fit."""
    folder: Path = field(default=Path("."), repr=False)
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The card as it was read."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Runcard:
        """Read a YAML card; raise InputError for a missing file, bad YAML, or an unknown key.

        The default of result_ID is the name of the file without its suffix.
        """
        file = Path(path)
        card = cls.from_dict(yamlfile.read(file, "runcard"), file.resolve().parent, str(file))
        return card if card.content.get("result_ID") is not None else replace(card, result_ID=file.stem)

    @classmethod
    def from_dict(
        cls, content: Any, folder: str | os.PathLike[str] = ".", source: str = "runcard"
    ) -> Runcard:
        """Build from the parsed content of a card; `folder` is where relative paths start."""
        if not isinstance(content, dict):
            raise InputError(f"{source} must hold keys and values, got {type(content).__name__}")
        known = [f.name for f in fields(cls) if f.name not in ("folder", "content")]
        card = cls(**read_values(content, known, source), folder=Path(folder), content=copy.deepcopy(content))
        _ = card.parsed
        NuisanceBlock.parse(card.nuisances)
        return card

    def _path(self, value: str | list[str] | None) -> Path | list[Path] | None:
        if isinstance(value, list):
            return [self.folder / v for v in value]
        return None if value is None else self.folder / value

    @property
    def parsed(self) -> Coefficients:
        """The coefficients as a fit takes them: free, fixed, dependent, with prior ranges and notes.

        In fits of one or two coefficients at a time, rules of coefficients that the card does not have lose
        the terms concerned, with a note; elsewhere they are an error.
        """
        partial = self.single_parameter_fits or self.pairwise_fits
        return Coefficients.parse(self.coefficients, partial)

    @property
    def output(self) -> Path:
        """The folder of the results."""
        return self.folder / self.result_path / self.result_ID

    @cached_property
    def running(self) -> Running | None:
        """The running of the coefficients that the key `rge` asks for."""
        if self.rge is None:
            return None
        from .rge import Running

        c = self.parsed
        silent = {other for rule in c.dependent.values() for other in names_in(rule)}
        silent |= {name for name, value in c.fixed.items() if not value}
        return Running.parse(self.rge, list(self.coefficients), self.folder, silent)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Prior ranges of the free coefficients by name."""
        return self.parsed.bounds

    def load_datasets(self) -> list[Dataset]:
        """Load every dataset, in the basis of the card.

        A systematic of the binned datasets that is correlated by name, and whose name is that of a nuisance
        of an exported dataset or of the card, becomes a nuisance parameter: one and the same in all of them.
        `metadata["operators_set_to_zero"]` of each lists the operators of its files that the basis of the
        card cannot express (and, of the binned one in its own basis, those that the card does not list).
        Raises InputError for files that are missing, all of them at once, and for a dataset none of whose
        operators can be written in the basis of the card.
        """
        binned = [dict(d) for d in self.datasets if not READERS.keys() & d.keys()]
        if binned and self.basis == UNKNOWN:
            raise InputError(f"binned datasets have no coefficients of basis {UNKNOWN!r}; name a known basis")
        exported, missing = self._load_exported()
        more = self._options(missing)
        named = dict.fromkeys([*(n for d in exported for n in nuisances_of(d)), *self.nuisances])
        loaded: list[Dataset] = []
        try:
            loaded = [self._load_binned(binned, list(named), more)] if binned else []
        except InputError as error:
            if not missing:
                raise
            missing.append(str(error))
        if missing:
            raise InputError("\n".join(missing))
        return [*loaded, *exported]

    def _options(self, missing: list[str]) -> dict[str, Any]:
        """Return the options of binned datasets; what their files lack is added to a list."""
        more: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(Rules)}
        if self.rot_to_fit_basis is not None:
            path = self.folder / self.rot_to_fit_basis
            more["rot_to_fit_basis"] = path
            if not os.path.exists(path):  # False, not an error, for an impossible name
                missing.append(f"no such file: {path}, the rotation of rot_to_fit_basis; check the path")
                del more["rot_to_fit_basis"]
        try:
            if self.running is not None:
                more["running"] = self.running
        except InputError as error:
            missing.append(str(error))
        return more

    def _load_binned(
        self, binned: list[dict[str, Any]], nuisances: list[str], more: Mapping[str, Any]
    ) -> Dataset:
        own = self.basis == "smefit"

        def load(explicit: list[str]) -> GaussianDataset:
            return GaussianDataset.load(
                binned,
                data_path=self._path(self.data_path),
                theory_path=self._path(self.theory_path),
                operators=list(self.coefficients) if own else translatable("smefit", self.basis),
                nuisances=explicit,
                **more,
            )

        gaussian = load([])
        systematics = gaussian.metadata["correlated_systematics"]
        explicit = [name for name in nuisances if name in systematics]
        gaussian = load(explicit) if explicit else gaussian
        zero = gaussian.metadata["operators_set_to_zero"]
        return gaussian if own else _translated(gaussian, zero, self.basis)

    def _load_exported(self) -> tuple[list[Dataset], list[str]]:
        """Return the exported datasets and what is wrong with those whose files are missing."""
        loaded: list[Dataset] = []
        missing: list[str] = []
        for entry in self.datasets:
            key = next((k for k in READERS if k in entry), None)
            if key is None:
                continue
            path = self.folder / str(entry[key])
            try:
                dataset = READERS[key](path)
            except InputError as error:
                if os.path.exists(path):
                    raise
                missing.append(f"dataset {entry['name']}: {error}")
                continue
            dataset.name = str(entry["name"])
            if "scale" in entry:
                dataset.metadata["scale"] = entry["scale"]
            known = expressible(dataset.operators, dataset.basis, self.basis)
            zero = [n for n in dataset.operators if n not in known]
            if UNKNOWN not in (dataset.basis, self.basis):
                dataset = dataset.restrict(known)
            if dataset.basis != self.basis:
                loaded.append(_translated(dataset, zero, self.basis))
            else:
                loaded.append(dataset)
        return loaded, missing

    def likelihood(self) -> Likelihood:
        """Return the likelihood of all datasets in the free coefficients and nuisances of the card.

        With the key `profile` it is minimised over the nuisances (`Likelihood.profiled`).
        Raises InputError for a coefficient that no dataset constrains, for a nuisance that no dataset has,
        and for an unknown or damaged dataset.
        """
        c, n = self.parsed, NuisanceBlock.parse(self.nuisances)
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
            evolution=self._evolution(datasets),
            allow_overlap=self.allow_overlap,
        )
        likelihood.notes = (*c.notes, *(self.running.notes if self.running else ()))
        return likelihood.profiled() if self.profile else likelihood

    def _evolution(self, datasets: list[Dataset]) -> Evolution:
        """Return the coefficients of the exported datasets in those of the card, where they differ."""
        exported = [d for d in datasets if not isinstance(d, GaussianDataset)]
        above = [d.name for d in exported if (scale_of(d) or 0) >= (self.cutoff_scale or math.inf)]
        if above:
            raise InputError(
                f"{', '.join(above)} is not below cutoff_scale = {self.cutoff_scale:g} GeV; remove it from "
                "the card, or raise cutoff_scale"
            )
        if not exported or (self.running is None and self.rot_to_fit_basis is None):
            return {}
        path = self.rot_to_fit_basis
        rotation = None if path is None else read_rotation(self.folder / path)
        return {d.name: mapped(d, rotation, self.running) for d in exported}


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
