from datetime import date
from typing import Any

import pytest

from contact.messages import (
    FieldNotFilled,
    TemplateNotReadable,
    debts_meant,
    read_template,
    render,
)
from contact.ports import Debt


def make_template(**changes: object) -> dict:
    fine = {
        "code": "due_today",
        "version": 1,
        "channel": "wechat_template",
        "purpose": "service_reminder",
        "provider_template_id": "TPL",
        "title": "账单提醒",
        "body": "{label} ¥{amount} {due_on}",
        "valid_s": 60,
        "fields": [
            {"name": "thing1", "type": "thing", "value": "{label}"},
            {"name": "amount2", "type": "amount", "value": "¥{amount_plain}"},
            {"name": "time3", "type": "time", "value": "{due_on}"},
        ],
    }
    return fine | changes


def make_debt(**changes: object) -> Debt:
    fine = {
        "ref": "L1",
        "label": "手机分期",
        "amount_fen": 123456,
        "due_on": date(2026, 3, 1),
        "days_past_due": 9,
    }
    return Debt(**fine | changes)  # type: ignore[arg-type]


class TestRender:
    def test_fills_fields_from_what_is_owed(self) -> None:
        message = render(read_template(make_template()), facts={}, debts=[make_debt()])
        assert message.values == {
            "thing1": "手机分期",
            "amount2": "¥1234.56",
            "time3": "2026年3月1日",
        }
        assert message.record == "手机分期 ¥1,234.56 2026年3月1日"

    def test_bundles_several_debts(self) -> None:
        debts = [make_debt(), make_debt(amount_fen=44, due_on=date(2026, 2, 1))]
        message = render(read_template(make_template()), facts={}, debts=debts)
        assert message.record == "2笔 ¥1,235.00 2026年2月1日"

    def test_prefers_what_is_owed_now_over_what_was_known_at_planning(self) -> None:
        facts = {"amount_fen": 999, "due_on": "2026-03-05"}
        message = render(read_template(make_template()), facts=facts, debts=[make_debt()])
        assert message.values["amount2"] == "¥1234.56"

    def test_cuts_a_thing_to_twenty_signs(self) -> None:
        debt = make_debt(label="很长的商品名称" * 5)
        message = render(read_template(make_template()), facts={}, debts=[debt])
        assert message.values["thing1"] == "很长的商品名称很长的商品名称很长的..."

    def test_a_line_end_in_a_name_stops_nothing(self) -> None:
        message = render(
            read_template(make_template()), facts={}, debts=[make_debt(label="手机\n 分期")]
        )
        assert message.values["thing1"] == "手机 分期"

    def test_refuses_a_missing_fact(self) -> None:
        with pytest.raises(FieldNotFilled):
            render(read_template(make_template()), facts={}, debts=[])

    @pytest.mark.parametrize(
        ("field_type", "value"),
        [
            ("phrase", "abc"),
            ("phrase", "六个汉字太长了"),
            ("character_string", "汉字"),
            ("amount", "1,234.56"),
            ("time", "soon"),
            ("digits", "12a"),
            ("thing", " \n "),
            ("phone_number", "1" * 18),
            ("number", "二十"),
            ("text", "x" * 36),
        ],
    )
    def test_refuses_a_value_that_the_provider_would_refuse(
        self, field_type: str, value: Any
    ) -> None:
        channel = "sms" if field_type in ("digits", "text") else "wechat_template"
        fields = [{"name": f"{field_type}1", "type": field_type, "value": "{value}"}]
        template = read_template(make_template(channel=channel, fields=fields, body="x"))
        with pytest.raises(FieldNotFilled):
            render(template, facts={"value": value}, debts=[])

    def test_keeps_secrets_out_of_the_record(self) -> None:
        fields = [{"name": "code", "type": "digits", "value": "{code}", "secret": True}]
        template = read_template(make_template(channel="sms", fields=fields, body="验证码{code}"))
        message = render(template, facts={"code": "123456"}, debts=[])
        assert message.values == {"code": "123456"}
        assert message.body == "验证码123456"
        assert message.record == "验证码******"

    def test_does_not_let_a_fact_reach_into_anything(self) -> None:
        template = read_template(make_template(body="{text}", fields=[]))
        message = render(template, facts={"text": "{amount} {0.__class__}"}, debts=[])
        assert message.body == "{amount} {0.__class__}"


class TestDebtsMeant:
    def test_keeps_all_without_a_day(self) -> None:
        assert debts_meant({}, [make_debt()]) == (make_debt(),)

    def test_keeps_those_due_by_the_day(self) -> None:
        late, soon = make_debt(), make_debt(due_on=date(2026, 3, 9))
        assert debts_meant({"due_on": "2026-03-05"}, [late, soon]) == (late,)


class TestReadTemplate:
    @pytest.mark.parametrize(
        "changes",
        [
            {"channel": "fax"},
            {"purpose": "survey"},
            {"provider_template_id": ""},
            {"channel": "wechat_message"},
            {"channel": "sms"},
            {"fields": [{"name": "x1", "type": "unknown", "value": ""}]},
            {"fields": [{"name": "thing1", "type": "phrase", "value": "待处理"}]},
            {"valid_s": "soon"},
        ],
    )
    def test_refuses_what_could_not_be_sent(self, changes: Any) -> None:
        with pytest.raises(TemplateNotReadable):
            read_template(make_template(**changes))
