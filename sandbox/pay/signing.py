"""API v3 signatures both ways, the page's payment signature, and the sealed resource. Pure."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Self, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from kernel import development
from kernel.settings import Settings

SCHEME = "WECHATPAY2-SHA256-RSA2048"
_PAIR = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The platform's private key with its id, and the merchant's public key with its serial."""

    platform: RSAPrivateKey
    platform_key_id: str
    merchant: RSAPublicKey
    merchant_serial: str
    api_v3_key: bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Load what the settings and the public development keys give."""
        own = load_pem_private_key(development.PLATFORM_PRIVATE_KEY.encode(), password=None)
        theirs = load_pem_public_key(development.MERCHANT_PUBLIC_KEY.encode())
        return cls(
            platform=cast("RSAPrivateKey", own),
            platform_key_id=settings.pay_public_key_id,
            merchant=cast("RSAPublicKey", theirs),
            merchant_serial=settings.pay_mch_serial,
            api_v3_key=settings.pay_api_v3_key.encode(),
        )

    def sign(self, *lines: str) -> str:
        """Sign lines as the platform does, each closed by a newline."""
        text = "".join(line + "\n" for line in lines).encode()
        return base64.b64encode(self.platform.sign(text, PKCS1v15(), SHA256())).decode()

    def is_by_merchant(self, signature: str, *lines: str) -> bool:
        """Tell whether the merchant signed these lines."""
        text = "".join(line + "\n" for line in lines).encode()
        try:
            raw = base64.b64decode(signature, validate=True)
            self.merchant.verify(raw, text, PKCS1v15(), SHA256())
        except (ValueError, InvalidSignature):
            return False
        return True

    def seal(self, text: str, *, associated_data: str) -> dict[str, str]:
        """Encrypt a notification's resource with the API v3 key."""
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.api_v3_key).encrypt(
            nonce.encode(), text.encode(), associated_data.encode()
        )
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(sealed).decode(),
            "associated_data": associated_data,
            "nonce": nonce,
        }


def authorization_fields(header: str) -> dict[str, str]:
    """Return the members of an Authorization header of API v3, empty if it is not one."""
    scheme, _, rest = header.partition(" ")
    return dict(_PAIR.findall(rest)) if scheme == SCHEME else {}


def signed_headers(keys: Keys, body: str, *, timestamp: int) -> dict[str, str]:
    """Return the headers by which an answer or a notification proves where it comes from."""
    nonce = secrets.token_hex(16)
    return {
        "Wechatpay-Timestamp": str(timestamp),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": keys.platform_key_id,
        "Wechatpay-Signature": keys.sign(str(timestamp), nonce, body),
        "Wechatpay-Signature-Type": SCHEME,
    }
