from __future__ import annotations

from vrodent.body import PROPRIOCEPTION, PROPRIOCEPTION_SIZE
from vrodent.recording.schema import (
    FIXED_COLUMNS,
    KEYPOINT_NAMES,
    SENSE_COLUMNS,
    SKELETON,
    STANDARD_SERIES,
    TASK_SERIES,
    activity_series,
    column_unit,
)
from vrodent.task import TASK_NAMES


def test_names_are_unique_in_every_task():
    for task in TASK_NAMES:
        names = [spec.name for spec in (*activity_series("core"), *STANDARD_SERIES, *TASK_SERIES.get(task, ()))]
        assert len(names) == len(set(names))


def test_the_skeleton_is_a_tree_over_all_keypoints():
    assert len(SKELETON) == len(KEYPOINT_NAMES) - 1
    reached = {"nose"}
    for _ in SKELETON:
        reached |= {b for a, b in SKELETON if a in reached} | {a for a, b in SKELETON if b in reached}
    assert reached == set(KEYPOINT_NAMES)


def test_sense_columns_follow_the_proprioception_table():
    assert len(SENSE_COLUMNS) == PROPRIOCEPTION_SIZE == len(FIXED_COLUMNS["sense"])
    start = 0
    for sense in PROPRIOCEPTION:
        for name, unit in SENSE_COLUMNS[start : start + sense.size]:
            assert name.split(":")[0] == sense.name
            assert unit == sense.unit
        start += sense.size


def test_units_of_generalised_coordinates():
    qpos, qvel = (next(spec for spec in STANDARD_SERIES if spec.name == name) for name in ("qpos", "qvel"))
    assert [column_unit(qpos, i) for i in (0, 2, 3, 6, 7, 73)] == ["m", "m", "1", "1", "rad", "rad"]
    assert [column_unit(qvel, i) for i in (0, 2, 3, 6, 72)] == ["m/s", "m/s", "rad/s", "rad/s", "rad/s"]
