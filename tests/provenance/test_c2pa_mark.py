"""The mark of a generated video, and what is left of it after a change, a copy, or a signature by another key."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from decoded import first_frames
from remuxed import remuxed

from tasks.core import files, paths
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.media import decode, encode
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark, signing

DESCRIPTION = {"lineage": {"index_md5": "0" * 32, "corpora": ["synthetic"], "licences": ["MIT"]}}


@pytest.fixture
def video(workspace, monkeypatch):
    """A marked mp4 with its face, its sound and a checkpoint beside it."""
    monkeypatch.setenv("LIPGAN_CONFIG", str(workspace / "config"))
    sound = np.random.default_rng(0).normal(0, 0.1, 6400).astype(np.float32)
    write_wav(Path("speech.wav"), sound)
    pictures = [np.full((96, 96, 3), shade, np.uint8) for shade in range(0, 200, 20)]
    encode.encode_video(Path("face.mp4"), pictures, sound)
    Path("net.safetensors").write_bytes(b"weights")
    Path("net.json").write_text("{}")
    sources = {"face": Path("face.mp4"), "sound": Path("speech.wav")}
    about = c2pa_mark.about(Path("net.safetensors"), DESCRIPTION, sources)
    encode.encode_video(Path("made.mp4"), pictures, sound, tags=c2pa_mark.tags(about))
    c2pa_mark.mark(Path("made.mp4"), about, sources)
    return Path("made.mp4")


def test_a_marked_video_names_its_checkpoint_its_data_its_code_and_its_sources(video):
    mark = c2pa_mark.read(video)
    assert mark.state == "valid" and mark.signer == "LipGAN pipeline self-made signer"
    assert mark.about["checkpoint"]["md5"] == files.md5_file(Path("net.safetensors"))
    assert mark.about["checkpoint"]["json_md5"] == files.md5_file(Path("net.json"))
    assert mark.about["data"] == DESCRIPTION["lineage"]
    assert mark.about["sources"]["sound"] == {
        "name": "speech.wav",
        "sha256": files.sha256_file(Path("speech.wav")),
    }


def test_a_video_of_the_released_weights_names_the_licence_and_the_attribution_of_their_data(video):
    description = json.loads((ROOT / "released/motion.json").read_text())
    about = c2pa_mark.about(Path("net.safetensors"), description, {})
    [licence] = about["data"]["licences"]
    assert licence.startswith("CC BY 4.0: GRID audiovisual sentence corpus")


def test_a_second_checkpoint_is_named_with_the_licence_of_its_data(video):
    Path("more.safetensors").write_bytes(b"others")
    Path("more.json").write_text('{"licence": "CC BY 4.0", "attribution": "Ann"}')
    about = c2pa_mark.about(Path("net.safetensors"), DESCRIPTION, {}, [Path("more.safetensors")])
    assert [of["md5"] for of in about["further"]] == [files.md5_file(Path("more.safetensors"))]
    assert about["data"]["licences"] == [*DESCRIPTION["lineage"]["licences"], "CC BY 4.0: Ann"]


def test_the_manifest_names_the_source_type_and_the_ingredients(video):
    import c2pa

    with c2pa.Reader(str(video)) as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    [actions] = [a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions")]
    assert actions[0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert {item["title"] for item in manifest["ingredients"]} == {"face: face.mp4", "sound: speech.wav"}


def test_marking_changes_no_frame_and_no_audio_sample(video):
    plain = remuxed(video, Path("plain.mp4"))
    assert (first_frames(video, 99) == first_frames(plain, 99)).all()
    assert (decode.decode_sound(video) == decode.decode_sound(plain)).all()


def test_a_self_made_signature_is_untrusted_on_another_machine(video, monkeypatch):
    monkeypatch.setenv("LIPGAN_CONFIG", "elsewhere")
    mark = c2pa_mark.read(video)
    assert mark.state == "untrusted" and mark.findings == ["signingCredential.untrusted"]
    assert "proves no origin" in mark.line


def test_a_changed_byte_of_the_streams_is_detected(video):
    content = bytearray(video.read_bytes())
    content[content.rindex(b"mdat") + 500] ^= 1
    Path("changed.mp4").write_bytes(content)
    assert c2pa_mark.read(Path("changed.mp4")).state == "altered"


def test_a_changed_byte_of_the_manifest_is_detected(video):
    content = bytearray(video.read_bytes())
    content[content.index(b"compositeWithTrained")] ^= 1
    Path("changed.mp4").write_bytes(content)
    assert c2pa_mark.read(Path("changed.mp4")).state == "altered"


def test_copied_streams_lose_the_manifest_and_keep_the_tag(video):
    mark = c2pa_mark.read(remuxed(video, Path("copy.mp4")))
    assert mark.state == "stripped" and mark.signer == ""
    assert mark.about["checkpoint"]["md5"] == files.md5_file(Path("net.safetensors"))
    assert "anyone can write such a tag" in mark.line


def test_a_video_without_manifest_and_tag_is_unmarked(video):
    assert c2pa_mark.read(remuxed(video, Path("bare.mp4"), keep_tags=False)).state == "unmarked"
    assert c2pa_mark.read(Path("face.mp4")).about is None


def test_the_self_made_key_is_created_once_and_only_its_owner_can_read_it(video):
    folder = Path("config/c2pa")
    first = signing.credentials()
    assert signing.credentials() == first and first.self_made
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0


def test_the_users_own_key_is_preferred_to_the_self_made_one(video, monkeypatch):
    monkeypatch.setenv("LIPGAN_CONFIG", "other")
    other = signing.credentials()
    Path("my.crt").write_bytes(other.chain)
    Path("my.key").write_bytes(other.key)
    monkeypatch.setenv("LIPGAN_C2PA_CERT", "my.crt")
    with pytest.raises(UserError, match="LIPGAN_C2PA_KEY is not set, but the other one is"):
        signing.credentials()
    monkeypatch.setenv("LIPGAN_C2PA_KEY", "my.key")
    assert signing.credentials().fingerprint == other.fingerprint and not signing.credentials().self_made
    monkeypatch.setenv("LIPGAN_C2PA_KEY", "config/c2pa/key.pem")
    with pytest.raises(UserError, match=r"not the key of my\.crt"):
        signing.credentials()
    monkeypatch.setenv("LIPGAN_C2PA_KEY", "speech.wav")
    with pytest.raises(UserError, match="not a PEM certificate and its key"):
        signing.credentials()


def test_a_dubbed_video_is_marked_with_its_checkpoint(trained, monkeypatch):
    monkeypatch.setenv("LIPGAN_CONFIG", str(trained / "config"))
    write_wav(Path("speech.wav"), np.random.default_rng(0).normal(0, 0.1, 6400).astype(np.float32))
    dub.run("face.mp4", "speech.wav", "out/a.mp4")
    mark = c2pa_mark.read(Path("out/a.mp4"))
    assert mark.state == "valid" and mark.about["checkpoint"]["md5"] == files.md5_file(paths.GENERATOR)
    assert mark.about["data"]["index_md5"] == files.md5_file(paths.INDEX)
    assert mark.about["data"]["corpora"] == ["synthetic"]
    assert sorted(file.name for file in Path("out").iterdir()) == ["a.json", "a.mp4"]


def test_the_repository_contains_no_key():
    assert not [file for file in ROOT.rglob("*.pem") if ".venv" not in file.parts]
