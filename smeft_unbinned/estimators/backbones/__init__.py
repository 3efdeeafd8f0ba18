"""Backbones: networks and other learners. One file each; see `base.Backbone`."""

from .base import Backbone, Network
from .lgatr import LGATr
from .mlp import MLP
from .trees import Trees

BACKBONES: dict[str, type[Backbone]] = {b.name: b for b in (MLP, LGATr, Trees)}

__all__ = ["BACKBONES", "MLP", "Backbone", "LGATr", "Network", "Trees"]
