"""The arithmetic of WeChat Pay API v3 signatures and sealed resources.

Pure functions over bytes and text; the sources are the platform's pages 签名生成, 签名验证 and
证书和回调报文解密. Nothing here looks at a clock, a header or a setting: notify.py does.
"""

import re
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

SIGN_TEST_PREFIX = "WECHATPAY/SIGNTEST/"

_PEM = re.compile(
    r"-----BEGIN (?P<kind>PUBLIC KEY|CERTIFICATE)-----.+?-----END (?P=kind)-----", re.DOTALL
)


class ResourceNotDecrypted(ValueError):
    """The sealed resource does not open: wrong key, wrong associated data, or altered."""


def sign_request_message(*, method: str, path: str, timestamp: str, nonce: str, body: str) -> str:
    r"""Build the five lines of a request that the merchant signs.

    Args:
        method: HTTP method in upper case.
        path: Path with its query, without the host.
        timestamp: Seconds since the epoch, as text.
        nonce: Random text.
        body: The request body; an empty one keeps its line.
    """
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{body}\n"


def answer_message(*, timestamp: str, nonce: str, body: bytes) -> bytes:
    """Build the three lines that the platform signs for answers and notifies.

    Args:
        timestamp: The Wechatpay-Timestamp header.
        nonce: The Wechatpay-Nonce header.
        body: The body as it arrived, before any parsing.
    """
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def sign(*, message: str, private_key: str) -> str:
    """Sign a message with SHA256-RSA2048.

    Args:
        message: What is signed.
        private_key: PEM of an RSA key.

    Returns:
        The signature in base 64.
    """
    key = _private_key(private_key)
    return b64encode(key.sign(message.encode(), PKCS1v15(), SHA256())).decode()


def _private_key(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("not an RSA key")
    return key


def verify_signature(*, message: bytes, signature: str, public_key: RSAPublicKey) -> bool:
    """Say whether a signature is the key's over the message; odd signatures are just wrong.

    Args:
        message: What was signed.
        signature: Base 64, as the header holds it. The platform's probes, which begin with
            WECHATPAY/SIGNTEST/, never verify.
        public_key: The key that the serial names.
    """
    if signature.startswith(SIGN_TEST_PREFIX):
        return False
    try:
        public_key.verify(b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def decrypt_resource(
    *, api_v3_key: str, nonce: str, associated_data: str, ciphertext: str
) -> bytes:
    """Open a sealed resource (AEAD_AES_256_GCM).

    Args:
        api_v3_key: The merchant's APIv3 key, 32 ASCII signs.
        nonce: The resource's nonce, 12 signs.
        associated_data: May be empty.
        ciphertext: Base 64, the tag at its end.

    Raises:
        ResourceNotDecrypted: It does not open.
    """
    try:
        sealed = b64decode(ciphertext, validate=True)
        aead = AESGCM(api_v3_key.encode())
        return aead.decrypt(nonce.encode(), sealed, associated_data.encode())
    except (InvalidTag, ValueError, OverflowError) as error:
        raise ResourceNotDecrypted("the resource does not open under this key") from error


def load_public_key(pem: str) -> RSAPublicKey:
    """Read an RSA public key from its PEM, or from a certificate's.

    Raises:
        ValueError: The text is neither, or not RSA.
    """
    data = pem.strip().encode()
    if b"BEGIN CERTIFICATE" in data:
        key = load_pem_x509_certificate(data).public_key()
    else:
        key = load_pem_public_key(data)  # type: ignore[assignment]  # RSA is checked below
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA public key")  # noqa: TRY004 -- a wrong text, not a wrong type
    return key


def public_key_of(private_key: str) -> RSAPublicKey:
    """Return the public half of an RSA key in PEM."""
    return _private_key(private_key).public_key()


def certificate_serial(pem: str) -> str:
    """Return a certificate's serial as Wechatpay-Serial spells it: upper-case hex."""
    return f"{load_pem_x509_certificate(pem.strip().encode()).serial_number:X}"


def split_pem(text: str) -> tuple[str, ...]:
    """Split a text into its public keys and certificates, in order."""
    return tuple(match.group() for match in _PEM.finditer(text))
