import re
from dataclasses import fields
from pathlib import Path

import pytest

from kernel import development
from kernel.settings import Settings, SettingsRefused, variable

ROOT = Path(__file__).resolve().parent.parent.parent


class TestSettings:
    def test_example_lists_every_setting(self) -> None:
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        listed = set(re.findall(r"^([A-Z_0-9]+)=", text, flags=re.MULTILINE))
        assert listed == {variable(field.name) for field in fields(Settings)}

    def test_development_needs_nothing(self) -> None:
        assert Settings.from_env({}).is_development

    def test_production_refuses_public_secrets(self) -> None:
        with pytest.raises(SettingsRefused) as refused:
            Settings.from_env({"FENQI_ENV": "production"} | development.DEFAULTS)
        for name in ("SECRET_KEY", "PAY_MCH_PRIVATE_KEY", "FIELD_KEYS", "WECHAT_TOKEN"):
            assert f"{name} is the public development value" in str(refused.value)

    def test_production_names_all_that_is_missing(self) -> None:
        with pytest.raises(SettingsRefused) as refused:
            Settings.from_env({"FENQI_ENV": "production"})
        for name in ("WECHAT_TOKEN", "SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
            assert f"{name} is missing" in str(refused.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FENQI_ENV", "staging"),
            ("WECHAT_MODE", "open"),
            ("WECHAT_AES_KEY", "short"),
            ("FIELD_KEYS", "k1:AAAA"),
            ("FIELD_KEYS", "no colon"),
            ("FIELD_KEY_CURRENT", "other"),
            ("FENQI_NOW", "tomorrow"),
            ("FENQI_NOW", "2026-03-10T10:00:00"),
        ],
    )
    def test_refuses_what_cannot_be(self, name: str, value: str) -> None:
        with pytest.raises(SettingsRefused):
            Settings.from_env({name: value})
