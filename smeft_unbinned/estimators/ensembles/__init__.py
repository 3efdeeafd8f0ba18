"""Ensembles: how the members of a stack differ. One file each; see `base.Ensemble`."""

from .base import Ensemble
from .bootstrap import Bootstrap
from .independent import Independent
from .repulsive import Repulsive
from .seeds import Seeds

ENSEMBLES: dict[str, type[Ensemble]] = {e.name: e for e in (Bootstrap, Independent, Seeds, Repulsive)}

__all__ = ["ENSEMBLES", "Bootstrap", "Ensemble", "Independent", "Repulsive", "Seeds"]
