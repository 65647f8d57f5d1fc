"""The key that signs generated videos: the user's own, or a self-made one in the user's config folder.

LIPGAN_C2PA_CERT, LIPGAN_C2PA_KEY   PEM files: a chain that begins with the signer's certificate, and its private key
LIPGAN_CONFIG                       where a self-made pair is kept; default: lipgan/ in the user's config folder

A self-made certificate only proves that the key is the same as before: readers call its signer untrusted.
"""

import datetime
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tasks.core.errors import UserError
from tasks.core.files import demand_file

CERT, KEY = "LIPGAN_C2PA_CERT", "LIPGAN_C2PA_KEY"
YEARS = 10
ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A signer: its certificate chain and its key, both PEM."""

    chain: bytes
    key: bytes
    self_made: bool

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in ALGORITHMS:
            raise UserError(f"{KEY}: must be an elliptic curve key, P-256, P-384 or P-521; got another kind")
        return key

    @property
    def algorithm(self) -> str:
        """As C2PA names it: es256, es384, es512."""
        return ALGORITHMS[self.private_key.curve.name]

    @property
    def fingerprint(self) -> str:
        """sha256 of the signer's certificate."""
        return x509.load_pem_x509_certificate(self.chain).fingerprint(hashes.SHA256()).hex()


def credentials() -> Credentials:
    """The user's own pair, or else the self-made one, created on first use.

    Errors: UserError if only one of the two variables is set, or the files are not such a pair.
    """
    cert, key = os.environ.get(CERT), os.environ.get(KEY)
    if cert and key:
        return _checked(Path(cert), Path(key), self_made=False)
    if cert or key:
        raise UserError(f"{KEY if cert else CERT} is not set, but the other one is; set both")
    folder = config_folder() / "c2pa"
    if not (folder / "chain.pem").is_file() or not (folder / "key.pem").is_file():
        _make_pair(folder)
    return _checked(folder / "chain.pem", folder / "key.pem", self_made=True)


def config_folder() -> Path:
    if folder := os.environ.get("LIPGAN_CONFIG"):
        return Path(folder)
    if folder := os.environ.get("XDG_CONFIG_HOME"):
        return Path(folder) / "lipgan"
    try:
        return Path.home() / ".config/lipgan"
    except RuntimeError:
        raise UserError(
            "HOME is not set, and this user has no home; set LIPGAN_CONFIG to a folder for the key"
        ) from None


def _checked(cert: Path, key: Path, *, self_made: bool) -> Credentials:
    for path in (cert, key):
        demand_file(path, f"{CERT} and {KEY} name PEM files")
    try:
        credentials = Credentials(cert.read_bytes(), key.read_bytes(), self_made)
    except OSError as error:
        raise UserError(f"{cert}, {key}: cannot be read: {error.strerror}") from error
    try:
        public = x509.load_pem_x509_certificate(credentials.chain).public_key()
        if public != credentials.private_key.public_key():
            raise UserError(f"{key}: not the key of {cert}")
    except (ValueError, TypeError) as error:  # TypeError: the key has a password
        raise UserError(f"{cert}, {key}: not a PEM certificate and its key without a password: {error}") from error
    return credentials


def _make_pair(folder: Path) -> None:
    """Create an authority that signs one certificate; its key is not kept. C2PA accepts no self-signed signer."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("LipGAN pipeline self-made authority")
    top = _certificate(issuer, issuer, authority, authority, top=True)
    mine = _certificate(_name("LipGAN pipeline self-made signer"), issuer, key, authority, top=False)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / "key.pem", secret)
    _write(folder / "chain.pem", mine.public_bytes(pem) + top.public_bytes(pem))


def _write(path: Path, content: bytes) -> None:
    """Only the owner can read the file from the first byte on; with a chmod afterwards others could for a moment."""
    handle, partial = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(partial, path)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "self-made"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    top: bool,
) -> x509.Certificate:
    """Source: C2PA 2.2, 14.5.1, the profile of a signer: version 3, digitalSignature, an extended usage, no CA."""
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not top,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=top,
        crl_sign=top,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=top, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not top:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(signer, hashes.SHA256())
