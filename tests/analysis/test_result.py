"""Results on disk: round trip, equal bytes, damage noticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from vrodent.analysis.result import Quantity, Result, ResultError, load_results


def example(name: str = "spectra_bowl") -> Result:
    return Result(
        name=name,
        kind="spectra",
        arrays={
            "power": Quantity(
                values=np.linspace(0, 1, 6).reshape(2, 3), axes=("layer", "frequency"), unit="1/Hz", meaning="share of power"
            ),
            "layer": Quantity(values=np.array(["core", "policy0"]), axes=("layer",), unit=""),
        },
        parameters={"segment": 400, "bands": ("fast", "slow")},
        notes=("Trial 3 was left out: 1 s long.",),
        fingerprint="abc",
        version="0.1.0",
    )


def test_round_trip(tmp_path: Path) -> None:
    result = example()
    read = Result.load(result.save(tmp_path))
    for name, quantity in result.arrays.items():
        np.testing.assert_array_equal(read[name], quantity.values)
        again = read.arrays[name]
        assert (again.axes, again.unit, again.meaning) == (quantity.axes, quantity.unit, quantity.meaning)
    assert (read.parameters, read.notes, read.fingerprint, read.version, read.kind) == (
        result.parameters, result.notes, result.fingerprint, result.version, result.kind,
    )  # fmt: skip
    assert list(load_results(tmp_path)) == ["spectra_bowl"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spectra_bowl.json", "spectra_bowl.npz"]


def test_equal_results_make_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example().save(tmp_path / "a")
    monkeypatch.setattr("time.time", lambda: 2e9)
    example().save(tmp_path / "b")
    for suffix in ("npz", "json"):
        assert (tmp_path / f"a/spectra_bowl.{suffix}").read_bytes() == (tmp_path / f"b/spectra_bowl.{suffix}").read_bytes()


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = example().save(tmp_path)
    npz = path.with_suffix(".npz")
    whole = npz.read_bytes()
    npz.write_bytes(whole[:-20])
    with pytest.raises(ResultError, match="does not match the SHA-256"):
        Result.load(path)
    npz.unlink()
    with pytest.raises(ResultError, match="is missing beside its json"):
        Result.load(path)
    npz.write_bytes(whole)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ResultError, match="not whole JSON"):
        Result.load(path)
    path.write_text(json.dumps({"format": "something else"}))
    with pytest.raises(ResultError, match="is not a 'vrodent result 1' file"):
        Result.load(path)
    with pytest.raises(ResultError, match="There is no result at"):
        Result.load(tmp_path / "other.json")
    with pytest.raises(ResultError, match="no folder of results"):
        load_results(tmp_path / "nowhere")


def test_an_interrupted_write_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = example().save(tmp_path)
    before = path.with_suffix(".npz").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        example().save(tmp_path)
    assert path.with_suffix(".npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_refuses_objects_and_wrong_axes() -> None:
    with pytest.raises(ResultError, match="objects"):
        Quantity(values=np.array([{}, None]), axes=("x",))
    with pytest.raises(ResultError, match="described by the axes"):
        Quantity(values=np.zeros((2, 2)), axes=("x",))
    with pytest.raises(ResultError, match="becomes a file name"):
        Result(name="a/b", kind="x", arrays={})
    with pytest.raises(ResultError, match=r"no array 'nothing'\. It has: power, layer"):
        example()["nothing"]
