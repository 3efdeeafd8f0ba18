"""The evaluation of sum_e w_e log r_e(c): exact, in blocks of events that stay in the cache."""

from .logsum import FLOOR, LogSum, log_ratio

__all__ = ["FLOOR", "LogSum", "log_ratio"]
