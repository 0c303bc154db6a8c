"""Cores are counted as the cgroup grants them."""

import os
from pathlib import Path

import pytest
import trivium_encoders
from trivium_encoders.cores import usable_core_count


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("max 100000", 10_000), ("", 10_000)],
)
def test_usable_core_count_quota_cuts_the_affinity(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_core_count(tmp_path) == min(expected, len(os.sched_getaffinity(0)))


def test_usable_core_count_older_cgroup(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_core_count(tmp_path) == 1


def test_public_names_are_those_that_are_meant() -> None:
    public = {name for name in vars(trivium_encoders) if not name.startswith("_")}
    modules = {name for name in public if type(getattr(trivium_encoders, name)) is type(os)}
    assert public - modules == set(trivium_encoders.__all__)
    assert trivium_encoders.__all__ == sorted(trivium_encoders.__all__)
