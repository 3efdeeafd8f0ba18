"""TrainSettings: every choice of a training, with defaults that work untouched on the example processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InputError

MAX_RANK = 8


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    replicas: members of the ensemble, each on its own bootstrap of the events.
    hidden: widths of the hidden layers (multiples of 16 run fastest).
    rank: number of squares in the ratio; 0 takes n + 1, which holds any ratio exactly, up to MAX_RANK.
    epochs: at most; patience: stop after this many epochs without a better validation loss in any member.
    batch: events per step; learning_rate: peak, reached after a warm-up and lowered along a cosine.
    validation: fraction of the events kept for early stopping.
    clip: largest gradient norm of a member; weight_decay: of AdamW.
    seed: of every random choice; device: "cpu" or "cuda".
    """

    replicas: int = 10
    hidden: tuple[int, ...] = (64, 64, 64)
    rank: int = 0
    epochs: int = 60
    patience: int = 15
    batch: int = 1024
    learning_rate: float = 3e-3
    validation: float = 0.1
    clip: float = 1.0
    weight_decay: float = 1e-5
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise InputError(f"rank must be positive, or 0 to choose it, got {self.rank}")
        for name in ("replicas", "epochs", "patience", "batch"):
            if int(getattr(self, name)) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.validation < 1:
            raise InputError(f"validation is a fraction between 0 and 1, got {self.validation}")
        if not (self.learning_rate > 0 and self.clip > 0 and self.weight_decay >= 0):
            raise InputError("learning_rate and clip must be positive, weight_decay not negative")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, got {self.seed}")
        object.__setattr__(self, "hidden", tuple(int(h) for h in self.hidden))
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(f"hidden needs at least one positive width, got {self.hidden}")

    def manifest(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return {**asdict(self), "hidden": list(self.hidden)}
