"""The text of LightGBM's trees, checked before LightGBM reads it: its own reader trusts every number."""

from __future__ import annotations

import re
import zlib

import numpy as np

from ...errors import InputError

MAX_BYTES = 2**26
"""Length of the longest text; 500 trees of 31 leaves take 2 MB."""


def unpack(stored: np.ndarray) -> str:
    """Return the description of trees from compressed bytes (L,), zeros at their end.

    Raises InputError for what is cut off, too long, or no trees of numbers that lead from node to leaf.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(stored.astype(np.uint8).tobytes(), MAX_BYTES).decode()
        if not unpacker.eof:
            raise ValueError(f"the text is cut off, or longer than {MAX_BYTES >> 20} MiB")
        head, *trees = re.split(r"(?m)^Tree=", text.split("end of trees")[0])
        for key in ("num_class", "num_tree_per_iteration"):
            if _fields(head).get(key, "1") != "1":
                raise ValueError(f"{key} is not 1")
        features = int(_fields(head)["max_feature_idx"]) + 1
        for tree in trees:
            _check(_fields(tree), features)
    except (zlib.error, ValueError, LookupError) as error:
        raise InputError(f"the trees of the model are damaged: {error!r}; train it anew") from error
    return re.sub(r"(?m)^tree_sizes=.*\n", "", text)  # places in the text, which LightGBM does without


def _fields(part: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)


def _check(tree: dict[str, str], features: int) -> None:
    """Raise ValueError unless every node of a tree splits a feature and leads to later nodes or to leaves."""
    leaves = int(tree["num_leaves"])
    if leaves < 1 or tree.get("num_cat", "0") != "0" or tree.get("is_linear", "0") != "0":
        raise ValueError("a tree without leaves, or of another kind")
    _numbers(tree, "leaf_value", leaves)
    if leaves == 1:
        return
    nodes = np.arange(leaves - 1)
    split, kind, left, right = (
        _numbers(tree, key, leaves - 1)
        for key in ("split_feature", "decision_type", "left_child", "right_child")
    )
    _numbers(tree, "threshold", leaves - 1)
    children = np.stack([left, right])
    inside = (children >= -leaves) & (children < leaves - 1) & ((children < 0) | (children > nodes))
    if not (
        np.all(inside) and np.all((split >= 0) & (split < features)) and np.all(kind.astype(int) % 2 == 0)
    ):
        raise ValueError("a node that leads nowhere, or splits no feature")


def _numbers(tree: dict[str, str], key: str, count: int) -> np.ndarray:
    values = np.array(tree[key].split(), dtype=float)
    if values.shape != (count,) or not np.all(np.isfinite(values)):
        raise ValueError(f"{key} must hold {count} finite numbers")
    return values
