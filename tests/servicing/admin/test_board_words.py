"""Every word of servicing's boards and queues can be said in English."""

import pytest
from house_judges import house_judges
from wording import CHINESE, ROOT, catalogue, left_unmarked, literals, marked
from workplace import House

from servicing.admin import applications, partners, words
from servicing.admin.forms import NotYetMoved
from servicing.admin.payees import PayoutNotFound
from servicing.operations import (
    AlertNotFound,
    ApplicationNotFound,
    ClassRefused,
    LimitChanged,
    LimitRefused,
    LoanNotClassed,
)
from servicing.operations.classing import MarkNotFound
from servicing.operations.payees import BankReferenceUsed
from servicing.payouts import PayoutRefused
from servicing.queries.board import BucketUnknown
from servicing.webhooks.queries import EndpointNotFound

TEMPLATES = ROOT / "servicing/templates"
MODULES = (
    "alerts",
    "application_facts",
    "applications",
    "assigning",
    "board",
    "classes",
    "days",
    "judgement",
    "machine_days",
    "machinery",
    "partner_limits",
    "partners",
    "payees",
    "product_files",
    "product_profiles",
    "product_words",
    "products",
    "subsidies",
    "words",
)
REFUSALS = (
    *(AlertNotFound, ApplicationNotFound, BucketUnknown, applications.ReviewedAlready),
    *(ClassRefused, LoanNotClassed, MarkNotFound),
    *(NotYetMoved, PayoutNotFound, PayoutRefused, BankReferenceUsed),
    *(LimitChanged, LimitRefused, partners.PartnerNotFound, EndpointNotFound),
)


def test_every_text_is_translated() -> None:
    known = catalogue("desk", "servicing")
    said = marked(TEMPLATES) | literals(ROOT / f"servicing/admin/{name}.py" for name in MODULES)
    said |= {error.message_zh for error in REFUSALS}
    assert "逾期看板" in said
    assert {text for text in said if CHINESE.search(text) and not known.get(text)} == set()


def test_templates_hold_no_untranslatable_chinese() -> None:
    assert list(left_unmarked(TEMPLATES)) == []


def test_no_translation_is_left_over() -> None:
    said = marked(TEMPLATES) | literals((ROOT / "servicing").rglob("*.py"))
    assert set(catalogue("servicing")) - said == {""}


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["line-too-small"], ["可用额度不足或额度已冻结"]),
        (["wifi-shared", "unverified"], ["同一 Wi-Fi 30 天内有 20 人以上申请", "申请资料无法核实"]),
        (["student-not-served"], ["小额贷款公司不得向大学生发放互联网消费贷款"]),
        (["收入不稳定", "x9"], ["收入不稳定", "x9"]),
    ],
)
def test_reasons_are_said_in_words_where_there_are_some(
    workplace: House, reasons: list[str], said: list[str]
) -> None:
    with house_judges(workplace.runtime), workplace.app.test_request_context():
        assert words.reasons(reasons) == said
