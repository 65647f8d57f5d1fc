import os
import time

import pytest
from conftest import TINY, params_text

from flows import __main__ as command
from tasks.acquire import stage as acquire
from tasks.core import config, paths
from tasks.preprocess import stage as preprocess
from tasks.storage import unit_cache


def cached():
    return {folder.name for folder in (paths.cache() / "units").glob("*/??/*")}


def current():
    p = config.load()
    return {unit.key for unit in [*acquire.plan(p)[0], *preprocess.plan(p)[0]]}


@pytest.fixture
def stale(tiny):
    """The tiny project with a unit of another corpus; all units were last used forty days ago."""
    other = unit_cache.Unit("preprocess", "x.tar", {"of": "another corpus"}, {})
    unit_cache.make(lambda unit, folder: (folder / "shard.tar").write_bytes(b"1" * 1_000_000), other)
    long_ago = time.time() - 40 * 86_400
    for folder in (paths.cache() / "units").glob("*/??/*"):
        os.utime(folder, (long_ago, long_ago))
    return other


def test_an_unplanned_unit_is_named_by_a_dry_run_and_deleted_by_a_run(stale, capsys):
    before = cached()
    assert before == current() | {stale.key}
    assert command.main(["gc", "--dry-run"]) == 0
    assert "1 units, 1.0 MB on the disk, unused for 30 days, would be deleted" in capsys.readouterr().err
    assert cached() == before
    assert command.main(["gc", "--days", "60"]) == 0 and cached() == before
    assert command.main(["gc"]) == 0 and cached() == current()
    assert command.main(["gc", "--days", "0"]) == 0 and cached() == current()


def test_a_unit_whose_bytes_are_also_in_dvcs_cache_frees_none(stale, capsys):
    os.link(stale.folder / "shard.tar", "linked.tar")
    assert command.main(["gc", "--dry-run"]) == 0
    assert "1 units, 0.0 MB on the disk, unused" in capsys.readouterr().err


def test_an_unplanned_unit_that_was_used_recently_is_kept(stale):
    unit_cache.used([stale])
    assert command.main(["gc"]) == 0 and stale.done


def test_a_stage_that_cannot_be_planned_keeps_its_units(stale, tiny, capsys):
    (tiny / "params.yaml").write_text(params_text(TINY | {"corpus.name": "folder", "corpus.folder": "away"}))
    paths.CLIPS.unlink()
    before = cached()
    assert command.main(["gc"]) == 0 and cached() == before
    output = capsys.readouterr().err
    assert "acquire cannot be planned now" in output and "preprocess cannot be planned now" in output


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_a_bad_number_of_days_is_one_line(tiny, days, capsys):
    assert command.main(["gc", "--days", days]) == 2
    assert "--days must be 0 or more" in capsys.readouterr().err
