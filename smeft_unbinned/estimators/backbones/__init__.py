"""Backbones: networks and other learners. One file each; see `base.Backbone`."""

from .base import Backbone, Network
from .mlp import MLP

BACKBONES: dict[str, type[Backbone]] = {b.name: b for b in (MLP,)}

__all__ = ["BACKBONES", "MLP", "Backbone", "Network"]
