"""Small files that claim or unpack to gigabytes, nest without end, or cost time out of proportion."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hostile_mutations import packed

GIGABYTES = 3 * 2**30


@dataclass(frozen=True)
class Bomb:
    """A hostile file: its format, what writes it into a folder, and a part of what the error says.

    harmless: whether a reader may take it as well, since it costs nothing.
    """

    format: str
    write: Callable[[Path], Path]
    says: str = ""
    harmless: bool = False


def text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    """Return what writes a file."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def _aliases(levels: int = 40, form: str = "[{}]", join: str = ", ", start: str = "[x, x]") -> str:
    lines = [f"a0: &a0 {start}"]
    lines += [f"a{i}: &a{i} {form.format(join.join([f'*a{i - 1}'] * 3))}" for i in range(1, levels)]
    return "\n".join(lines)


def pair(name: str, content: str | bytes) -> Callable[[Path], Path]:
    """Return what writes one of the two files of a dataset, with a sound other one beside it."""
    sound = {
        "A.yaml": "num_data: 2\nnum_sys: 0\nstatistical_error: [1.0, 1.0]\ndata_central: [1.0, 2.0]\n",
        "A.json": json.dumps(
            {
                "best_sm": [1.0, 2.0],
                "theory_cov": [[1.0, 0.0], [0.0, 1.0]],
                "LO": {"SM": [1.0, 2.0], "O": [1.0, 1.0]},
            }
        ),
    }

    def write(folder: Path) -> Path:
        for other, text_of_other in sound.items():
            text(other, text_of_other)(folder)
        return text(name, content)(folder)

    return write


def _commondata(line: str, rest: str = "") -> str:
    return f"num_data: 2\nnum_sys: 0\nstatistical_error: [1, 1]\ndata_central: {line}\n{rest}"


def _header(length: int, entry: str = "") -> bytes:
    return struct.pack("<Q", length) + entry.encode()


def _container(shape: list[int], offsets: list[int], dtype: str = "F64") -> bytes:
    head = json.dumps({"weights": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    return struct.pack("<Q", len(head)) + head + b"\0" * 64


def _resigned(kind: str, **manifest: object) -> bytes:
    arrays = {"weights": np.ones(3), "expected": np.ones(6), "ratios": np.ones((3, 6))}
    base = {
        "kind": kind, "format": 2, "name": "x", "operators": ["OtG", "OpQM"], "basis": "smefit",
        "metadata": {}, "units": "TeV^-2",
    }  # fmt: skip
    return packed(arrays, {**base, **manifest})


def _nested_manifest() -> bytes:
    manifest = '{"kind": "unbinned dataset", "format": 2, "metadata": ' + "[" * 10**6
    head = json.dumps({"__metadata__": {"manifest": manifest}}).encode()
    return struct.pack("<Q", len(head)) + head


def _lhe(events: str, header: str = "") -> bytes:
    return (
        f'<LesHouchesEvents version="3.0">\n<header>{header}</header>\n<init>\n'
        "2212 2212 6500 6500 0 0 1 1 -4 1\n1.0 0.1 1.0 1\n</init>\n" + events
    ).encode()


def _packed(start: bytes, piece: bytes, total: int = GIGABYTES) -> bytes:
    """Return a gzip file of a start and a piece repeated up to a length, without the right sum at its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = piece * (2**22 // len(piece))
    first, again = (packer.compress(x) + packer.flush(zlib.Z_FULL_FLUSH) for x in (start, block))
    return b"\x1f\x8b\x08" + bytes(7) + first + again * (total // len(block)) + packer.flush() + bytes(8)


def _many_particles(folder: Path) -> Path:
    particle = "21 1 1 2 501 502 1.0 2.0 3.0 4.0 0.0 0.0 0.0\n"
    weights = "<rwgt>\n" + "".join(f"<wgt id='w{i}'> 1.0 </wgt>\n" for i in range(2)) + "</rwgt>\n"
    few = f"<event>\n1 1 1.0 91.0 0.0 0.0\n{particle}{weights}</event>\n"
    many = f"<event>\n100000 1 1.0 91.0 0.0 0.0\n{particle * 100_000}{weights}</event>\n"
    header = (
        "<initrwgt><weightgroup name='a'>"
        + "".join(f"<weight id='w{i}'>set param_card smeft 1 {i}.5</weight>" for i in range(3))
        + "</weightgroup></initrwgt>"
    )
    weights3 = weights.replace("</rwgt>", "<wgt id='w2'> 1.0 </wgt>\n</rwgt>")
    body = (few * 500 + many).replace(weights, weights3) + "</LesHouchesEvents>\n"
    return text("a.lhe", _lhe(body, header))(folder)


def _hdf5(folder: Path, fields: dict[str, object]) -> Path:
    """Write a MadMiner file of three events with some arrays replaced by what a function makes."""
    import h5py
    from event_writers import madminer_fields, random_events

    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        for key, value in {**madminer_fields(random_events(6)), **fields}.items():
            if callable(value):
                value(file, key)
            else:
                file.create_dataset(key, data=value)
    return path


def _never_written(folder: Path) -> Path:
    return _hdf5(
        folder,
        {
            "samples/weights": lambda f, k: f.create_dataset(
                k, shape=(2**40, 6), dtype="f8", chunks=(2**16, 6)
            )
        },
    )


def _zeros(folder: Path) -> Path:
    def make(file: object, key: str) -> None:
        data = file.create_dataset(  # type: ignore[attr-defined]
            key, shape=(2**25, 6), dtype="f8", chunks=(2**22, 6), compression="gzip", compression_opts=1
        )
        block = zlib.compress(bytes(2**22 * 6 * 8), 1)
        for start in range(0, 2**25, 2**22):
            data.id.write_direct_chunk((start, 0), block)

    return _hdf5(folder, {"samples/weights": make})


def _small_integers(folder: Path) -> Path:
    def make(file: object, key: str) -> None:
        shape, rows = (2**28, 6), 2**24
        data = file.create_dataset(key, shape=shape, dtype="i1", chunks=(rows, 6), compression="gzip")  # type: ignore[attr-defined]
        block = zlib.compress(bytes(rows * 6), 1)
        for start in range(0, shape[0], rows):
            data.id.write_direct_chunk((start, 0), block)

    return _hdf5(folder, {"samples/weights": make})


def _dictionary(folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.DictionaryArray.from_arrays(np.zeros(2**20, np.int8), pa.array([1.5]))
    table = pa.table(dict.fromkeys(("pt", "w0", "w1", "w2", "w3", "w4", "w5"), column))
    path = folder / "a.parquet"
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for _ in range(12):
            writer.write_table(table)
    return path


def _parquet_rows(folder: Path) -> Path:
    """Write a parquet file whose footer, in Thrift's compact form, claims 2^40 rows in place of 5."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "a.parquet"
    pq.write_table(
        pa.table({name: np.full(5, 2.0) for name in ("pt", "w0", "w1", "w2", "w3", "w4", "w5")}), path
    )
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    footer = data[-8 - length : -8]
    claimed = footer.replace(b"\x16\x0a", b"\x16" + b"\x80\x80\x80\x80\x80\x40")
    path.write_bytes(data[: -8 - length] + claimed + struct.pack("<I", len(claimed)) + data[-4:])
    return path


def _trees(folder: Path) -> Path:
    """Write a model whose trees unpack to gigabytes."""
    stored = np.frombuffer(zlib.compress(bytes(2**28), 1), np.uint8)
    arrays = {"parameter.0": stored[None], "calibration": np.eye(2)[None]}
    arrays |= {
        "growth.coefficients": np.zeros((6, 1)),
        "growth.lower": np.zeros(2),
        "growth.upper": np.ones(2),
    }
    features = {"names": ["pt", "eta"], "kinds": ["plain", "plain"], "mean": [0.0, 0.0], "std": [1.0, 1.0]}
    manifest = {
        "kind": "estimator", "format": 2, "operators": ["a"], "feature_map": features, "metadata": {},
        "backbone": {"name": "trees"}, "head": {"name": "quadratic"},
    }  # fmt: skip
    return text("t.model", packed(arrays, manifest))(folder)


NAMES = [f"O{i}" for i in range(100_000)]
SIZES: dict[str, Bomb] = {
    "aliases in a card": Bomb("runcard", text("c.yaml", _aliases()), "aliases written out"),
    "aliases in a comparison": Bomb("comparison card", text("c.yaml", _aliases()), "aliases written out"),
    "merged aliases": Bomb(
        "runcard", text("c.yaml", _aliases(40, "{{<<: [{}]}}", start="{x: 1}")), "aliases written out"
    ),
    "an alias to itself": Bomb(
        "projection card", text("c.yaml", "datasets: &a [*a]\n"), "aliases written out"
    ),
    "aliases in points": Bomb("points", text("c.yaml", _aliases()), "aliases written out"),
    "aliases in commondata": Bomb("commondata", pair("A.yaml", _aliases() + "\n" + _commondata("*a39"))),
    "merged aliases in commondata": Bomb(
        "commondata", pair("A.yaml", _aliases(40, "{{<<: [{}]}}", start="{x: 1}"))
    ),
    "a card of lists in lists": Bomb("runcard", text("c.yaml", "a: " + "[" * 200_000)),
    "a card of blocks in blocks": Bomb("runcard", text("c.yaml", "- " * 200_000 + "a")),
    "a card of closed lists": Bomb("runcard", text("c.yaml", "a: " + "[" * 990 + "]" * 990)),
    "commondata of lists in lists": Bomb(
        "commondata", pair("A.yaml", _commondata("[" * 900 + "1" + "]" * 900))
    ),
    "a card of many values": Bomb("runcard", text("c.yaml", "a: [" + "1, " * 150_000 + "1]"), "values"),
    "a card of many keys": Bomb(
        "runcard", text("c.yaml", "".join(f"k{i}: 1\n" for i in range(150_000))), "values"
    ),
    "a large card": Bomb("runcard", text("c.yaml", "a: " + "x" * 2**23), "larger than 4 MiB"),
    "a number in base 60": Bomb("runcard", text("c.yaml", "seed: " + "1:" * 10**6 + "1"), "a number of"),
    "base 60 in commondata": Bomb("commondata", pair("A.yaml", _commondata(f"[1, {'1:' * 10**6}1]"))),
    "a long integer": Bomb("runcard", text("c.yaml", "seed: " + "9" * 10**6), "a number of"),
    "a long hexadecimal": Bomb("commondata", pair("A.yaml", _commondata("[1, 0x" + "f" * 10**6 + "]"))),
    "a null byte": Bomb("runcard", text("c.yaml", 'result_path: "a\\0b"\n'), "null byte"),
    "UTF-16": Bomb("runcard", text("c.yaml", "a: 1".encode("utf-16"))),
    "Latin-1": Bomb("runcard", text("c.yaml", "a: é".encode("latin-1"))),
    "Latin-1 JSON": Bomb("theory", pair("A.json", '{"é": 1}'.encode("latin-1"))),
    "a JSON file with a mark": Bomb("theory", pair("A.json", b"\xef\xbb\xbf{}")),
    "JSON of lists in lists": Bomb("theory", pair("A.json", '{"a": ' + "[" * 10**6)),
    "JSON of objects in objects": Bomb("fit result", text("f.json", '{"a": ' * 10**5)),
    "a comparison of lists in lists": Bomb("comparison", text("c.json", "[" * 10**5)),
    "a long number in JSON": Bomb("theory", pair("A.json", '{"best_sm": ' + "9" * 10**6 + "}")),
    "a theory of many operators": Bomb(
        "theory", pair("A.json", json.dumps({"NLO": dict.fromkeys(NAMES, 1)})), "order"
    ),
    "a theory of many orders": Bomb("theory", pair("A.json", json.dumps({n: {} for n in NAMES})), "order"),
    "a header of 2^63 bytes": Bomb("dense dataset", text("u", _header(2**63))),
    "a header beyond the file": Bomb("dense dataset", text("u", _header(10**8, "{"))),
    "a header of lists in lists": Bomb("dense dataset", text("u", _header(10**6, "[" * 10**6))),
    "an array beyond the file": Bomb("dense dataset", text("u", _container([2**40], [0, 2**43]))),
    "an array of overflowing shape": Bomb("dense dataset", text("u", _container([2**32, 2**32], [0, 64]))),
    "an array of negative length": Bomb("dense dataset", text("u", _container([-8], [0, 64]))),
    "an array before the data": Bomb("dense dataset", text("u", _container([8], [-64, 0]))),
    "an array of no elements in 2^60 rows": Bomb("dense dataset", text("u", _container([2**60, 0], [0, 0]))),
    "a dataset of many operators": Bomb(
        "dense dataset", text("u", _resigned("unbinned dataset", operators=NAMES))
    ),
    "a manifest of lists in lists": Bomb("dense dataset", text("u", _nested_manifest())),
    "zeros as packed LHE": Bomb("LHE, packed", text("a.lhe.gz", _packed(b"", b"\0"))),
    "a packed header of spaces": Bomb(
        "LHE, packed",
        text("a.lhe.gz", _packed(b'<LesHouchesEvents version="3.0">\n<header>', b" ")),
        "MiB without",
    ),
    "a packed event without end": Bomb(
        "LHE, packed",
        text("a.lhe.gz", _packed(_lhe("<event>\n"), b"21 1 1 2 0 0 0. 0. 0. 0. 0. 0. 0.\n")),
        "",
    ),
    "a packed tag without end": Bomb(
        "LHE, packed", text("a.lhe.gz", _packed(b'<LesHouchesEvents version="3.0"', b" a")), ""
    ),
    "an event of many particles": Bomb("LHE", _many_particles, "particles, more than"),
    "a particle count of 2^60": Bomb(
        "LHE", text("a.lhe", _lhe(f"<event>\n{2**60} 1 1.0 1 1 1\n</event>\n</LesHouchesEvents>\n"))
    ),
    "entities in LHE": Bomb(
        "LHE",
        text(
            "a.lhe",
            "<!DOCTYPE x ["
            + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "x" * 100}">' for i in range(12))
            + "]>\n<LesHouchesEvents version='3.0'><header>&a11;</header></LesHouchesEvents>",
        ),
    ),
    "a packed line without end": Bomb("CSV, packed", text("a.csv.gz", _packed(b"", b"1")), "a line of more"),
    "packed rows, all the same": Bomb(
        "CSV, packed", text("a.csv.gz", _packed(b"pt,w0,w1,w2,w3,w4,w5\n", b"1,1,1,1,1,1,1\n", 2**28)), ""
    ),
    "a packed file of nothing": Bomb("CSV, packed", text("a.csv.gz", gzip.compress(b""))),
    "an array that was never written": Bomb("MadMiner", _never_written, "not written to the end"),
    "an array of zeros, packed": Bomb("MadMiner", _zeros, ""),
    "small integers that become doubles": Bomb("MadMiner", _small_integers, ""),
    "a dictionary of one value": Bomb("parquet", _dictionary, "hardly events"),
    "a row count of 2^40": Bomb("parquet", _parquet_rows, harmless=True),
    "trees that unpack to gigabytes": Bomb("trees", _trees, "cut off, or longer"),
}
"""Hostile files by what they are."""
