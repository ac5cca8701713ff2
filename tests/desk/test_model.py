from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.model import (
    ApprovalNotOpen,
    ApprovalState,
    Change,
    DocumentState,
    DocumentStepRefused,
    LoginNotAllowed,
    PasswordTooWeak,
    Role,
    RoleUnknown,
    canonical,
    check_login,
    check_password,
    differences,
    is_session_over,
    mask_id,
    mask_name,
    mask_phone,
    next_approval_state,
    next_document_state,
    roles_from,
)

AT = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


class TestMasking:
    @pytest.mark.parametrize(
        ("name", "masked"),
        [("张三", "张*"), ("张小三", "张**"), ("欧阳小三", "欧***"), ("张", "*"), ("", "")],
    )
    def test_a_name_keeps_its_first_sign(self, name: str, masked: str) -> None:
        assert mask_name(name) == masked

    @pytest.mark.parametrize(
        ("phone", "masked"),
        [("13800001234", "138****1234"), ("+8613800001234", "+86138****1234"), ("12345", "*****")],
    )
    def test_a_phone_keeps_three_and_four(self, phone: str, masked: str) -> None:
        assert mask_phone(phone) == masked

    @pytest.mark.parametrize(
        ("number", "masked"),
        [("11010519491231002X", "1****************X"), ("12", "**"), ("", "")],
    )
    def test_an_id_number_keeps_its_ends(self, number: str, masked: str) -> None:
        assert mask_id(number) == masked

    @given(st.text(min_size=2))
    def test_what_is_hidden_keeps_its_length(self, text: str) -> None:
        assert len(mask_name(text)) == len(mask_phone(text)) == len(mask_id(text)) == len(text)


class TestAccounts:
    @pytest.mark.parametrize("login", ["a", "Wang", "王", "1ab", "a b", "x" * 33, ""])
    def test_odd_logins_are_refused(self, login: str) -> None:
        with pytest.raises(LoginNotAllowed):
            check_login(login)

    def test_a_plain_login_passes(self) -> None:
        assert check_login("wang.min-2") == "wang.min-2"

    @pytest.mark.parametrize(
        "password",
        ["", "short-1", "aaaaaaaaaaaa", "password123", "1234567890", "wang123!", "wang" + "1" * 9],
    )
    def test_weak_passwords_are_refused(self, password: str) -> None:
        with pytest.raises(PasswordTooWeak):
            check_password(password, login="wang")

    @pytest.mark.parametrize(
        "password", ["correct-horse-7", "长而好记的中文密码一二三", "fenqi-demo-2026"]
    )
    def test_long_passwords_pass(self, password: str) -> None:
        check_password(password, login="wang")
        assert len(password) >= 10

    def test_roles_are_known_and_at_least_one(self) -> None:
        assert roles_from(["clerk", "admin"]) == {Role.CLERK, Role.ADMIN}
        for wrong in ([], ["king"]):
            with pytest.raises(RoleUnknown):
                roles_from(wrong)

    @pytest.mark.parametrize(
        ("began", "seen", "is_over"),
        [(0, 0, False), (60, 30, False), (60, 31, True), (720, 1, False), (721, 1, True)],
    )
    def test_a_session_ends_by_idling_or_age(self, began: int, seen: int, is_over: bool) -> None:
        times = {
            "began_at": AT - timedelta(minutes=began),
            "seen_at": AT - timedelta(minutes=seen),
        }
        assert is_session_over(**times, now=AT) is is_over


class TestCanonical:
    def test_has_one_form_for_equal_values(self) -> None:
        assert canonical({"b": 1, "a": [date(2026, 3, 1), Decimal("0.10")]}) == (
            '{"a":["2026-03-01","0.10"],"b":1}'
        )
        assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1})

    def test_refuses_what_json_cannot_say(self) -> None:
        with pytest.raises(ValueError, match="JSON"):
            canonical({"x": float("nan")})

    @given(JSON)
    def test_can_always_be_stored(self, value: object) -> None:
        written = canonical(value)
        assert written.encode().decode() == written
        assert "\x00" not in written
        assert "\\u0000" not in written


class TestDifferences:
    def test_names_each_changed_leaf(self) -> None:
        before = {"rules": [{"limit": 1}, {"limit": 2}], "name": "准入", "old": True}
        after = {"rules": [{"limit": 1}, {"limit": 3}], "name": "准入", "new": None}
        assert differences(before, after) == (
            Change(label="rules.1.limit", before="2", after="3"),
            Change(label="old", before="true", after=""),
            Change(label="new", before="", after="null"),
        )

    @given(JSON)
    def test_nothing_differs_from_itself(self, value: object) -> None:
        assert differences(value, value) == ()


class TestStateMachines:
    def test_a_proposal_moves_only_as_drawn(self) -> None:
        events = ("approve", "refuse", "withdraw", "expire", "undo")
        possible = set()
        for state, event in product(ApprovalState, events):
            try:
                possible.add((str(state), event, str(next_approval_state(state, event))))
            except ApprovalNotOpen:
                continue
        assert possible == {
            ("waiting", "approve", "executed"),
            ("waiting", "refuse", "refused"),
            ("waiting", "withdraw", "withdrawn"),
            ("waiting", "expire", "expired"),
            ("executed", "undo", "undone"),
        }

    def test_nothing_comes_into_force_without_test_and_approval(self) -> None:
        assert next_document_state("draft", "test") is DocumentState.TESTED
        assert next_document_state("tested", "approve") is DocumentState.APPROVED
        assert next_document_state("approved", "activate") is DocumentState.IN_FORCE
        for state, event in product(DocumentState, ("approve", "activate")):
            if (state, event) not in {("tested", "approve"), ("approved", "activate")}:
                with pytest.raises(DocumentStepRefused):
                    next_document_state(state, event)
