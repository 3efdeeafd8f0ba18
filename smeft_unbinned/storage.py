"""Files: named arrays with a JSON manifest, in safetensors, written whole or not at all.

The manifest sits in the header of the file and holds the kind of object, the format version, the version
of the package, a SHA-256 checksum of every array, and whatever the object adds; its own checksum stands next
to it. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from .engine import blocks
from .errors import InputError, brief
from .inputfile import check_regular
from .locks import lock, remove_abandoned
from .version import __version__

FORMAT = 2
"""Version of the file format; files of a later one are refused."""
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""Names of the types of numbers in the safetensors format."""
ALIGNMENT = 64
PIECE = 2**26
"""Bytes that are copied at once."""


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the path if a file can be written there; long work asks before it starts."""
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"cannot write {target}: the folder {target.parent} does not exist; create it first")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"cannot write {target}: the folder {target.parent} is read-only; choose another")
    if target.is_dir():
        raise InputError(f"cannot write {target}: it is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write {target}: it is a device or a pipe; give the name of a file")
    return target


def check_folder(path: str | os.PathLike[str]) -> Path:
    """Return the path if it is a folder one can write to, or can be made one; makes nothing."""
    folder = Path(path)
    try:
        place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        reason = "is not a folder" if not place.is_dir() else "is read-only"
        fit = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:  # too long a name, a null byte
        raise InputError(f"cannot make the folder {folder}: {error}; choose another") from error
    if not fit:
        raise InputError(f"cannot make the folder {folder}: {place} {reason}; choose another")
    return folder


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, parents included, unless it exists; raise InputError where that cannot be."""
    folder = check_folder(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot make the folder {folder}: {error}; choose another") from error
    return folder


def write_bytes(path: str | os.PathLike[str], data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name and rename it, so that `path` is never half-written.

    data: all of it, or the consecutive pieces. What killed processes have left of the same target is removed.
    """
    target = check_target(path)
    try:
        handle, temporary = _temporary(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            for piece in [data] if isinstance(data, bytes) else data:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)  # while it is open, and by that locked
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"cannot write {target}: {error.strerror}; nothing was changed") from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _temporary(target: Path) -> tuple[int, str]:
    """Return number and name of a new file beside the target, locked as long as it is open."""
    remove_abandoned(target)
    while True:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return handle, temporary
        os.close(handle)  # another process took it for abandoned, before it was locked


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(path, text.encode())


def checksum(array: np.ndarray) -> str:
    """Return the SHA-256 of the bytes of an array in C order."""
    digest = hashlib.sha256()
    for piece in _pieces(array):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(array: np.ndarray) -> Iterator[memoryview]:
    """Yield the content of an array in C order, a part at a time, giving back mapped memory after its use."""
    if array.nbytes <= PIECE or array.ndim == 0:
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        return
    source = blocks.mapping(array)
    step = max(PIECE * len(array) // array.nbytes, 1)
    for start in range(0, len(array), step):
        part = slice(start, start + step)
        yield np.ascontiguousarray(array[part]).reshape(-1).view(np.uint8).data
        if source is not None:
            blocks.release(array, part, source)


def write(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    """Save arrays and a manifest of JSON types as an object of this kind.

    Arrays may be larger than memory (mapped from other files): they are copied piece by piece.
    """
    tensors = {name: np.asarray(a) for name, a in arrays.items()}
    head = {
        **manifest,
        "kind": kind,
        "format": FORMAT,
        "smeft_unbinned": __version__,
        "arrays": {name: _layout(a) for name, a in tensors.items()},
        "checksums": {name: checksum(a) for name, a in tensors.items()},
    }
    try:
        text = json.dumps(head, sort_keys=True)
    except TypeError as error:
        raise InputError(f"cannot write {path}: metadata must be of JSON types, but: {error}") from error
    write_bytes(path, _safetensors(tensors, {"manifest": text, "sha256": _digest(text)}))


def _safetensors(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a file in the safetensors format: length of the header, header, numbers.

    Numbers of more bytes come first, so that all of them are aligned where the file is mapped.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    head: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        a = tensors[name]
        if str(a.dtype) not in DTYPES:
            raise InputError(f"cannot write numbers of type {a.dtype}; known are {', '.join(DTYPES)}")
        start, end = end, end + a.nbytes
        head[name] = {"dtype": DTYPES[str(a.dtype)], "shape": list(a.shape), "data_offsets": [start, end]}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    yield struct.pack("<Q", len(text))
    yield text
    for name in order:
        yield from _pieces(tensors[name])


class _Content(dict[str, Any]):
    """What a file holds; a missing entry is the file's fault."""

    def __init__(self, path: object, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(
            f"{self.path} lacks the entry {key!r}: it was not written by this package; make it anew"
        )


def _layout(array: np.ndarray) -> list[Any]:
    return [str(array.dtype), list(array.shape)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _map(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file, read-only, in the mapped file."""
    with open(path, "rb") as stream:
        source = blocks.MappedFile.of(stream.fileno(), Path(path).absolute())
    (size,) = struct.unpack("<Q", source[:8])
    names = {code: name for name, code in DTYPES.items()}
    arrays = {}
    for name, entry in json.loads(source[8 : 8 + size]).items():
        if name != "__metadata__":
            dtype, shape = np.dtype(names[entry["dtype"]]), entry["shape"]
            count, offset = int(np.prod(shape)), 8 + size + entry["data_offsets"][0]
            flat = np.frombuffer(source, dtype, count, offset) if count else np.empty(0, dtype)
            arrays[name] = flat.reshape(shape)
    return arrays


def read(
    path: str | os.PathLike[str], kind: str | None, *, mapped: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Load arrays and manifest, after checking kind (None: any), format version and checksums.

    mapped: leave the arrays in the file, read-only, from where they are fetched as they are needed.
    Raises InputError for a file that is missing, truncated, of another kind, of a later format or altered.
    """
    check_regular(path, "file", form=f"{kind or 'safetensors'} ")
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            keys = stream.keys()
            arrays = _map(path) if mapped else {name: stream.get_tensor(name) for name in keys}
    except (SafetensorError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path} is not a readable {kind or 'safetensors'} file (truncated, or something else): {error}; "
            "check the path or make it anew"
        ) from error
    manifest = _manifest(path, metadata)
    _check(path, kind, arrays, manifest)
    for source in {id(s): s for a in arrays.values() if (s := blocks.mapping(a)) is not None}.values():
        assert isinstance(source, blocks.MappedFile)
        source.intact = partial(_holds, source.path, manifest)
    return _Content(path, arrays), _Content(path, manifest)


def _holds(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Return whether a file is sound and has this manifest, checksums of all arrays included."""
    try:
        return read(path, None, mapped=True)[1] == manifest
    except InputError:
        return False


def check_numbers(path: object, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise InputError, naming file and array, for a number that is not finite."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise InputError(f"{path} is damaged: {name} holds numbers that are not finite; make it anew")


def kind(path: str | os.PathLike[str]) -> object:
    """Return the kind that the header of a file names; None where it has none, which reading then tells."""
    try:
        with safe_open(check_regular(path, "file"), framework="numpy") as stream:
            return json.loads(stream.metadata()["manifest"])["kind"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _manifest(path: object, metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get("manifest", "{}")
    if metadata.get("sha256", _digest(text)) != _digest(text):
        raise InputError(f"{path} is damaged: checksum mismatch in the manifest; fetch it again")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}


def _check(
    path: object, kind: str | None, arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    found = manifest.get("kind")
    if not isinstance(found, str) or (kind is not None and found != kind):
        raise InputError(
            f"{path} holds {brief(found or 'something unknown')}, expected "
            f"{kind or 'a file of this package'!r}; check the path"
        )
    if not isinstance(manifest.get("format"), int) or manifest["format"] > FORMAT:
        raise InputError(
            f"{path} has format version {brief(manifest.get('format'))}, this package reads up to {FORMAT}; "
            "update smeft-unbinned"
        )
    sums, layouts = manifest.get("checksums", {}), manifest.get("arrays", {})
    if not isinstance(sums, dict) or not isinstance(layouts, dict):
        raise InputError(f"{path} is damaged: no checksums of its arrays; fetch it again")
    bad = [
        n
        for n in {*sums, *arrays}
        if n not in arrays
        or sums.get(n) != checksum(arrays[n])
        or layouts.get(n, _layout(arrays[n])) != _layout(arrays[n])
    ]
    if bad:
        raise InputError(f"{path} is damaged: checksum mismatch in {', '.join(sorted(bad))}; fetch it again")
