"""Questions over the whole git history: what holds a clip, what made a checkpoint."""

import subprocess
from pathlib import Path

import history_of
import pytest

from tasks.audit import history
from tasks.core import paths, programs
from tasks.core.errors import UserError
from tasks.provenance import dvc_cache


@pytest.fixture
def past(workspace):
    """Clip v1/a comes with the second commit, leaves with the fourth; commits three and five change the checkpoint."""
    one, two = history_of.index_md5(["v0/a"]), history_of.index_md5(["v0/a", "v1/a", "v1/b"])
    texts = [history_of.lock(i, m * 32) for i, m in ((one, "a"), (two, "a"), (two, "b"), (one, "b"), (one, "c"))]
    return history_of.write(texts), one, two


def answers(answer):
    return [(span.num_commits, span.answer.get("clips", 0), span.answer.get("checkpoint", "")) for span in answer.spans]


def test_a_clip_is_in_the_commits_whose_index_has_it_and_in_no_other(past):
    commits, _, two = past
    found = history.of_clips("clip", "v1/a")
    assert answers(found) == [(2, 0, ""), (1, 1, "b" * 12), (1, 1, "a" * 12), (1, 0, "")]
    assert [span.newest for span in found.spans] == [commits[4], commits[2], commits[1], commits[0]]
    assert found.spans[1].answer["index"] == two[:12] and found.spans[1].answer["trained on it"] == "yes"
    assert found.unknown == []


def test_a_video_is_answered_with_all_its_clips(past):
    assert [n for _, n, _ in answers(history.of_clips("video", "v1"))] == [0, 2, 2, 0]


def test_a_refused_clip_was_not_trained_on(workspace):
    row = history_of.row("v0/a", "refused")
    history_of.index.write(paths.INDEX, [row], history_of.index.INDEX_SCHEMA)
    history_of.write([history_of.lock(history_of.into_cache(paths.INDEX.read_bytes()), "a" * 32)])
    [span] = history.of_clips("clip", "v0/a").spans
    assert span.answer["refused"] == 1 and span.answer["trained on it"] == "no"


def test_a_checkpoint_leads_to_its_commits_and_its_index(past):
    commits, one, two = past
    found = history.of_checkpoint("bbbbbb")
    assert [(s.newest, s.num_commits, s.answer["index"]) for s in found.spans] == [
        (commits[3], 1, one),
        (commits[2], 1, two),
    ]
    assert found.spans[1].answer["clips"] == "3 train"


@pytest.mark.parametrize("path", [paths.MOTION, paths.INSIDE])
def test_a_network_of_the_mesh_generator_leads_to_its_commits_and_to_no_record_of_another_training(workspace, path):
    lock = history_of.lock(history_of.index_md5(["v0/a"]), "a" * 32, {path.stem: "d" * 32})
    commits = history_of.write([lock])
    [span] = history.of_checkpoint("d" * 32).spans
    assert (span.newest, span.answer["file"]) == (commits[0], str(path)) and "training" not in span.answer


@pytest.mark.parametrize("released", history.RELEASED)
def test_the_released_weights_lead_to_the_commit_that_released_them(workspace, released):
    Path("released").mkdir()
    Path(released).write_bytes(b"weights")
    Path(released).with_suffix(".json").write_text('{"command": "python -m x", "licence": "CC BY 4.0"}')
    [commit] = history_of.write([history_of.lock(history_of.index_md5(["v0/a"]), "a" * 32)])
    programs.git("add", "released")
    programs.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "weights")
    [span] = history.of_checkpoint(released).spans
    assert span.newest != commit and span.num_commits == 1
    assert (span.answer["training"], span.answer["licence"]) == ("python -m x", "CC BY 4.0")


def test_a_commit_on_another_branch_counts(past):
    _, one, _ = past
    text = history_of.lock(one, "e" * 32)
    tree = f"100644 blob {put(text)}\tdvc.lock\n"
    made = subprocess.run(["git", "mktree"], input=tree, capture_output=True, text=True, check=True).stdout.strip()
    own = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    other = subprocess.run([*own, "commit-tree", made, "-m", "c"], capture_output=True, text=True, check=True).stdout
    programs.git("branch", "experiment", other.strip())
    assert history.of_checkpoint("e" * 32).spans[0].newest == other.strip()


def put(text):
    hashed = ["git", "hash-object", "-w", "--stdin"]
    return subprocess.run(hashed, input=text, capture_output=True, text=True, check=True).stdout.strip()


def test_commits_whose_index_is_not_in_the_cache_are_reported_as_unanswered(past):
    commits, _, two = past
    dvc_cache.place(two).unlink()
    found = history.of_clips("clip", "v0/a")
    assert found.unknown == [commits[2], commits[1]]
    assert "2 commits cannot be answered" in found.text()


def test_an_index_with_other_bytes_than_its_hash_is_not_read(past):
    commits, one, two = past
    dvc_cache.place(two).write_bytes(dvc_cache.place(one).read_bytes())
    assert history.of_clips("clip", "v0/a").unknown == [commits[2], commits[1]]


def test_an_index_is_read_only_once(past, monkeypatch):
    history.of_clips("clip", "v1/a")
    monkeypatch.setattr(history.programs, "git_contents", lambda names: pytest.fail(f"read again: {names}"))
    monkeypatch.setattr(history.dvc_cache, "cached", lambda digest: pytest.fail(f"read again: {digest}"))
    assert len(history.of_clips("clip", "v1/b").spans) == 4


def test_a_lock_with_merge_markers_has_no_outputs_and_is_no_error(workspace):
    one = history_of.index_md5(["v0/a"])
    history_of.write([history_of.lock(one, "a" * 32), "<<<<<<< ours\nstages: [\n"])
    assert answers(history.of_clips("clip", "v0/a")) == [(1, 0, ""), (1, 1, "a" * 12)]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: history.of_clips("clip", "v9/z"),
            "no index in the history of this repository has it; for example v0/a, v1/a, v1/b; data/index.parquet",
        ),
        (lambda: history.of_checkpoint("f" * 32), "no commit of this repository names md5"),
        (lambda: history.of_checkpoint("xyz"), "no such file, and not six digits"),
    ],
)
def test_unknown_clips_and_checkpoints_are_user_errors(past, ask, message):
    with pytest.raises(UserError, match=message):
        ask()


def test_200_commits_are_answered_from_the_database(workspace):
    """The time itself: benchmarks/audit.py."""
    commits = history_of.grown(200, 20)
    assert len(history.of_clips("clip", "new0100/c").spans) == 200
    found = history.of_clips("clip", "new0100/c")
    assert [span.newest for span in found.spans if "clips" in span.answer] == commits[:99:-1]
