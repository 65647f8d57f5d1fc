"""`python -m flows preprocess --explain KEY`."""

import cv2

from flows import __main__ as command_line
from tasks.core import paths
from tasks.preprocess import gates
from tasks.storage import index


def rows(status):
    return [row for row in index.read(paths.INDEX) if row["status"] == status]


def test_a_kept_clip_is_explained_by_every_gate_and_a_strip_of_its_crops(tiny, capsys):
    key = rows("kept")[0]["clip"]
    assert command_line.main(["preprocess", "--explain", key]) == 0
    output = "".join(capsys.readouterr())
    assert all(f"quality.{gate.limit} is " in output for gate in gates.GATES)
    assert "kept" in output and "REFUSED" not in output
    picture = cv2.imread(str(tiny / "out/explain" / f"{key.replace('/', '_')}.png"))
    assert picture.shape == (2 * (192 + 6), 6 * (192 + 2), 3)
    assert (picture == (60, 220, 255)).all(axis=2).any()  # of the inner lips


def test_a_refused_clip_is_explained_by_the_reason_in_the_index(tiny, capsys):
    row = rows("refused")[0]
    assert command_line.main(["preprocess", "--explain", row["clip"]]) == 0
    assert f"refused: {row['reason']}, {row['detail']}" in "".join(capsys.readouterr())


def test_an_unknown_key_names_some_known_ones(tiny, capsys):
    assert command_line.main(["preprocess", "--explain", "main/none/00001"]) == 2
    assert index.read(paths.CLIPS)[0]["clip"] in capsys.readouterr().err
