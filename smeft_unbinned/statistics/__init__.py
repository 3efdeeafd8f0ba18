"""Statistics of a likelihood: information, goodness of fit, toys, coverage, closure, replicas."""

from .closure import Closure, closure
from .coverage import Coverage, coverage
from .fisher import Fisher, fisher
from .goodness import Goodness, goodness
from .replica_fits import replica_fits
from .toys import Experiment, asimov, bootstrap, pseudo_experiment

__all__ = [
    "Closure",
    "Coverage",
    "Experiment",
    "Fisher",
    "Goodness",
    "asimov",
    "bootstrap",
    "closure",
    "coverage",
    "fisher",
    "goodness",
    "pseudo_experiment",
    "replica_fits",
]
