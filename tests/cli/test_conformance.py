import json
from pathlib import Path
from typing import Any

import pytest

from cli.conformance import run

TEXT = (
    "<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime>"
    "<MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId></xml>"
)


def check(tmp_path: Path, *vectors: dict[str, Any]) -> tuple[int, list[str]]:
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(vectors), encoding="utf-8")
    lines: list[str] = []
    return run([path], lines.append), lines


def field(name: str, value: str, wanted: str) -> dict[str, Any]:
    given = {"key": name, "value": value}
    return {
        "id": name,
        "category": "template_field",
        "input": given,
        "expected": {"value": wanted},
    }


class TestRun:
    def test_every_vector_that_we_have_passes_but_pay_v2(self, shared: Path) -> None:
        lines: list[str] = []
        assert run([shared / "cases" / "wechat_vectors.json"], lines.append) == 0
        skipped = [line for line in lines if line.startswith("SKIP")]
        assert all(line.startswith("SKIP payv2-") for line in skipped)
        assert lines[-1].startswith(f"{len(lines) - 1 - len(skipped)} passed, 0 failed, ")

    def test_counts_passes_failures_and_skips(self, tmp_path: Path) -> None:
        status, lines = check(
            tmp_path,
            field("thing1", "短", "短"),
            field("phrase1", "非常重要的", "非常..."),
            {"id": "v2", "category": "pay_v2_sign"},
            {"id": "odd", "category": "no_such_category"},
            {"id": "broken", "category": "jssdk_signature", "input": {}},
        )
        assert status == 1
        words = [line.split()[0] for line in lines]
        assert words == ["PASS", "FAIL", "SKIP", "FAIL", "FAIL", "1"]
        assert lines[-1] == "1 passed, 3 failed, 1 skipped"

    @pytest.mark.parametrize(
        ("category", "given", "expected", "word"),
        [
            ("incoming_message", {"xml": TEXT}, {"fields": {"Content": "hi"}}, "FAIL"),
            ("incoming_message", {"xml": TEXT}, {}, "PASS"),
            ("incoming_message", {"xml": TEXT.replace("text", "notsure")}, {}, "PASS"),
            ("xml_attack", {"xml": TEXT}, {"accept": False}, "FAIL"),
            ("xml_attack", {"xml": "<!DOCTYPE x>" + TEXT}, {"accept": False}, "PASS"),
            ("xml_attack", {"xml": TEXT}, {"accept": True}, "PASS"),
            (
                "error_response",
                {},
                {"body": {"errcode": 42001, "errmsg": "access_token expired"}},
                "PASS",
            ),
            (
                "error_response",
                {},
                {"http_status": 429, "body": {"code": "RATELIMIT", "message": "x"}},
                "PASS",
            ),
            ("error_response", {}, {"http_status": 200, "body": {"code": "X"}}, "FAIL"),
        ],
        ids=range(9),
    )
    def test_judges_each_kind(
        self,
        tmp_path: Path,
        category: str,
        given: dict[str, Any],
        expected: dict[str, Any],
        word: str,
    ) -> None:
        vector = {"id": "x", "category": category, "input": given, "expected": expected}
        _, lines = check(tmp_path, vector)
        assert lines[0].split()[0] == word
