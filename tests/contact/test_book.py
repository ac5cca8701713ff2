import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contact import operations, queries
from contact.book import (
    RULES_FILE,
    TEMPLATES_FILE,
    RuleChanged,
    TemplateChanged,
    TemplateNotInForce,
    rules_of_day,
    template_in_force,
)
from contact.gate import RuleNotReadable
from contact.messages import TemplateNotReadable
from contact.model import Channel, Purpose
from contact.tables import ContactRule, ContactTemplate

NEEDED = [
    ("otp", "sms", "answer"),
    ("receipt", "wechat_message", "answer"),
    ("receipt", "wechat_template", "answer"),
    ("late_reply", "wechat_message", "answer"),
    ("due_soon", "wechat_template", "service_reminder"),
    ("due_soon", "sms", "service_reminder"),
    ("due_today", "wechat_template", "service_reminder"),
    ("due_today", "sms", "service_reminder"),
    ("overdue", "wechat_template", "collection"),
    ("overdue", "sms", "collection"),
]
NAMES_A_DEBT = ("欠", "债", "逾期", "催", "贷", "还款")


class TestRulesFile:
    def test_gives_every_purpose_its_rules(self, desk: Any) -> None:
        with desk.read() as session:
            assert set(rules_of_day(session, on=date(2026, 3, 10))) == set(Purpose)

    def test_keeps_the_night_silent_for_all_but_answers(self, desk: Any) -> None:
        with desk.read() as session:
            rules = rules_of_day(session, on=date(2026, 3, 10))
        for purpose, own in rules.items():
            silences = [(s.since.hour, s.until.hour) for s in own.silences]
            if purpose is Purpose.ANSWER:
                assert silences == []
            else:
                assert all(since <= 22 and until >= 8 for since, until in silences)
                assert silences

    def test_allows_one_reminder_a_day_and_three_a_week_over_all_channels(self, desk: Any) -> None:
        with desk.read() as session:
            rules = rules_of_day(session, on=date(2026, 3, 10))
        for purpose in (Purpose.SERVICE_REMINDER, Purpose.COLLECTION):
            limits = {
                (quota.group, quota.days, quota.at_most)
                for quota in rules[purpose].quotas
                if quota.channel == "all"
            }
            assert limits == {("reminder", 1, 1), ("reminder", 7, 3)}
            assert rules[purpose].is_stopped_by_hold

    def test_lets_no_marketing_into_wechat(self, desk: Any) -> None:
        with desk.read() as session:
            marketing = rules_of_day(session, on=date(2026, 3, 10))[Purpose.MARKETING]
        assert marketing.needs_opt_in
        assert marketing.quotas_of(Channel.WECHAT_TEMPLATE) is None
        assert marketing.quotas_of(Channel.SMS)

    def test_names_source_reading_and_owner_of_every_row(self) -> None:
        rows = tomllib.loads(RULES_FILE.read_text("utf-8"))["rule"]
        assert all(row["citation"] and row["owner"] for row in rows)
        assert {row["how_read"] for row in rows} <= {"full", "press", "none"}


class TestLoadRules:
    def test_is_safe_to_repeat(self, desk: Any) -> None:
        with desk.write() as session:
            before = len(session.scalars(select(ContactRule)).all())
            assert operations.load_rules(session, now=desk.now) == 0
            assert len(session.scalars(select(ContactRule)).all()) == before

    def test_refuses_to_edit_a_loaded_row(self, desk: Any, tmp_path: Path) -> None:
        text = RULES_FILE.read_text("utf-8").replace("at_most = 3", "at_most = 30")
        path = tmp_path / "rules.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(RuleChanged), desk.write() as session:
            operations.load_rules(session, now=desk.now, path=path)

    def test_refuses_a_row_that_the_gate_could_not_read(self, desk: Any, tmp_path: Path) -> None:
        path = tmp_path / "rules.toml"
        path.write_text(
            '[[rule]]\ncode="x"\npurpose="collection"\nkind="hold"\nvalue={stops="yes"}\n'
            'citation="c"\nhow_read="none"\neffective_from=2026-01-01\nowner="o"\n',
            "utf-8",
        )
        with pytest.raises(RuleNotReadable), desk.write() as session:
            operations.load_rules(session, now=desk.now, path=path)


class TestTemplatesFile:
    def test_has_what_the_house_sends(self, desk: Any) -> None:
        with desk.read() as session:
            known = {
                (row.code, row.channel, row.purpose)
                for row in session.scalars(select(ContactTemplate))
            }
            versions = queries.template_versions(session)
        assert known >= set(NEEDED)
        assert {versions[needed] for needed in NEEDED} == {1}

    def test_names_no_debt_in_a_title(self) -> None:
        rows = tomllib.loads(TEMPLATES_FILE.read_text("utf-8"))["template"]
        assert [r["title"] for r in rows if any(w in r["title"] for w in NAMES_A_DEBT)] == []

    def test_gives_the_stand_ins_titles_labels_and_texts(self, desk: Any) -> None:
        with desk.read() as session:
            known = {row["template_id"]: row for row in queries.provider_templates(session)}
        assert known["SMS_300000003"]["content"].startswith("您的账单${amount}元")
        bill = known["TPL_BILL_0000000000000000000000000000000001"]
        assert bill["labels"]["amount2"] == "金额"


class TestLoadTemplates:
    def load(self, desk: Any, tmp_path: Path, **replacements: Any) -> Any:
        text = TEMPLATES_FILE.read_text("utf-8")
        for old, new in replacements.values():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "templates.toml"
        path.write_text(text, "utf-8")
        with desk.write() as session:
            return operations.load_templates(session, now=desk.now, path=path)

    def test_is_safe_to_repeat(self, desk: Any, tmp_path: Path) -> None:
        assert self.load(desk, tmp_path) == 0

    def test_renews_a_version_that_nothing_is_bound_to(self, desk: Any, tmp_path: Path) -> None:
        self.load(desk, tmp_path, body=("今天到期，可在", "今日到期，可在"))
        with desk.read() as session:
            body = session.get_one(ContactTemplate, ("due_today", 1, "sms")).body
        assert "今日到期" in body

    def test_never_edits_a_version_that_a_contact_is_bound_to(
        self, desk: Any, tmp_path: Path
    ) -> None:
        desk.customers(1)
        desk.plan([1])
        with pytest.raises(TemplateChanged):
            self.load(desk, tmp_path, body=("今天到期，可在", "今日到期，可在"))

    def test_retires_a_version_that_is_gone_from_the_file(self, desk: Any, tmp_path: Path) -> None:
        self.load(desk, tmp_path, code=('code = "otp"', 'code = "otp2"'))
        with desk.read() as session:
            assert ("otp", "sms", "answer") not in queries.template_versions(session)
            with pytest.raises(TemplateNotInForce):
                template_in_force(session, code="otp", channel=Channel.SMS)

    def test_refuses_a_template_that_could_not_be_sent(self, desk: Any, tmp_path: Path) -> None:
        with pytest.raises(TemplateNotReadable):
            self.load(desk, tmp_path, type=('type = "digits"', 'type = "weird"'))
