"""What users choose by name: processes, and the entries of the four axes of training. A new one is one line.

Nothing is imported before it is asked for, so that the command line lists names without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .extensions import Registry

if TYPE_CHECKING:
    from .estimators.backbones import Backbone
    from .estimators.ensembles import Ensemble
    from .estimators.heads import Head
    from .estimators.losses import Loss
    from .processes import Process

_PROCESS = ("OPERATORS", "DEFAULT", "columns", "truth", "generate", "cross_section")


def _process_fault(found: Any, name: str) -> str:
    del name
    missing = [part for part in _PROCESS if not hasattr(found, part)]
    return f"lacks {', '.join(missing)}, which processes.Process asks for" if missing else ""


def _axis(kind: str, own: Mapping[str, str]) -> Registry[type[Any]]:
    """Return the registry of an axis; its folder is named in the plural and has the base class in `base`."""
    folder = f"smeft_unbinned.estimators.{kind}{'es' if kind.endswith('s') else 's'}"

    def fault(found: Any, name: str) -> str:
        base = getattr(import_module(f"{folder}.base"), kind.capitalize())
        if not (isinstance(found, type) and issubclass(found, base) and is_dataclass(found)):
            return f"must be a frozen dataclass derived from {folder}.base.{base.__name__}"
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            return f"lacks the method {', '.join(missing)} of {folder}.base.{base.__name__}"
        called = getattr(found, "name", None)
        return "" if called == name else f"calls itself {called!r}; its attribute `name` must be {name!r}"

    places = {name: f"{folder}.{value}" for name, value in own.items()}
    return Registry(kind, folder.replace("estimators.", ""), fault, places)


PROCESSES: Registry[Process] = Registry(
    "process",
    "smeft_unbinned.processes",
    _process_fault,
    {
        "ZH": "smeft_unbinned.processes.vh_process:ZH",
        "WH": "smeft_unbinned.processes.vh_process:WH",
        "ttbar": "smeft_unbinned.processes.ttbar",
        "toy": "smeft_unbinned.processes.toy",
    },
)
LOSSES: Registry[type[Loss]] = _axis(
    "loss",
    {
        "derivative": "derivative:Derivative",
        "carl": "cross_entropy:CrossEntropy",
        "multiclass": "multiclass:Multiclass",
        "decomposed": "decomposed:Decomposed",
        "quadratic-classifier": "quadratic_classifier:QuadraticClassifier",
        "alice": "alice:Alice",
        "alices": "alices:Alices",
        "rolr": "rolr:Rolr",
        "rascal": "rascal:Rascal",
        "cascal": "cascal:Cascal",
        "sally": "sally:Sally",
    },
)
HEADS: Registry[type[Head]] = _axis(
    "head",
    {
        "squares": "squares:Squares",
        "quadratic": "quadratic:Quadratic",
        "linear": "linear:Linear",
        "morphing": "morphing:Morphing",
    },
)
BACKBONES: Registry[type[Backbone]] = _axis(
    "backbone", {"mlp": "mlp:MLP", "lgatr": "lgatr:LGATr", "trees": "trees:Trees"}
)
ENSEMBLES: Registry[type[Ensemble]] = _axis(
    "ensemble",
    {
        "bootstrap": "bootstrap:Bootstrap",
        "independent": "independent:Independent",
        "seeds": "seeds:Seeds",
        "repulsive": "repulsive:Repulsive",
    },
)
AXES: dict[str, Registry[type[Any]]] = {
    "backbone": BACKBONES, "head": HEADS, "loss": LOSSES, "ensemble": ENSEMBLES,
}  # fmt: skip
"""The four axes on which methods differ, with their entries by name."""
