"""What an operator may set: the only reader of the environment, frozen after the start.

Development has defaults for all of it; production has none for secrets and refuses the
development ones. `.env.example` lists every name, and a test compares the two.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

from kernel import development

DEVELOPMENT = "development"
PRODUCTION = "production"
MODES = ("plain", "compat", "safe")

_FIELD_KEY_BYTES = 32
_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_RATE = re.compile(r"0(\.[0-9]{1,6})?")


class SettingsRefused(Exception):
    """The environment cannot be used; the message names each variable at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; field names are the environment's names in lower case.

    Attributes:
        env: `development` or `production`.
        database_url: SQLAlchemy URL, SQLite or PostgreSQL.
        redis_url: `redis://…` or `unix://…`; empty in development starts an embedded one.
        port: Port of the web server on 127.0.0.1.
        public_base_url: How browsers and WeChat reach us, no trailing slash.
        wechat_mode: How the official account pushes: plain, compat or safe.
        pay_fee_rate: The share of a payment that WeChat Pay keeps, such as 0.006.
        sandbox_base: Where the sandbox process listens; empty without one.
        now: Instant at which the development clock starts, or None.
    """

    env: str
    database_url: str
    redis_url: str
    port: int
    public_base_url: str
    sandbox_base: str
    state_dir: str
    now: datetime | None
    wechat_app_id: str
    wechat_app_secret: str
    wechat_token: str
    wechat_aes_key: str
    wechat_previous_aes_key: str
    wechat_mode: str
    wechat_api_base: str
    wechat_oauth_base: str
    pay_api_base: str
    pay_mch_id: str
    pay_mch_serial: str
    pay_mch_private_key: str
    pay_public_key_id: str
    pay_public_key: str
    pay_api_v3_key: str
    pay_fee_rate: str
    sms_api_base: str
    sms_access_key_id: str
    sms_access_key_secret: str
    sms_sign_name: str
    evidence_api_base: str
    evidence_key_id: str
    evidence_secret: str
    secret_key: str
    field_keys: str
    field_key_current: str
    index_key: str

    @property
    def is_development(self) -> bool:
        """Whether stand-ins, the movable clock and public secrets are allowed."""
        return self.env == DEVELOPMENT

    def field_key_bytes(self) -> dict[str, bytes]:
        """Return the field keys by id, 32 bytes each."""
        pairs = (pair.split(":", 1) for pair in self.field_keys.split(","))
        return {key_id: base64.b64decode(key) for key_id, key in pairs}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the environment.

        Raises:
            SettingsRefused: Something is missing, malformed, or a development secret in
                production; all faults are named at once.
        """
        env = environ.get("FENQI_ENV", DEVELOPMENT)
        values = _defaults(env, environ) | {
            field.name: environ[variable(field.name)]
            for field in fields(cls)
            if environ.get(variable(field.name))
        }
        faults = _faults(env, values)
        if faults:
            raise SettingsRefused("; ".join(faults))
        now = datetime.fromisoformat(values["now"]) if values["now"] else None
        typed: dict[str, Any] = values | {"env": env, "port": int(values["port"]), "now": now}
        return cls(**typed)


def variable(field_name: str) -> str:
    """Return the environment's name of a field."""
    return {"env": "FENQI_ENV", "now": "FENQI_NOW", "state_dir": "FENQI_STATE_DIR"}.get(
        field_name, field_name.upper()
    )


def _defaults(env: str, environ: Mapping[str, str]) -> dict[str, str]:
    values = {field.name: "" for field in fields(Settings)}
    values |= {"port": "8000", "state_dir": "var", "wechat_mode": "safe"}
    values["pay_fee_rate"] = "0.006"
    values |= {
        "wechat_api_base": "https://api.weixin.qq.com",
        "wechat_oauth_base": "https://open.weixin.qq.com",
        "pay_api_base": "https://api.mch.weixin.qq.com",
        "sms_api_base": "https://dysmsapi.aliyuncs.com",
    }
    if env != DEVELOPMENT:
        return values
    port = int(environ.get("PORT") or 8000)
    base = environ.get("SANDBOX_BASE") or f"http://127.0.0.1:{port + 1}"
    public = environ.get("PUBLIC_BASE_URL") or f"http://127.0.0.1:{port}"
    state_dir = environ.get("FENQI_STATE_DIR") or "var"
    values |= {name.lower(): value for name, value in development.DEFAULTS.items()}
    return values | {
        "database_url": f"sqlite:///{state_dir}/fenqi.db",
        "public_base_url": public,
        "sandbox_base": base,
        "wechat_api_base": f"{base}/sandbox/wechat",
        "wechat_oauth_base": f"{public}/sandbox/wechat",
        "pay_api_base": f"{base}/sandbox/pay",
        "sms_api_base": f"{base}/sandbox/sms/",
        "evidence_api_base": f"{base}/sandbox/evidence",
    }


_OPTIONAL = {"now", "sandbox_base", "wechat_previous_aes_key", "state_dir", "env"}


def _faults(env: str, values: Mapping[str, str]) -> list[str]:
    faults = []
    if env not in (DEVELOPMENT, PRODUCTION):
        faults.append(f"FENQI_ENV is {env!r}, not development or production")
    if values["wechat_mode"] not in MODES:
        faults.append("WECHAT_MODE must be plain, compat or safe")
    if values["wechat_aes_key"] and not _AES_KEY.fullmatch(values["wechat_aes_key"]):
        faults.append("WECHAT_AES_KEY must be 43 letters and digits")
    if not _RATE.fullmatch(values["pay_fee_rate"]):
        faults.append("PAY_FEE_RATE must be a share such as 0.006")
    if not values["port"].isdigit():
        faults.append("PORT must be a number")
    if values["now"] and not _is_instant(values["now"]):
        faults.append("FENQI_NOW must be an instant such as 2026-03-10T10:00:00+08:00")
    if env == PRODUCTION:
        faults += _production_faults(values)
    return faults + _field_key_faults(values)


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _production_faults(values: Mapping[str, str]) -> list[str]:
    missing = [
        f"{variable(name)} is missing"
        for name, value in values.items()
        if not value and name not in _OPTIONAL
    ]
    public = [
        f"{name} is the public development value"
        for name, value in development.DEFAULTS.items()
        if values[name.lower()] == value
    ]
    moved = ["FENQI_NOW is for development only"] if values["now"] else []
    stand_in = ["SANDBOX_BASE is for development only"] if values["sandbox_base"] else []
    return missing + public + moved + stand_in


def _field_key_faults(values: Mapping[str, str]) -> list[str]:
    if not values["field_keys"]:
        return []
    try:
        keys = dict(pair.split(":", 1) for pair in values["field_keys"].split(","))
        sizes = {len(base64.b64decode(key, validate=True)) for key in keys.values()}
    except ValueError:
        return ["FIELD_KEYS must be id:base64 pairs joined by commas"]
    if sizes != {_FIELD_KEY_BYTES}:
        return ["FIELD_KEYS must hold keys of 32 bytes"]
    if values["field_key_current"] not in keys:
        return ["FIELD_KEY_CURRENT names no key in FIELD_KEYS"]
    return []
