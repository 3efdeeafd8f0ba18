"""Files: what is written comes back, damage is noticed, and nothing is ever half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from smeft_unbinned import InputError, storage

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "t": np.arange(6.0).reshape(3, 2).T,
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4)),
    "single": np.ones(3, dtype=np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    storage.write(
        tmp_path / "x.safetensors", "thing", ARRAYS, {"name": "é", "nested": {"list": [1, None, True]}}
    )
    return tmp_path / "x.safetensors"


def test_arrays_and_manifest_come_back(file: Path) -> None:
    arrays, manifest = storage.read(file, "thing")
    assert set(arrays) == set(ARRAYS)
    for name, a in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], a)
        assert arrays[name].dtype == a.dtype
        assert arrays[name].shape == a.shape
    assert manifest["name"] == "é"
    assert manifest["nested"] == {"list": [1, None, True]}
    assert manifest["format"] == storage.FORMAT
    assert manifest["checksums"]["a"] == storage.checksum(ARRAYS["a"])
    assert storage.read(file, None)[1]["kind"] == "thing"


def test_a_file_follows_the_umask_and_leaves_no_temporary(file: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_every_flipped_byte_is_noticed(file: Path, tmp_path: Path) -> None:
    """A change either makes the file unreadable or leaves the content as it was (padding, a renamed key)."""
    data, reference = file.read_bytes(), storage.read(file, "thing")
    damaged = tmp_path / "damaged.safetensors"
    noticed = 0
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 0x01
        damaged.write_bytes(flipped)
        try:
            arrays, manifest = storage.read(damaged, "thing")
        except InputError:
            noticed += 1
            continue
        assert dict(manifest) == dict(reference[1])
        for name, a in reference[0].items():
            np.testing.assert_array_equal(arrays[name], a)
    assert noticed > 0.9 * len(data)


def test_a_changed_array_is_named(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 0x80
    file.write_bytes(data)
    with pytest.raises(
        InputError, match=r"x.safetensors is damaged: checksum mismatch in \w+; fetch it again"
    ):
        storage.read(file, "thing")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a readable thing file"):
        storage.read(file, "thing")


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*y.safetensors. Did you mean 'x.safetensors'"):
        storage.read(tmp_path / "y.safetensors", "thing")
    with pytest.raises(InputError, match="holds 'thing', expected 'other'; check the path"):
        storage.read(file, "other")
    with pytest.raises(InputError, match="not a readable thing file"):
        storage.read(tmp_path, "thing")
    foreign = tmp_path / "foreign.safetensors"
    for metadata in (None, {"manifest": "[1]"}, {"manifest": "{"}, {"other": "x"}):
        foreign.write_bytes(save({"a": np.ones(2)}, metadata=metadata))
        with pytest.raises(InputError, match="holds 'something unknown', expected 'thing'"):
            storage.read(foreign, "thing")


@pytest.mark.parametrize("version", [storage.FORMAT + 1, "2", None])
def test_a_later_format_is_refused(tmp_path: Path, version: object) -> None:
    head = {"kind": "thing", "format": version, "checksums": {}}
    (tmp_path / "x").write_bytes(save({}, metadata={"manifest": json.dumps(head)}))
    with pytest.raises(InputError, match=r"format version .*, this package reads up to 2; update"):
        storage.read(tmp_path / "x", "thing")


def test_a_file_that_lacks_an_entry_is_refused(file: Path) -> None:
    arrays, manifest = storage.read(file, "thing")
    for content in (arrays, manifest):
        with pytest.raises(InputError, match=r"x.safetensors lacks the entry 'ratios'"):
            content["ratios"]
    assert arrays.get("ratios") is None


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(storage.os, name, fail)
            with pytest.raises(InputError, match="No space left on device; nothing was changed"):
                storage.write(file, "thing", {"a": np.ones(9)}, {})
        assert file.read_bytes() == before
        assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_an_interrupted_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.write_text(file, "new")
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_unwritable_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder .*absent does not exist; create it first"):
        storage.write(tmp_path / "absent" / "x", "thing", {}, {})
    assert not (tmp_path / "absent").exists()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder"):
        storage.write_text(tmp_path / "folder", "x")
    with pytest.raises(InputError, match=r"metadata must be of JSON types, but: .*object"):
        storage.write(tmp_path / "x", "thing", {}, {"a": object()})
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_folders_are_made_or_refused(tmp_path: Path) -> None:
    assert storage.check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []
    assert storage.make_folder(tmp_path / "a" / "b").is_dir()
    assert storage.make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for bad in ("file", "file/x", "file/x/y", "link", "n" * 300, "null\0byte"):
        with pytest.raises(InputError, match=r"cannot make the folder .*; choose another"):
            storage.make_folder(tmp_path / bad)
