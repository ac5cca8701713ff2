"""What our pages say to staff in Chinese can be said in English, and hides numbers."""

import re
from pathlib import Path
from typing import Any

import pytest
from wording import CHINESE, catalogue

import contact
import servicing
from contact.operations import ContactNotFound
from kernel.errors import FenqiError, GivesReason
from servicing.admin import words
from servicing.chart import CHART
from servicing.queries.interest_reasons import BALANCE, ORIGINAL, SENTENCES
from wsgi import create_site

AREAS = {"servicing": servicing, "contact": contact}
SAID = re.compile(r"""\b(?:gettext|_)\(\s*["']([^"']+)["']""")
# For borrowers alone, or for programs: refusals of payments and of the API.
NOT_FOR_STAFF = (
    "servicing.payments.",
    "servicing.api.",
    "servicing.webhooks.",
    "contact.views",
    "contact.ports",
)


def templates(area: str) -> list[Path]:
    folder = Path(str(AREAS[area].__file__)).parent / "templates" / area
    return sorted((folder / "admin" if area == "servicing" else folder).rglob("*.html"))


def said(area: str) -> set[str]:
    folder = Path(str(AREAS[area].__file__)).parent
    sources = (folder / "admin").rglob("*.py") if area == "servicing" else folder.rglob("*.py")
    return {
        text
        for path in [*sources, *templates(area)]
        for text in SAID.findall(path.read_text(encoding="utf-8"))
    }


def refusals(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*(refusals(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize("area", AREAS)
def test_every_text_is_translated(area: str) -> None:
    known = catalogue("desk", area)
    assert len(templates(area)) > 2
    assert {text for text in said(area) if CHINESE.search(text) and not known.get(text)} == set()


def test_every_label_is_translated() -> None:
    site, known = create_site(), catalogue("desk", "risk", *AREAS)
    labels = {permission.label for permission in site.permissions}
    labels |= {panel.title for panel in site.customer_panels if panel.title}
    labels |= {item.label for item in (*site.searches, *site.unmaskers, *site.approvables)}
    labels |= {account.name_zh for account in CHART}
    assert {label for label in labels if not known.get(label)} == set()


def test_every_refusal_is_translated() -> None:
    assert ContactNotFound
    known = catalogue("desk", *AREAS)
    ours = {
        refusal
        for refusal in refusals(FenqiError)
        if refusal.__module__.startswith(("servicing.", "contact.", "kernel.money", "kernel.idem"))
        and not refusal.__module__.startswith(NOT_FOR_STAFF)
    }
    said = {refusal.message_zh for refusal in ours}
    said |= {word for one in refusals(GivesReason) for word in one.reasons.values()}
    assert {sentence for sentence in said if not known.get(sentence)} == set()


def test_every_reason_for_an_interest_is_translated() -> None:
    known = catalogue("bot")
    assert {said for said in (*SENTENCES, BALANCE, ORIGINAL) if not known.get(said)} == set()


@pytest.mark.parametrize("area", AREAS)
def test_templates_hold_no_untranslatable_chinese(area: str) -> None:
    for path in templates(area):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        rest = re.sub(r"""\b_\(["'][^"']+["']""", "", text).replace("、", "")
        assert not CHINESE.search(rest), path


@pytest.mark.parametrize("area", AREAS)
def test_placeholders_survive(area: str) -> None:
    for text, english in catalogue(area).items():
        assert sorted(re.findall(r"%\(\w+\)s", text)) == sorted(
            re.findall(r"%\(\w+\)s", english)
        ), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("电话 13800001234 请回", "电话 138*****234 请回"),
        ("证件 99000019900101007X", "证件 990************07X"),
        ("卡号 6222 0212 3456 7890", "卡号 622*************890"),
        ("还了 1200.50 元，共 12 期", "还了 1200.50 元，共 12 期"),
    ],
)
def test_long_numbers_are_hidden(text: str, shown: str) -> None:
    assert words.hide_numbers(text) == shown
