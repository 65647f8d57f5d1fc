"""The parts of a dub that the benchmarks time exist: a part that is renamed is not noticed by anything else."""

import pytest

from benchmarks import dub, dub_mesh

PARTS = [*dub.PARTS.items(), *dub_mesh.PARTS.items(), *dub_mesh.PASSES.items()]


@pytest.mark.parametrize(("part", "title"), PARTS, ids=[title for _, title in PARTS])
def test_a_timed_part_is_a_function_of_its_module(part, title):
    owner, attribute = part
    assert callable(getattr(owner, attribute)), title
