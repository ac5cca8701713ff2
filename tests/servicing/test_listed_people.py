"""Whoever stands on a list by their number is hit by it when they apply."""

from pathlib import Path
from typing import Any

import pytest
from house_judges import house_judges
from workplace import House

from cli.risk import load_list_file
from desk.operations.approvals import SecondPersonNeeded
from kernel.clock import business_date
from kernel.runtime import Runtime
from risk.decisions.list_files import ListFileOdd
from risk.decisions.listed import entries_of, lists_on
from risk.strategy.lists import ListKind
from servicing.ports import Decide
from servicing.queries.questions import Question, question_of

PERSON, PHONE = "990000199203041233", "13800138000"
OWN = "/admin/risk/lists/own-blocked/entries"


def question(runtime: Runtime, book: Any) -> Question:
    """What is asked of an application of the person."""
    with runtime.database.write() as session:
        customer_id = book.customer(session, id_number=PERSON, phone=PHONE)
        application_id = book.application(session, customer_id=customer_id)
        found = question_of(
            session, runtime.cipher, application_id=application_id, now=runtime.clock.now()
        )
    assert found is not None
    return found


def reasons(runtime: Runtime, asked: Question) -> list[str]:
    """Have the house strategy decide; say why it does not approve."""
    with house_judges(runtime):
        decided = runtime.get(Decide)(
            key=asked.key,
            subject=asked.subject,
            product=asked.product,
            values=dict(asked.values) | {"is_identity_verified": True},
            links=asked.links,
        )
    assert decided.outcome != "approve"
    return [each.code for each in decided.reasons]


def load(runtime: Runtime, folder: Path, name: str, *lines: str, **given: Any) -> dict[str, Any]:
    """Load a list as `fenqi risk load-list` does."""
    file = folder / "list.csv"
    file.write_text("\n".join(["value,source,reason,expires_on", *lines, ""]), encoding="utf-8")
    people = {"author": "lin", "approver": "wang"}
    return load_list_file(runtime, name, file, **people | given)


def test_a_number_in_the_form_declines(workplace: House, book: Any) -> None:
    runtime = workplace.runtime
    load_list_file(runtime, "own-blocked", None)
    form = {"value": PERSON, "reason": "核实为冒用", "expires_on": ""}
    assert workplace.seat("risk_analyst").fill(OWN, OWN, **form).status_code == 204
    assert "own-list" in reasons(runtime, question(runtime, book))


def test_a_number_in_a_file_declines(runtime: Runtime, book: Any, tmp_path: Path) -> None:
    load(runtime, tmp_path, "prevention", f"{PERSON},公安部,公告,")
    assert "prevention-list" in reasons(runtime, question(runtime, book))


@pytest.mark.parametrize("people", [{"approver": ""}, {"approver": "lin"}, {"author": " "}])
def test_a_file_of_the_sanction_list_takes_two(
    runtime: Runtime, tmp_path: Path, people: dict[str, str]
) -> None:
    with pytest.raises(SecondPersonNeeded):
        load(runtime, tmp_path, "prevention", f"{PERSON},公安部,公告,", **people)
    assert load(runtime, tmp_path, "own-blocked", f"{PERSON},客服,冒用,", **people)["added"] == 1


def test_another_number_does_not(runtime: Runtime, book: Any, tmp_path: Path) -> None:
    load(runtime, tmp_path, "prevention", "99000019900101005X,公安部,公告,")
    assert "prevention-list" not in reasons(runtime, question(runtime, book))


def test_a_phone_hits_a_list_of_phones(runtime: Runtime, book: Any, tmp_path: Path) -> None:
    load(runtime, tmp_path, "phones", "+86 138 0013 8000,客服,骚扰,", kind=ListKind.PHONE)
    asked = question(runtime, book).values
    with runtime.database.read() as session:
        lists = lists_on(session, on=business_date(runtime.clock.now()))
    assert lists.holds("phones", "exact", asked["phone"]) is True
    assert lists.holds("phones", "exact", asked["identity_key"]) is False


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("990000199203041234,公安部,公告,", "第 3 行：名单值：证件号须为18位且校验位正确"),
        (",公安部,公告,", "第 3 行：名单值：证件号须为18位且校验位正确"),
        (f"{PERSON},公安部,公告,soon", "第 3 行：到期日须为日期，如 2026-12-01"),
    ],
)
def test_a_file_with_an_odd_line_is_refused_whole(
    runtime: Runtime, tmp_path: Path, line: str, said: str
) -> None:
    load_list_file(runtime, "prevention", None)
    with pytest.raises(ListFileOdd, match=said):
        load(runtime, tmp_path, "prevention", f"{PERSON},公安部,公告,", line)
    with runtime.database.read() as session:
        on = business_date(runtime.clock.now())
        assert entries_of(session, name="prevention", on=on, limit=9) == ()
