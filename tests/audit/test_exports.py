"""The lineage in other tools' words: read back with those tools."""

import dataclasses
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import ROOT

from tasks.acquire import grid
from tasks.audit import chain, croissant, exports, links, model_card, page
from tasks.audit.links import Case
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import md5_file, sha256_file
from tasks.provenance import dvc_lock
from tasks.storage import index


def test_croissant_is_valid_and_gives_the_rows_of_the_index(committed):
    mlc = pytest.importorskip("mlcroissant")
    exports.run(Path("out/lineage"))
    given = mlc.Dataset(jsonld=Path("out/lineage/croissant.json"))
    assert not given.metadata.ctx.issues.errors
    assert given.metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    rows = sorted(index.read(paths.INDEX), key=lambda row: row["clip"])
    read = sorted(given.records("clips"), key=lambda row: row["clips/clip"])
    assert [row["clips/clip"].decode() for row in read] == [row["clip"] for row in rows]
    assert [row["clips/source_sha256"].decode() for row in read] == [row["source_sha256"] for row in rows]


def test_croissant_names_every_shard_by_hash_and_what_it_was_derived_from(committed):
    exports.run(Path("out"))
    given = json.loads(Path("out/croissant.json").read_text())
    files = {Path("out", item["contentUrl"]).resolve(): item["sha256"] for item in given["distribution"]}
    shards = [path.resolve() for path in paths.SHARDS.glob("*.tar")]
    assert {path: files[path] for path in shards} == {path: sha256_file(path) for path in shards}
    derived = {item["@id"]: item["md5"] for item in given["prov:wasDerivedFrom"]}
    assert derived[str(paths.RAW)] == dvc_lock.out(dvc_lock.committed(), paths.RAW)
    used = {item["@id"] for item in given["prov:wasGeneratedBy"]["prov:used"]}
    assert used == set(derived) and given["license"] == "MIT"


def test_a_commit_before_the_face_mesh_is_exported_with_its_landmark_predictor(committed):
    pytest.importorskip("mlcroissant")
    case = chain.open_case(without_raw=True)
    stages, old = dict(case.lock), {"models/landmarks.dat": "0" * 32}
    read = {path: digest for path, digest in stages["preprocess"].deps.items() if not path.startswith("released/")}
    stages["preprocess"] = dataclasses.replace(stages["preprocess"], deps=read | old)
    stages["landmarks"] = dvc_lock.Stage({}, old, {})
    before = dataclasses.replace(case, lock=stages)
    assert "sha256" in model_card.mouths(case) and "0" * 32 in model_card.mouths(before)
    bytes_of = links.stage_bytes("landmarks", before, {"models/landmarks.dat": []})
    assert ">landmarks<" in page.graph([bytes_of]) and "000000000000" in page.graph([bytes_of])
    derived = {item["@id"] for item in croissant.document(before, Path("out"))["prov:wasDerivedFrom"]}
    assert "models/landmarks.dat" in derived and not any(path.endswith(".py") for path in derived)


class Catalogue(BaseHTTPRequestHandler):
    """Takes events as Marquez does."""

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, json.loads(content)))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_openlineage_has_an_event_per_stage_and_sends_them_to_the_address(committed, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Catalogue)
    server.taken = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    exports.run(Path("out"))
    server.shutdown()
    events = {e["job"]["name"]: e for e in map(json.loads, Path("out/openlineage.jsonl").read_text().splitlines())}
    lock = dvc_lock.committed()
    assert list(events) == list(lock)
    inputs = {item["name"]: item["facets"]["version"]["datasetVersion"] for item in events["train"]["inputs"]}
    assert inputs[str(paths.INDEX)] == f"md5:{dvc_lock.out(lock, paths.INDEX)}"
    assert str(paths.GENERATOR) in {item["name"] for item in events["train"]["outputs"]}
    taken = {event["job"]["name"]: event["run"]["runId"] for path, event in server.taken if path.endswith("/lineage")}
    assert taken == {name: event["run"]["runId"] for name, event in events.items()}


def test_a_second_export_is_identical(committed):
    first = [path.read_text() for path in exports.run(Path("out"))]
    assert [path.read_text() for path in exports.run(Path("out"))] == first


def test_an_address_that_does_not_answer_is_a_user_error_before_anything_is_written(committed, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"OPENLINEAGE_URL: .* does not answer"):
        exports.run(Path("out"))
    assert not Path("out/MODEL_CARD.md").exists()


def test_the_model_card_names_checkpoint_data_licence_and_permitted_use(committed):
    case = chain.open_case(without_raw=True)
    card = model_card.card(case)
    assert md5_file(paths.GENERATOR) in card and md5_file(paths.INDEX) in card and case.commit in card
    assert "under: MIT" in card and "synthetic heads and voices: no person's" in card
    assert "This commit has no evaluation." in card
    case.checkpoint["lineage"] |= {"corpora": ["grid"], "licences": [grid.CORPUS.licence]}
    assert f"may be shared with this attribution: {grid.CORPUS.licence}" in model_card.card(case)
    case.checkpoint["lineage"]["corpora"] = ["lrs2"]
    assert "non-commercial research" in model_card.card(case) and "can be withdrawn" in model_card.card(case)


def test_the_model_cards_figures_are_those_of_the_report_with_their_intervals(workspace):
    paths.REPORTS.mkdir()
    shutil.copy(ROOT / paths.METRICS, paths.METRICS)
    panel = json.loads(paths.METRICS.read_text())
    lock = {"evaluate": dvc_lock.Stage({}, {str(paths.METRICS): md5_file(paths.METRICS)}, {})}
    table = model_card.metrics(Case("", lock, None, None, None))
    low, high = panel["right_audio"]["aperture_corr_ci"]
    assert f"{panel['right_audio']['aperture_corr']:.3g} ({low:.3g} to {high:.3g})" in table
    assert len(table.splitlines()) == 4 + sum(row in panel for row in model_card.ROWS)


def test_metrics_with_other_bytes_than_the_lock_says_are_not_shown(workspace):
    paths.REPORTS.mkdir()
    paths.METRICS.write_text("{}")
    lock = {"evaluate": dvc_lock.Stage({}, {str(paths.METRICS): "0" * 32}, {})}
    assert model_card.metrics(Case("", lock, None, None, None)) == "This commit has no evaluation."
