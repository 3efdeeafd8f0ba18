"""What an estimator learns from a sample: options that all ways to train share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from ..events import Events


class LearningOptions(TypedDict, total=False):
    """What is learned from the events.

    features, operators: subsets of those of the events; default all.
    calibrate: a larger sample with truth, or its file, on which the mean of r is set to sigma(c)/sigma(0);
        default the events themselves.
    progress: show a progress bar; default False.
    """

    features: Sequence[str] | None
    operators: Sequence[str] | None
    calibrate: Events | str | os.PathLike[str] | None
    progress: bool


@dataclass(frozen=True, eq=False)
class Learning:
    """`LearningOptions` with a value for each."""

    features: Sequence[str] | None = None
    operators: Sequence[str] | None = None
    calibrate: Events | str | os.PathLike[str] | None = None
    progress: bool = False

    def larger_sample(self) -> Events | None:
        """Return the events to calibrate on, read where they are a file."""
        if self.calibrate is None or isinstance(self.calibrate, Events):
            return self.calibrate
        return Events.load(self.calibrate)
