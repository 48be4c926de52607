from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.training import checkpoint as module
from vrodent.training.checkpoint import CheckpointError, load_agent, load_checkpoint, save_checkpoint, verify_checkpoint
from vrodent.training.checkpoint_store import CheckpointStore
from vrodent.training.lineage import Stage

CONFIG = AgentConfig(
    num_policy_layers=2,
    core_size=6,
    policy_size=5,
    proprioception_size=7,
    action_size=4,
    proprioception_layers=(8,),
    image_channels=(2, 3),
    image_blocks=(0, 1),
    image_features=6,
    value_layers=(),
)
STAGE = Stage(
    method="drawn", trained_from="initial weights, seed 0", tasks=("gaps",), steps=0, wall_clock_hours=0.0, machine="any", date="2026-01-01"
)


class Counters(NamedTuple):
    key: jax.Array
    update: jax.Array
    cursor: np.ndarray
    half: jax.Array
    generator: dict
    seconds: float
    paused: bool


def _counters(seed: int) -> Counters:
    generator = np.random.default_rng(seed)
    generator.standard_normal(3)
    return Counters(
        key=jax.random.split(jax.random.key(seed), 2),
        update=jnp.asarray(seed, jnp.int32),
        cursor=np.array([2**40 + seed]),
        half=jnp.asarray([1.5, -0.1], jnp.bfloat16),
        generator=generator.bit_generator.state,
        seconds=0.1 + seed,
        paused=bool(seed % 2),
    )


def _bits(tree: Any) -> list[bytes | str]:
    leaves = jax.tree.leaves(tree)
    leaves = [jax.random.key_data(x) if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in leaves]
    return [np.asarray(x).tobytes() if isinstance(x, (jax.Array, np.ndarray)) else repr(x) for x in leaves]


def _save(path: Path, seed: int = 0, **options: Any) -> Path:
    agent = Agent(CONFIG, seed=seed, stance=np.linspace(-1, 1, 4))
    return save_checkpoint(path, agent, lineage=[STAGE], trees={"trainer": _counters(seed)}, numbers={"steps": seed}, **options)


def _resign(path: Path) -> None:
    """Make the marker fit config.json again, as a foreign writer would."""
    (path / "COMPLETE").write_text(hashlib.sha256((path / "config.json").read_bytes()).hexdigest())


def _edit(path: Path, **changes: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))
    _resign(path)


def test_everything_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    path = _save(tmp_path / "deep" / "one", seed=3)
    loaded = load_checkpoint(path, expect=CONFIG)
    assert loaded.agent.config == CONFIG
    assert _bits(loaded.agent) == _bits(Agent(CONFIG, seed=3, stance=np.linspace(-1, 1, 4)))
    assert loaded.lineage == (STAGE,) and loaded.numbers == {"steps": 3} and loaded.trees == ("trainer",)
    counters = loaded.tree("trainer", like=_counters(8))
    assert _bits(counters) == _bits(_counters(3))
    assert jax.tree.structure(counters) == jax.tree.structure(_counters(3))
    assert [type(x) for x in jax.tree.leaves(counters)] == [type(x) for x in jax.tree.leaves(_counters(3))]
    restored, original = np.random.default_rng(), np.random.default_rng(3)
    restored.bit_generator.state = counters.generator
    original.standard_normal(3)
    assert restored.integers(2**60, size=4).tolist() == original.integers(2**60, size=4).tolist()
    assert _bits(jax.random.normal(counters.key[1], (2,))) == _bits(jax.random.normal(_counters(3).key[1], (2,)))


def test_the_folder_is_readable_without_this_package(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    config = json.loads((path / "config.json").read_text())
    assert config["agent"]["core_size"] == 6 and config["lineage"][0]["method"] == "drawn" and config["code_version"]
    assert sorted(x.name for x in path.iterdir()) == ["COMPLETE", "agent.npz", "config.json", "trainer.npz"]
    with np.load(path / "agent.npz", allow_pickle=False) as arrays:
        assert arrays["core/weight_hidden"].shape == (6, 24)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one"]
    assert json.loads(load_checkpoint(path).lineage_json())["stages"][0]["trained_from"] == "initial weights, seed 0"


def test_replacing_leaves_only_the_new_one(tmp_path: Path) -> None:
    _save(tmp_path / "one", seed=1)
    _save(tmp_path / "one", seed=2)
    assert load_checkpoint(tmp_path / "one").numbers == {"steps": 2}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one"]


@pytest.mark.parametrize("fail_at", range(5))
def test_a_full_disk_leaves_the_old_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
    """The disk fills at the first, second, ... file that is handed to it: two npz, config, marker, folder."""
    path, calls, flush = _save(tmp_path / "one", seed=1), [], os.fsync

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > fail_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"No space left.*untouched.*Free some space"):
            _save(path, seed=2)
    assert len(calls) == fail_at + 1
    verify_checkpoint(path)
    assert load_checkpoint(path).numbers == {"steps": 1}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one"]


def test_a_really_refused_write_leaves_the_old_one_whole(tmp_path: Path) -> None:
    """Nothing is replaced here: the kernel itself refuses to let a file grow beyond 2 kB."""
    path = _save(tmp_path / "one", seed=1)

    script = (
        "import resource, sys; from vrodent.agent import Agent; from vrodent.training.checkpoint import *\n"
        "loaded = load_checkpoint(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        "try: save_checkpoint(sys.argv[1], loaded.agent, lineage=loaded.lineage)\n"
        "except CheckpointError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert "File too large" in result.stdout, result.stderr
    assert load_checkpoint(path).numbers == {"steps": 1}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one"]


def test_death_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    path = _save(tmp_path / "one", seed=1)
    path.rename(tmp_path / ".one.old")
    assert load_checkpoint(path).numbers == {"steps": 1}
    _save(path, seed=2)
    assert load_checkpoint(path).numbers == {"steps": 2}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one"]


@pytest.mark.parametrize("name", ["agent.npz", "trainer.npz"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damaged_arrays_are_found(tmp_path: Path, name: str, damage: str) -> None:
    path = _save(tmp_path / "one")
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        (path / name).unlink()
    else:
        (path / name).write_bytes(data if damage == "flip" else data[:-10])
    said = {"cut": "cut short", "flip": "SHA-256", "gone": "missing"}[damage]
    with pytest.raises(CheckpointError, match=rf"{name}.*{said}"):
        verify_checkpoint(path)
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(path).tree("trainer", like=_counters(0))


def test_a_folder_without_marker_is_not_whole(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    (path / "COMPLETE").unlink()
    with pytest.raises(CheckpointError, match="not whole"):
        load_checkpoint(path)


def test_an_edited_config_is_found(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    (path / "config.json").write_text((path / "config.json").read_text().replace('"steps": 0', '"steps": 9'))
    with pytest.raises(CheckpointError, match="edited"):
        load_checkpoint(path)


def test_another_format_and_version_says_which_to_use(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    _edit(path, format=2, code_version="7.8")
    with pytest.raises(CheckpointError, match=r"format 2.*reads format 1.*vrodent 7\.8"):
        load_checkpoint(path)


def test_a_config_of_another_schema_says_which_field(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    _edit(path, agent={**json.loads(CONFIG.to_json()), "attention_heads": 4})
    with pytest.raises(CheckpointError, match=r"attention_heads.*version that wrote it"):
        load_checkpoint(path)


def test_another_architecture_says_how_it_differs(tmp_path: Path) -> None:
    path = _save(tmp_path / "one")
    with pytest.raises(CheckpointError, match="num_policy_layers is 2 instead of 3; core_size is 6 instead of 99"):
        load_checkpoint(path, expect=dataclasses.replace(CONFIG, num_policy_layers=3, core_size=99))
    _edit(path, agent=json.loads(dataclasses.replace(CONFIG, core_size=7).to_json()))
    with pytest.raises(CheckpointError, match=r"core/weight_input has shape \[14, 24\], but needs \[14, 28\]"):
        load_checkpoint(path)


def test_another_optimiser_says_what_is_missing(tmp_path: Path) -> None:
    loaded = load_checkpoint(_save(tmp_path / "one"))
    with pytest.raises(CheckpointError, match="missing momentum; left over key, update, cursor, half and 7 more"):
        loaded.tree("trainer", like={"momentum": jnp.zeros(2)})
    with pytest.raises(CheckpointError, match="no 'replay', only trainer"):
        loaded.tree("replay", like={})


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _save(tmp_path / "one")
    trap = np.empty(1, object)
    trap[0] = _Trap()
    for content in ("npz", "pickle"):
        with (path / "agent.npz").open("wb") as file:
            np.savez(file, **{"core/bias": trap}) if content == "npz" else pickle.dump(_Trap(), file)
        config = json.loads((path / "config.json").read_text())
        data = (path / "agent.npz").read_bytes()
        config["files"]["agent"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        _edit(path, files=config["files"])
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_checkpoint(path)
        assert not (tmp_path / "trapped").exists()


def test_foreign_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="a checkpoint is a folder"):
        load_checkpoint(tmp_path / "file")
    _save(tmp_path / "runs" / "step-000000000004")
    with pytest.raises(CheckpointError, match=r"no checkpoint: .*the newest is .*step-000000000004"):
        load_checkpoint(tmp_path / "runs")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(CheckpointError, match="cannot write"):
        _save(tmp_path / "file" / "one")


def test_what_cannot_be_stored_is_named(tmp_path: Path) -> None:
    agent = Agent(CONFIG)
    with pytest.raises(TypeError, match="object at 'a'"):
        save_checkpoint(tmp_path / "one", agent, lineage=[], trees={"x": {"a": object()}})
    with pytest.raises(ValueError, match=r"'\.\./x'"):
        save_checkpoint(tmp_path / "one", agent, lineage=[], trees={"../x": 1})
    assert list(tmp_path.iterdir()) == []


def test_load_agent_takes_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGED", tmp_path / "agents")
    with pytest.raises(CheckpointError, match=r"no agent 'four-tasks'.*No trained agent comes.*save_checkpoint"):
        load_agent("four-tasks")
    _save(tmp_path / "agents" / "four-tasks", seed=5)
    assert _bits(load_agent("four-tasks")) == _bits(load_agent(tmp_path / "agents" / "four-tasks"))
    with pytest.raises(CheckpointError, match=r"no agent 'five-tasks'.*are: four-tasks\."):
        load_agent("five-tasks")


def test_a_store_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    store, agent = CheckpointStore(tmp_path / "run", keep=2), Agent(CONFIG)
    assert store.latest() is None and store.best() is None
    for step, score in [(1, None), (2, 5.0), (3, 4.0), (40, None), (500, 1.0)]:
        store.save(step, agent, lineage=[STAGE], score=score)
    assert [int(path.name[5:]) for path in store.paths()] == [2, 40, 500]
    assert (store.best(), store.latest()) == (store.paths()[0], store.paths()[-1])
    assert len(list((tmp_path / "run").iterdir())) == 3


def test_a_store_passes_over_a_damaged_newest(tmp_path: Path) -> None:
    store, agent = CheckpointStore(tmp_path, keep=3), Agent(CONFIG)
    paths = [store.save(step, agent, lineage=[STAGE]) for step in (1, 2)]
    (paths[1] / "agent.npz").write_bytes(b"")
    assert store.latest() == paths[0]
    (paths[0] / "COMPLETE").unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint.*is whole.*000000000002"):
        store.latest()
    with pytest.raises(ValueError, match="keep"):
        CheckpointStore(tmp_path, keep=0)
