"""Damage to sound files, decided by a random generator: to bytes, texts of numbers, YAML and JSON."""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
WORDS = (
    b"nan", b"NaN", b"inf", b"-inf", b".inf", b".nan", b"Infinity", b"1e400", b"-1e400", b"1e308", b"5e-324",
    b"-1", b"0", b"-0.0", b"99999999999999999999", b"9" * 400, b"", b"x", b"null", b"true", b"[]", b"{}",
    b"0x7fffffff", b"1_000", b"1:30", b"\xff", b"\x00", b"1e", b"2147483648",
)  # fmt: skip
"""What stands in place of a number in a text."""
VALUES: tuple[Any, ...] = (
    float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, None, True, False, 0, -1, 2, 10**30,
    -(10**400), 2**63, "", "x", "nan", "1e400", "../../x", "/dev/zero", "a\nb", "a\0b", "\ud7ff", "é", [], {},
    [[]], [[[[1]]]], [None], {"a": None}, [1.0, 2.0], [float("nan")], {"x": {"y": {"z": 1}}}, "x" * 5000,
    list(range(300)),
)  # fmt: skip
"""What stands in place of any value of YAML and JSON."""


def flip(data: bytes, rng: random.Random) -> bytes:
    """Change a few bits or bytes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        if out:
            where = rng.randrange(len(out))
            out[where] = rng.randrange(256) if rng.random() < 0.5 else out[where] ^ (1 << rng.randrange(8))
    return bytes(out)


def truncate(data: bytes, rng: random.Random) -> bytes:
    """Cut off the end, or a part within."""
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] if rng.random() < 0.5 else data[:start] + data[stop:]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Put random bytes in between."""
    where = rng.randrange(len(data) + 1)
    return data[:where] + rng.randbytes(rng.randint(1, 32)) + data[where:]


def duplicate(data: bytes, rng: random.Random) -> bytes:
    """Repeat a piece, there or elsewhere."""
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    where = stop if rng.random() < 0.5 else rng.randrange(len(data) + 1)
    return data[:where] + data[start : min(stop, start + 4096)] * rng.randint(1, 3) + data[where:]


def integers(data: bytes, rng: random.Random) -> bytes:
    """Put an extreme whole number of 1 to 8 bytes somewhere, as a count or an offset might be."""
    code = rng.choice(["<B", "<H", "<I", "<Q", ">H", ">I", ">Q"])
    size = struct.calcsize(code)
    most = 2 ** (8 * size)
    value = rng.choice([0, 1, most - 1, most // 2, most // 2 - 1, most // 4, rng.randrange(most)])
    where = rng.randrange(max(len(data) - size, 1))
    return data[:where] + struct.pack(code, value) + data[where + size :]


def numbers(data: bytes, rng: random.Random) -> bytes:
    """Replace numbers in a text by what is none, or by extreme ones."""
    found = list(NUMBER.finditer(data))
    out = data
    for match in sorted(rng.sample(found, min(len(found), rng.randint(1, 3))), key=lambda m: -m.start()):
        out = out[: match.start()] + rng.choice(WORDS) + out[match.end() :]
    return out


def lines(data: bytes, rng: random.Random) -> bytes:
    """Remove, repeat or exchange lines, or move words between them."""
    rows = data.split(b"\n")
    i, j = rng.randrange(len(rows)), rng.randrange(len(rows))
    choice = rng.randrange(4)
    if choice == 0:
        del rows[i]
    elif choice == 1:
        rows.insert(j, rows[i])
    elif choice == 2:
        rows[i], rows[j] = rows[j], rows[i]
    else:
        words = rows[i].split(b" ")
        words[rng.randrange(len(words))] = rng.choice(rows[j].split(b" "))
        rows[i] = b" ".join(words)
    return b"\n".join(rows)


PLAIN = (flip, truncate, insert, duplicate, integers)
TEXT = (flip, truncate, insert, duplicate, numbers, numbers, lines, lines)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return bytes after one or two changes."""
    for _ in range(rng.choice((1, 1, 1, 2))):
        data = rng.choice(PLAIN)(data, rng)
    return data


def damaged_text(data: bytes, rng: random.Random) -> bytes:
    """Return a text after one to three changes, seldom in another encoding."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(TEXT)(data, rng)
    if rng.random() < 0.02:
        text = data.decode("utf-8", "replace")
        return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "cp500")), "replace")
    return data


def damaged_gz(data: bytes, rng: random.Random) -> bytes:
    """Return a packed text: its content changed and packed again, or the packed bytes changed."""
    if rng.random() < 0.5:
        return gzip.compress(damaged_text(gzip.decompress(data), rng), 1)
    return damaged(data, rng)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside of lists and dictionaries."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = []
    for key, inner in items:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


def changed(value: Any, rng: random.Random) -> Any:
    """Return nested lists and dictionaries with one or two of their values replaced, removed or moved."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2))):
        where = places(value)
        if not where:
            return rng.choice(VALUES)
        path = rng.choice(where)
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        choice = rng.randrange(8)
        if choice == 0:
            del holder[path[-1]]
        elif choice == 1 and isinstance(holder, dict):
            holder[rng.choice(("", "x", "é", "../x", 1, None, True, "a\nb"))] = holder.pop(path[-1])
        elif choice == 2:
            other: Any = value
            for key in rng.choice(where):
                other = other[key] if isinstance(other, (dict, list)) and _has(other, key) else other
            holder[path[-1]] = copy.deepcopy(other)
        elif choice == 3 and isinstance(holder, list):
            holder.extend(copy.deepcopy(holder))
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(VALUES))
    return value


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else isinstance(key, int) and key < len(holder)


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    """Return JSON with values changed, or its text changed."""
    if rng.random() < 0.3:
        return damaged_text(data, rng)
    text = json.dumps(changed(json.loads(data), rng), skipkeys=True)
    if rng.random() < 0.1:
        text = text.replace("NaN", "1e400").replace(": ", ": " + "[" * rng.choice((1, 2000)), 1)
    return text.encode("utf-8", "surrogatepass")


def damaged_yaml(data: bytes, rng: random.Random) -> bytes:
    """Return YAML with values changed, or its text changed."""
    if rng.random() < 0.4:
        return damaged_text(data, rng)
    content = changed(yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), rng)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: bytes = yaml.dump(content, Dumper=dumper, encoding="utf-8", sort_keys=False, allow_unicode=True)
    return text


NAMES = {code: np.dtype(name) for name, code in {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint8": "U8", "bool": "BOOL",
}.items()}  # fmt: skip


def unpacked(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and manifest of a container, without a check."""
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + size])
    manifest = json.loads(head.pop("__metadata__")["manifest"])
    arrays = {}
    for name, entry in head.items():
        start, stop = (8 + size + x for x in entry["data_offsets"])
        arrays[name] = np.frombuffer(data[start:stop], NAMES[entry["dtype"]]).reshape(entry["shape"])
    return arrays, manifest


def packed(arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> bytes:
    """Return a container of any content whose checksums are right."""
    import hashlib

    arrays = {name: np.array(a, order="C") for name, a in arrays.items()}
    sums = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in arrays.items()}
    layouts = {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}
    text = json.dumps({**manifest, "checksums": sums, "arrays": layouts}, skipkeys=True)
    codes = {str(dtype): code for code, dtype in NAMES.items()}
    head: dict[str, Any] = {
        "__metadata__": {"manifest": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    }
    at = 0
    for name, a in arrays.items():
        head[name] = {
            "dtype": codes[str(a.dtype)],
            "shape": list(a.shape),
            "data_offsets": [at, at + a.nbytes],
        }
        at += a.nbytes
    header = json.dumps(head).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + b"".join(a.tobytes() for a in arrays.values())


def damaged_container(data: bytes, rng: random.Random) -> bytes:
    """Return a container with its bytes changed, or with other content under right checksums."""
    choice = rng.random()
    if choice < 0.25:
        return damaged(data, rng)
    arrays, manifest = unpacked(data)
    if choice < 0.65 or not arrays:
        kept = {k: v for k, v in manifest.items() if k not in ("kind", "format", "checksums", "arrays")}
        return packed(arrays, {**manifest, **changed(kept, rng)} | {"kind": manifest["kind"]})
    name = rng.choice(sorted(arrays))
    arrays[name] = _array(arrays[name], rng)
    if rng.random() < 0.1:
        del arrays[name]
    return packed(arrays, manifest)


def _array(a: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return an array with another number in it, of another shape or of another type."""
    choice = rng.randrange(6)
    if choice < 2 and a.size:
        a = a.copy()
        value: float = rng.choice((np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -1.0, 0.0))
        with np.errstate(all="ignore"):
            a.reshape(-1)[rng.randrange(a.size)] = np.asarray(value).astype(a.dtype)
        return a
    if choice == 2:
        with np.errstate(all="ignore"):
            return a.astype(rng.choice(sorted(map(str, NAMES.values()))))
    if choice == 3 and a.ndim:
        return a[: rng.randrange(len(a) + 1)]
    if choice == 4 and a.ndim > 1:
        return a[..., : rng.randrange(a.shape[-1] + 1)]
    shapes: list[tuple[int, ...]] = [
        (a.size,),
        (1, *a.shape),
        (*a.shape, 1),
        a.shape[::-1],
        (a.size, 1),
        (1, a.size),
    ]
    return a.reshape(rng.choice(shapes))


Mutation = Callable[[bytes, random.Random], bytes]
