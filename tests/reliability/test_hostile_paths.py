"""Names and paths from files: nothing is read or written elsewhere, nothing waits for a pipe."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hostile_formats import SAMPLE

from smeft_unbinned import (
    Events,
    FitResult,
    GaussianDataset,
    InputError,
    PoissonDataset,
    Polynomial,
    Runcard,
    UnbinnedDataset,
    storage,
)  # fmt: skip
from smeft_unbinned.cli import main
from smeft_unbinned.comparison import Comparison, ComparisonCard
from smeft_unbinned.datasets.files import load_dataset
from smeft_unbinned.events import parse_reweight_card, read_events, read_lhe, read_madminer, read_table
from smeft_unbinned.events.dispatch import read_points
from smeft_unbinned.processes.lhagrid import LHAGrid
from smeft_unbinned.projection_card import ProjectionCard
from smeft_unbinned.rg_matrix import read_rg_matrix
from smeft_unbinned.rge_file import read_matrices

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "runcard": ("a.yaml", Runcard.load),
    "projection card": ("a.yaml", ProjectionCard.load),
    "comparison card": ("a.yaml", ComparisonCard.load),
    "points": ("a.yaml", read_points),
    "commondata": ("A.yaml", lambda p: GaussianDataset.load(["A"], data_path=p.parent)),
    "rotation": ("a.json", lambda p: GaussianDataset.load(["ZH_14TeV_STXS"], rot_to_fit_basis=p)),
    "dataset": ("a.dataset", load_dataset),
    "unbinned dataset": ("a.dataset", UnbinnedDataset.load),
    "Poisson dataset": ("a.dataset", PoissonDataset.load),
    "events": ("a.events", Events.load),
    "matrices": ("a.running", read_matrices),
    "rg_matrix": ("a.pkl", read_rg_matrix),
    "fit result": ("a.json", FitResult.load),
    "comparison": ("a.json", Comparison.load),
    "grid": ("a.dat", LHAGrid),
    "LHE": ("a.lhe", read_lhe),
    "LHE, packed": ("a.lhe.gz", read_lhe),
    "MadMiner": ("a.h5", read_madminer),
    "table": ("a.csv", read_table),
    "parquet": ("a.parquet", read_table),
    "ROOT": ("a.root", lambda p: read_events([p], observables=["pt"])),
    "reweight card": ("a.dat", parse_reweight_card),
}
BAD_NAMES = ("../a", "/abs", "a/b", "a\\b", "a\nb", "a\0b", "..", ".hidden", "x" * 300)


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """End a test that waits."""

    def stop(*_: object) -> None:
        raise TimeoutError("waited for 20 s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "kind", ["pipe", "endless device", "folder", "loop of links", "dangling link", "long name"]
)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    file, read = READERS[name]
    path = tmp_path / file
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop of links":
        path.symlink_to(path)
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    else:
        path = tmp_path / ("x" * 5000 + file)
    with pytest.raises(InputError):
        read(path)


@pytest.mark.parametrize("name", READERS)
def test_a_null_byte_in_a_path_is_refused(tmp_path: Path, name: str) -> None:
    file, read = READERS[name]
    with pytest.raises(InputError):
        read(tmp_path / f"a\0{file}")


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_that_lead_elsewhere_are_no_coefficients(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError, match="no name of a coefficient"):
        Polynomial([bad], np.ones(3))
    for block in ("coefficients", "nuisances"):
        card = {"datasets": ["ZH_14TeV_STXS"], "coefficients": {"OpW": {}}, block: {bad: {}}}
        with pytest.raises(InputError, match="no name of a coefficient"):
            Runcard.from_dict(card, tmp_path)


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_in_files_are_no_paths(tmp_path: Path, bad: str) -> None:
    dataset = PoissonDataset("x", Polynomial(["OpW"], np.array([[2.0, 0.1, 0.1]])), basis="smefit")
    dataset.save(tmp_path / "a.dataset")
    arrays, manifest = storage.read(tmp_path / "a.dataset", None)
    plain = {k: v for k, v in manifest.items() if k not in ("kind", "format", "arrays", "checksums")}
    storage.write(tmp_path / "b.dataset", "poisson dataset", arrays, {**plain, "operators": [bad]})
    with pytest.raises(InputError, match="no name of a coefficient"):
        load_dataset(tmp_path / "b.dataset")


@pytest.mark.parametrize("bad", ["../secret", "sub/secret", "secret\n", "/etc/hostname", "secret\0"])
def test_a_dataset_is_a_file_of_its_folder(tmp_path: Path, bad: str) -> None:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        (place / "secret.yaml").write_text("num_data: 1\n")
        (place / "secret.json").write_text("{}")
    with pytest.raises(InputError, match="not found"):
        GaussianDataset.load([bad], data_path=folder)


def test_a_link_to_a_file_elsewhere_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "out").mkdir()
    link = tmp_path / "out" / "result.json"
    link.symlink_to(target)
    storage.write_text(link, "{}")
    assert target.read_text() == "mine"
    assert link.read_text() == "{}"
    assert not link.is_symlink()


def test_devices_and_pipes_are_not_replaced_by_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InputError):
            storage.write_text(path, "x")
    assert not Path("/dev/null").is_file()


def test_arrays_of_other_files_are_not_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    from event_writers import madminer_fields

    fields = madminer_fields(SAMPLE)
    weights = np.asarray(fields["samples/weights"])
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["w"] = weights
    (tmp_path / "raw").write_bytes(weights.astype("<f8").tobytes())
    os.mkfifo(tmp_path / "pipe")

    def external(file: Any) -> None:
        file.create_dataset("w", weights.shape, "f8", external=[(str(tmp_path / "raw"), 0, weights.nbytes)])
        file["samples/weights"] = file["w"]

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout(weights.shape, "f8")
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", weights.shape)
        file.create_virtual_dataset("samples/weights", layout)

    ways: dict[str, Callable[[Any], None]] = {
        "link": lambda f: f.__setitem__("samples/weights", h5py.ExternalLink("other.h5", "w")),
        "link to a pipe": lambda f: f.__setitem__("samples", h5py.ExternalLink(str(tmp_path / "pipe"), "w")),
        "link to a link": lambda f: (
            f.__setitem__("x", h5py.ExternalLink("other.h5", "w")),
            f.__setitem__("samples/weights", h5py.SoftLink("/x")),
        )[0],
        "external": external,
        "virtual": virtual,
    }
    for way, make in ways.items():
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            for key, value in fields.items():
                if not key.startswith("samples/weights") and not (
                    way == "link to a pipe" and "samples" in key
                ):
                    file[key] = value
            make(file)
        with pytest.raises(InputError, match="link or lies in another file"):
            read_madminer(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", b"\xff\xfea\x00:\x00"), ("a.yaml", b"a: [" * 9000), ("a.json", b"[" * 10**5),
        ("a.dataset", b"\xff" * 64), ("a.lhe", b"\0" * 64), ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 64),
    ],
)  # fmt: skip
def test_the_command_line_ends_with_2_and_without_a_traceback(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    command = {".yaml": ["fit"], ".json": ["inspect"], ".dataset": ["inspect"]}.get(path.suffix, ["events"])
    more = ["-o", str(tmp_path / "out")] if command == ["events"] else []
    done = CliRunner().invoke(main, [*command, str(path), *more])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert isinstance(done.exception, SystemExit)


def test_a_card_that_names_a_pipe_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    card = {"datasets": [{"name": "x", "unbinned": "pipe"}], "coefficients": {"OpW": {}}}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(InputError, match="a device or a pipe"):
        Runcard.load(tmp_path / "card.yaml").likelihood()
    (tmp_path / "rotation.json").write_text(json.dumps({"matrix": "pipe"}))
    with pytest.raises(InputError, match="missing"):
        GaussianDataset.load(["ZH_14TeV_STXS"], rot_to_fit_basis=tmp_path / "rotation.json")
