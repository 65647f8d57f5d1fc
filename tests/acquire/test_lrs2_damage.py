"""Damaged archives and wrong downloads of LRS2: found before anything is trusted or deleted, and healed."""

import datetime
import hashlib
import io
import ipaddress
import random
import ssl
import tarfile
from pathlib import Path

import lrs2_archive as fake
import pytest
from conftest import run_acquire
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lrs2_archive import small, workspace_of
from lrs2_server import serving
from test_lrs2 import delete_state, everything
from test_lrs2_download import auth, fetch_all, fetching, log_in, rules  # noqa: F401 - a fixture
from wild import EXAMPLES

from flows import __main__ as command
from tasks.acquire import download, http_answers, lrs2_parts, lrs2_trust
from tasks.acquire import stage as acquire
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.storage import index


def header_of(tar, number):
    """The byte at which the header of a member begins, its PAX header included."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getmembers()[number].offset


def with_zeros(archive, number, length=2048):
    """The parts, with zeros over the header of one member; and the name of the part that has them."""
    tar, parts = bytearray(archive.tar()), archive.cut()
    at = header_of(bytes(tar), number)
    tar[at : at + length] = bytes(length)
    start = 0
    for name, content in parts.items():
        parts[name] = bytes(tar[start : start + len(content)])
        start += len(content)
        if start - len(content) <= at < start:
            damaged = name
    return parts, damaged


@pytest.mark.parametrize("number", [1, 12, 20, 30])
def test_zeros_over_a_header_are_an_error_that_names_the_part_and_delete_none_of_it(workspace, number):
    archive = small()
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": True})
    parts, damaged = with_zeros(archive, number)
    archive.write(workspace / "lrs2", **parts)
    with pytest.raises(UserError, match=f"{damaged}: the archive is broken at its byte .*zeros where a member begins"):
        acquire.plan(p)
    left = [part for part in fake.PARTS if (workspace / "lrs2" / part).exists()]
    assert set(left) >= set(fake.PARTS[fake.PARTS.index(damaged) :])


@pytest.mark.parametrize("number", [12, 30])
def test_a_better_copy_of_a_damaged_part_is_read_on_although_others_are_deleted(workspace, number):
    archive = small()
    run_acquire(workspace_of(workspace, archive))
    wanted = everything(workspace)
    delete_state(workspace)
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": True})
    parts, damaged = with_zeros(archive, number)
    archive.write(workspace / "lrs2", **parts)
    with pytest.raises(UserError):
        acquire.plan(p)
    assert damaged != fake.PARTS[0]
    for part, content in archive.cut().items():
        if (workspace / "lrs2" / part).exists():
            (workspace / "lrs2" / part).write_bytes(content)
    run_acquire(p)
    assert everything(workspace) == wanted


def test_a_part_that_disagrees_with_what_was_read_of_it_is_refused(workspace):
    archive = small()
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": True})
    parts, damaged = with_zeros(archive, 30)
    archive.write(workspace / "lrs2", **parts)
    with pytest.raises(UserError):
        acquire.plan(p)
    (workspace / "lrs2" / damaged).write_bytes(bytes(len(parts[damaged])))
    with pytest.raises(UserError, match="changed since it was read, and lrs2_v1_partaa"):
        acquire.plan(p)


def test_many_missing_clips_are_an_error_before_the_last_part_is_deleted(workspace):
    archive = small()
    for name in [name for name in archive.files if name.endswith(".mp4")][2:9]:
        del archive.files[name]
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": True})
    with pytest.raises(UserError, match=r"9 of 23 listed clips are not in .*max_missing allows 0\.1"):
        acquire.plan(p)
    assert (workspace / "lrs2" / fake.PARTS[-1]).exists()


def test_a_member_whose_name_is_not_utf_8_is_a_row(workspace):
    archive = small()
    archive.files["mvlrs_v1/caf\udce9.txt"] = b"x"
    run_acquire(workspace_of(workspace, archive))
    [row] = [row for row in index.read(paths.CLIPS) if "caf" in row["clip"]]
    assert (row["clip"], row["reason"]) == ("mvlrs_v1/caf\\xe9.txt", "not_listed")


def test_a_damaged_line_of_the_journal_is_read_again(workspace):
    archive = small()
    run_acquire(workspace_of(workspace, archive))
    wanted = everything(workspace)
    [journal] = (workspace / ".cache").rglob("journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:9], b"\0" * 40 + b"\n", *lines[10:]]))
    run_acquire(workspace_of(workspace))
    assert everything(workspace) == wanted


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=600), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_of_an_archive_is_read_or_one_line(tmp_path, at, damage, header):
    tar = bytearray(small(num=3, clip_bytes=600).tar())
    at = header_of(bytes(tar), at % 6) + at % 512 if header else at % len(tar)
    tar[at : at + len(damage)] = damage
    (tmp_path / "x.tar").write_bytes(tar)
    parts = lrs2_parts.Parts([lrs2_parts.Segment(0, len(tar), tmp_path / "x.tar")], whole=True)
    try:
        for entry in lrs2_parts.entries(parts, 0):
            parts.seek(entry.start)
            assert 0 <= entry.size <= lrs2_parts.MAX_MEMBER_BYTES and "\n" not in repr(entry.name)
            parts.read(entry.size)
    except UserError as error:
        assert "\n" not in str(error) and "x.tar" in str(error)
    finally:
        parts.close()


@pytest.fixture
def self_signed(tmp_path):
    """(certificate, key) of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    cert = built.add_extension(names, False).sign(key, hashes.SHA256())
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "cert.pem").write_bytes(cert.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    return tmp_path / "cert.pem", tmp_path / "key.pem"


LOGIN = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 400


def test_a_login_page_is_no_part_and_nothing_of_it_is_trusted(workspace, log_in):  # noqa: F811
    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        right, server.files[fake.PARTS[2]] = server.files[fake.PARTS[2]], LOGIN
        with pytest.raises(UserError, match=f"{fake.PARTS[2]}: .*a web page .* instead of the file; a login page"):
            fetch_all(p)
        assert fake.PARTS[2] not in lrs2_trust.known_md5(Path("lrs2"))
        assert not list(Path("lrs2").glob(f"{fake.PARTS[2]}*"))
        server.files[fake.PARTS[2]] = right
        fetch_all(p)
        run_acquire(p)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "a web page"),
        ({"Content-Type": "APPLICATION/JSON"}, "a web page"),
        ({"Content-Encoding": "gzip"}, "sends it encoded .gzip."),
    ],
)
def test_an_answer_that_is_no_file_is_refused_by_its_head(tmp_path, log_in, headers, message):  # noqa: F811
    with serving({"x": b"1" * 999}) as server:
        server.extra_headers = headers
        with pytest.raises(UserError, match=f"/x: .*{message}"):
            download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "right"), [("a.zip", b"PK\x03\x04"), ("a.tar", b"\0" * 257 + b"ustar"), ("b", b"")])
def test_a_file_that_begins_as_none_of_its_ending_does_is_refused_and_dropped(tmp_path, log_in, name, right):  # noqa: F811
    with serving({name: right + b"1" * 999}) as server:
        assert download.fetch(f"{server.host}/{name}", tmp_path / name, auth(), rules()).is_file()
        server.files[name] = b"  <HTML><body>log in</body>" if name == "b" else b"?" * 999
        with pytest.raises(UserError, match=r"no zip begins|no tar begins|a web page"):
            download.fetch(f"{server.host}/{name}", tmp_path / f"2{name}", auth(), rules())
        assert not list(tmp_path.glob("2*"))


def test_a_first_part_that_is_no_tar_and_a_short_part_are_refused(workspace, log_in):  # noqa: F811
    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        right, server.files[fake.PARTS[0]] = server.files[fake.PARTS[0]], b"?" * len(server.files[fake.PARTS[0]])
        with pytest.raises(UserError, match=f"{fake.PARTS[0]}: no tar begins like this"):
            fetch_all(p)
        server.files[fake.PARTS[0]] = right
        server.files[fake.PARTS[1]] = b"Please log in."
        with pytest.raises(UserError, match=f"{fake.PARTS[1]}: the server has 14 bytes of it"):
            fetch_all(p)


def test_a_record_of_trust_is_renewed_by_one_command(workspace, log_in, capsys):  # noqa: F811
    archive = small()
    part = fake.PARTS[1]
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        lrs2_trust.record(Path("lrs2"), part, hashlib.md5(b"an earlier login page").hexdigest())
        with pytest.raises(UserError, match=f"if this one is right, `python -m flows acquire --trust {part}`"):
            fetch_all(p)
        assert command.main(["acquire", "--trust", part]) == 0
        assert capsys.readouterr().out.startswith(f"{part}: trusted, md5 ")
        fetch_all(p)
        run_acquire(p)
    assert command.main(["acquire", "--trust", "nosuch"]) == 2
    assert "known: lrs2_v1_partaa" in capsys.readouterr().err


def test_a_login_page_that_was_trusted_once_is_put_aside_by_the_same_command(workspace, log_in, capsys):  # noqa: F811
    archive = small()
    part = fake.PARTS[1]
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        (workspace / "lrs2" / part).write_bytes(LOGIN)
        lrs2_trust.record(Path("lrs2"), part, hashlib.md5(LOGIN).hexdigest())
        with pytest.raises(UserError, match=part):
            fetch_all(p)
            run_acquire(p)
        assert command.main(["acquire", "--trust", part]) == 0
        assert "put aside; the next download of it is trusted" in capsys.readouterr().out
        fetch_all(p)
        run_acquire(p)


@pytest.mark.parametrize("headers", [{"ETag": ""}, {"ETag": 'W/"1"'}, {"ETag": "", "Last-Modified": ""}])
def test_without_a_strong_etag_a_changed_file_of_the_same_length_is_never_spliced(tmp_path, log_in, headers):  # noqa: F811
    old, new = (random.Random(seed).randbytes(200_000) for seed in (1, 2))
    with serving({"x": old}) as server:
        server.extra_headers = headers
        server.faults.extend([("short_body", 0.6), *[("503", 0.0)] * 3])
        with pytest.raises(UserError, match="3 failures in a row"):
            download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())
        server.files["x"] = new
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == new


def test_with_a_weak_etag_an_unchanged_file_is_resumed(tmp_path, log_in):  # noqa: F811
    content = random.Random(1).randbytes(200_000)
    with serving({"x": content}) as server:
        server.extra_headers = {"ETag": 'W/"1"'}
        server.faults.append(("short_body", 0.6))
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == content
        assert server.bytes_sent <= len(content) + download.OVERLAP


@pytest.mark.parametrize("note", [b"", b"\xff\0", b"[]", b'{"num_bytes": "9"}', b"[" * 20_000, b'{"bytes": 1}'])
def test_a_damaged_note_beside_a_download_restarts_it(tmp_path, log_in, note):  # noqa: F811
    (tmp_path / "x.partial").write_bytes(b"old")
    (tmp_path / "x.partial.json").write_bytes(note)
    with serving({"x": b"new" * 100}) as server:
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == b"new" * 100


@given(st.binary() | st.text().map(str.encode))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_note_is_a_version_or_none(text):
    assert http_answers.version_of(text) is None or http_answers.version_of(text).num_bytes >= 0


@given(st.text(max_size=40))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_retry_after_is_a_wait_within_the_limit_or_none(value):
    wait_s = http_answers.retry_after(value)
    assert wait_s is None or 0 <= wait_s <= http_answers.LONGEST_RETRY_AFTER_S


def test_https_redirected_to_http_is_refused(tmp_path, log_in, monkeypatch, self_signed):  # noqa: F811
    context = ssl.create_default_context(cafile=str(self_signed[0]))
    monkeypatch.setattr(download, "_certificates", lambda: context)
    with serving({"x": b"1" * 99}) as plain, serving({}) as safe:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(*self_signed)
        safe.socket = served.wrap_socket(safe.socket, server_side=True)
        safe.redirect = plain.host
        with pytest.raises(UserError, match=r"redirects to http://127\.0\.0\.1; refused"):
            download.fetch(f"{safe.host.replace('http:', 'https:')}/x", tmp_path / "x", auth(), rules())
        assert not plain.log


def test_a_circle_of_redirections_is_one_line(tmp_path, log_in):  # noqa: F811
    with serving({}) as server:
        server.redirect = server.host
        with pytest.raises(UserError, match="redirects in a circle"):
            download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())


def test_this_machine_is_not_asked_through_a_proxy(tmp_path, log_in, monkeypatch):  # noqa: F811
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving({"x": b"1"}) as server:
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == b"1"
