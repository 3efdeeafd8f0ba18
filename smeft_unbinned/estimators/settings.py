"""TrainSettings: every choice of a training, with defaults that work untouched on the example processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..catalogue import AXES, HEADS
from ..errors import InputError, nearest
from . import registry
from .backbones import MLP, Backbone
from .ensembles import Bootstrap, Ensemble
from .heads import Head
from .losses import Derivative, Loss
from .registry import check_count
from .sources import SHAPES

SCHEDULES = ("cosine", "one-cycle")
MINIBATCHES = ("shared", "own")


@dataclass(frozen=True)
class TrainSettings:
    """How to train. Each axis takes a name, a mapping {"name": ..., option: ...}, or an entry.

    loss: what is minimised; head: how r depends on c, by default the first that the loss can train;
    backbone: the network; ensemble: how its members differ.
    prior: {operator: width in TeV^-2} of the c at which losses compare ratios; None draws c by its effect on
        each event. prior_shape: "gaussian" or "uniform".
    epochs: at most; patience: a member stops after so many epochs without a better validation loss.
    batch: events per step; minibatches: "shared" by the members, or each its "own".
    learning_rate: peak; schedule: "cosine" after a short warm-up, or "one-cycle" up and down.
    validation: fraction of the events kept for early stopping.
    clip: largest gradient norm of a member; weight_decay: of AdamW.
    seed: of every random choice; device: "cpu" or "cuda".
    """

    loss: Loss = field(default_factory=Derivative)
    head: Head | None = None
    backbone: Backbone | None = None
    ensemble: Ensemble = field(default_factory=Bootstrap)
    prior: Mapping[str, float] | None = None
    prior_shape: str = "gaussian"
    epochs: int = 40
    patience: int = 15
    batch: int = 512
    minibatches: str = "shared"
    learning_rate: float = 1e-2
    schedule: str = "cosine"
    validation: float = 0.1
    clip: float = 1.0
    weight_decay: float = 1e-5
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for axis, entries in AXES.items():
            if getattr(self, axis) is not None or axis in ("loss", "ensemble"):
                object.__setattr__(self, axis, registry.choose(axis, entries, getattr(self, axis)))
        if self.head is None:
            object.__setattr__(self, "head", HEADS[self.loss.heads[0]]())
        if self.backbone is None:
            object.__setattr__(self, "backbone", MLP(separate=self.loss.separate))
        self._check_method()
        for name in ("epochs", "patience", "batch"):
            check_count(name, getattr(self, name))
        choices = {"prior_shape": SHAPES, "schedule": SCHEDULES, "minibatches": MINIBATCHES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name} is one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 < self.validation < 1:
            raise InputError(f"validation is a fraction between 0 and 1, got {self.validation}")
        if not (self.learning_rate > 0 and self.clip > 0 and self.weight_decay >= 0):
            raise InputError("learning_rate and clip must be positive, weight_decay not negative")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, got {self.seed}")

    def _check_method(self) -> None:
        """Refuse combinations that make no sense, with the reason."""
        assert self.head is not None
        assert self.backbone is not None
        if not {self.head.name, self.head.like} & {*self.loss.heads}:
            raise InputError(
                f"loss {self.loss.name!r} cannot train head {self.head.name!r}: {self.loss.reason}; "
                f"take one of {', '.join(self.loss.heads)}"
            )
        if self.prior is not None and not self.loss.compares:
            raise InputError(
                f"a prior has no effect with loss {self.loss.name!r}, which compares no ratios; leave it out"
            )
        if self.ensemble.coupled and self.minibatches == "own":
            raise InputError(
                f"the members of a {self.ensemble.name} ensemble are compared on the same events; take "
                "minibatches='shared'"
            )
        reason = self.backbone.refusal(self.loss, self.head, self.ensemble)
        if reason:
            raise InputError(f"backbone {self.backbone.name!r} does not fit: {reason}")

    @classmethod
    def of(cls, **options: Any) -> TrainSettings:
        """Build from fields of this class and options of the chosen entries, as in `changed`."""
        return cls().changed(**options)

    def changed(self, **options: Any) -> TrainSettings:
        """Return the settings with some changed: fields by name, and options of the entries by theirs.

        A new entry comes with its own defaults for its options, replicas included.

        For instance changed(loss="alices", alpha=2.0, replicas=4, hidden=(32, 32)). A new loss brings its
        default head and backbone unless those are given too. Raises InputError for an unknown name.
        """
        own = {f.name for f in fields(self)}
        new = {k: v for k, v in options.items() if k in own}
        if "loss" in new:
            new = {"head": None, "backbone": None, **new}
        settings = replace(self, **new)
        for name in [k for k in options if k not in own]:
            axis = next((a for a in AXES if name in registry.option_names(getattr(settings, a))), None)
            if axis is None:
                raise InputError(_unknown(name, settings, own))
            entry = replace(getattr(settings, axis), **{name: options[name]})
            settings = replace(settings, **{axis: entry})
        return settings

    def manifest(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        axes = {axis: registry.manifest(getattr(self, axis)) for axis in AXES}
        return {**values, **axes, "prior": None if self.prior is None else dict(self.prior)}


def _unknown(name: str, settings: TrainSettings, own: set[str]) -> str:
    options = {
        f"{axis} {getattr(settings, axis).name!r}": registry.option_names(getattr(settings, axis))
        for axis in AXES
    }
    listed = "; ".join(f"of {where}: {', '.join(names)}" for where, names in options.items() if names)
    known = [*sorted(own), *(n for names in options.values() for n in names)]
    return f"unknown setting {name!r}; known are {', '.join(sorted(own))}; {listed}.{nearest(name, known)}"
