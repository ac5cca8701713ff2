"""A product as text: every mistake with its line, and nothing lost on the way."""

import json
from datetime import date

import pytest

from servicing.product_document import located, read_document, write_document
from servicing.product_setup import set_up
from servicing.products import ProductRefused, house_documents, read_form, read_product

SOLD = house_documents()["standard"][1]
TODAY = date(2026, 3, 10)
GOOD = """{
  "code": "phones",
  "name": "手机分期",
  "funder": "own",
  "amount": {"least_fen": 100000, "most_fen": 500000},
  "terms": [
    6,
    12
  ],
  "rate_annual": "0.18",
  "fees": [
    {"name": "保险费", "payee": "安心保险", "at": "instalment", "share": "0.001"},
    {"name": "手续费", "payee": "本公司", "at": "early-settlement",
     "tiers": [
       {"from_paid": 0, "share": "0.03"},
       {"from_paid": 6, "amount_fen": 2000}
     ]}
  ]
}
"""


def told(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ProductRefused) as refused:
        read_document(text)
    return [(each.line, each.path, each.message) for each in refused.value.problems]


class TestReading:
    def test_reads_what_is_right(self) -> None:
        assert read_product(read_document(GOOD), version=1).code == "phones"

    @pytest.mark.parametrize(
        ("right", "wrong", "line", "path", "words"),
        [
            ('"0.18"', "0.18", 10, "rate_annual", "文本"),
            ('"at": "instalment"', '"at": "disbursement"', 12, "fees.0.at", "砍头息"),
            ('"share": "0.03"', '"share": "3"', 15, "fees.1.tiers.0.share", "须小于 1"),
            ('"payee": "本公司", ', "", 13, "fees.1.payee", "缺少此项"),
            ("    12\n", "    6\n", 6, "terms", "从小到大"),
            ("    12\n", '    "12"\n', 8, "terms.1", "须为整数"),
            ('"funder": "own"', '"funder": "nobody"', 4, "funder", "未登记"),
            ('"name": "手机分期"', '"title": "手机分期"', 3, "title", "不认识"),
            ('"name": "手机分期"', '"code": "phones"', 3, "code", "写了两次"),
            ("    6,\n", "    6\n", 8, "form", "缺少逗号"),
            ("    12\n", "    12,\n", 9, "form", "缺少值"),
            ('"code": "phones",', '"code" "phones",', 2, "form", "冒号"),
        ],
    )
    def test_says_on_which_line_it_is_wrong(
        self, right: str, wrong: str, line: int, path: str, words: str
    ) -> None:
        assert right in GOOD
        found = told(GOOD.replace(right, wrong, 1))
        assert [each for each in found if each[:2] == (line, path) and words in each[2]]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "缺少值"),
            ("[]", "花括号"),
            ("1", "花括号"),
            ("[" * 20_000, "层次太深"),
            ('{"terms": [' + "9" * 5_000 + "]}", "数字太长"),
            (" " * 100_001, "文档太长"),
            ('{"a": 1} {}', "多余内容"),
            ('{"a": {"b": 1, "b": 2}}', "写了两次"),
        ],
    )
    def test_refuses_what_is_no_product(self, text: str, words: str) -> None:
        ((line, _, message),) = told(text)
        assert (line, words in message) == (1, True)

    def test_says_on_which_line_stands_what_may_not_be_sold(self) -> None:
        text = GOOD.replace('"0.18"', '"0.3"')
        tried = set_up(read_product(read_document(text), version=0), on=TODAY)
        assert {problem.line for problem in located(tried.problems, text)} == {6}


class TestWriting:
    def test_writes_what_was_left_to_the_house(self) -> None:
        written = json.loads(write_document(SOLD))
        assert read_form(written) == read_form(SOLD)
        assert written["grace"]["late_days"] == 3
        assert written["penalty"]["year_days"] == 360
        assert written["allocation"]["non-accrual"]["direction"] == "horizontal"
