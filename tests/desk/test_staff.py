import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from desk import queries
from desk.model import LOCKED_FOR, MAX_FAILURES, PasswordTooWeak
from desk.operations import (
    AccountLocked,
    Admitted,
    LoginFailed,
    LoginTaken,
    OwnAccount,
    PasswordReused,
    StaffNotFound,
    change_password,
    log_in,
    reset_password,
    set_active,
    set_roles,
    staff,
)
from kernel.clock import FixedClock
from kernel.database import Database
from kernel.errors import Unauthorized

PASSWORD = "correct-horse-7"
ANOTHER = "another-good-one-8"
NOBODYS_HASH = staff._NOBODYS_HASH  # as it is outside of tests


@pytest.fixture
def wang(hire: Callable[..., int]) -> int:
    return hire("wang", "clerk")


class Door:
    """Logging in with every default."""

    def __init__(self, database: Database, clock: FixedClock) -> None:
        self.database, self.clock = database, clock

    def enter(self, password: str = PASSWORD, login: str = "wang") -> Admitted:
        now = self.clock.now()
        return log_in(self.database, login=login, password=password, origin="127.0.0.1", now=now)

    def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(Unauthorized):
                self.enter("wrong-password")

    def audit(self) -> list[str]:
        with self.database.read() as session:
            assert queries.verify_audit_chain(session) is None
            wanted = queries.AuditFilter(action="desk.staff")
            found = queries.each_audit_entry(session, wanted=wanted)
            return [entry.action.removeprefix("desk.staff.") for entry in found]

    def view(self, staff_id: int) -> queries.StaffView:
        with self.database.read() as session:
            found = queries.staff_view(session, staff_id=staff_id)
        assert found is not None
        return found


@pytest.fixture
def door(database: Database, clock: FixedClock) -> Door:
    return Door(database, clock)


class TestLogIn:
    def test_the_right_password_opens(self, door: Door, wang: int) -> None:
        assert door.enter(login=" Wang ") == Admitted(staff_id=wang, session_version=1)
        assert door.view(wang).last_login_at == door.clock.now()
        assert door.audit() == ["created", "logged_in"]

    def test_wrong_password_unknown_login_and_disabled_account_sound_alike(
        self, door: Door, wang: int
    ) -> None:
        with door.database.write() as session:
            set_active(session, staff_id=wang, is_active=False, by="root", now=door.clock.now())
        for login, password in (("wang", "x"), ("nobody", PASSWORD), ("wang", PASSWORD)):
            with pytest.raises(LoginFailed):
                door.enter(password, login=login)

    def test_costs_the_same_work_for_a_login_that_does_not_exist(self) -> None:
        assert not PasswordHasher().check_needs_rehash(NOBODYS_HASH)

    def test_locks_after_five_failures_whatever_the_password(self, door: Door, wang: int) -> None:
        door.fail(MAX_FAILURES - 1)
        assert door.view(wang).locked_until is None
        with pytest.raises(AccountLocked):
            door.enter("wrong-password")
        with pytest.raises(AccountLocked):
            door.enter()
        door.clock.advance(LOCKED_FOR)
        assert door.enter().staff_id == wang
        assert door.audit()[-2:] == ["locked", "logged_in"]

    def test_success_forgets_failures(self, door: Door, wang: int) -> None:
        for _ in range(3):
            door.fail(MAX_FAILURES - 1)
            assert door.enter().staff_id == wang

    @pytest.mark.usefixtures("wang")
    def test_parallel_guesses_do_not_pass_the_lock(self, door: Door) -> None:
        answers: Counter[str] = Counter()

        def guess() -> None:
            try:
                door.enter("wrong-password")
            except Unauthorized as error:
                answers[error.code] += 1

        threads = [threading.Thread(target=guess) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {"staff-login-failed": 4, "staff-account-locked": 4}
        with pytest.raises(AccountLocked):
            door.enter()


class TestAccounts:
    def test_a_login_is_taken_once(self, hire: Callable[..., int], wang: int) -> None:
        with pytest.raises(LoginTaken):
            hire("wang", "admin")
        assert wang == 1

    def test_roles_password_and_standing_end_sessions(self, door: Door, wang: int) -> None:
        now = door.clock.now()
        versions = [door.view(wang).session_version]
        for change in (
            lambda s: set_roles(s, staff_id=wang, roles=["auditor"], by="root", now=now),
            lambda s: set_roles(s, staff_id=wang, roles=["auditor"], by="root", now=now),
            lambda s: reset_password(s, staff_id=wang, password=ANOTHER, by="root", now=now),
            lambda s: set_active(s, staff_id=wang, is_active=False, by="root", now=now),
            lambda s: set_active(s, staff_id=wang, is_active=True, by="root", now=now),
        ):
            with door.database.write() as session:
                change(session)
            versions.append(door.view(wang).session_version)
        assert versions == [1, 2, 2, 3, 4, 5]
        assert door.view(wang).must_change_password
        assert door.audit()[1:] == ["roles_changed", "password_reset", "disabled", "enabled"]

    def test_a_reset_opens_a_locked_account(self, door: Door, wang: int) -> None:
        door.fail(MAX_FAILURES)
        with door.database.write() as session:
            reset_password(
                session, staff_id=wang, password=ANOTHER, by="root", now=door.clock.now()
            )
        assert door.enter(ANOTHER).staff_id == wang

    def test_one_changes_ones_own_password(self, door: Door, wang: int) -> None:
        now = door.clock.now() + timedelta(minutes=1)

        def change(current: str, new: str) -> int:
            with door.database.write() as session:
                return change_password(session, staff_id=wang, current=current, new=new, now=now)

        with pytest.raises(LoginFailed):
            change("wrong", ANOTHER)
        with pytest.raises(PasswordReused):
            change(PASSWORD, PASSWORD)
        with pytest.raises(PasswordTooWeak):
            change(PASSWORD, "short")
        assert change(PASSWORD, ANOTHER) == 2
        assert door.enter(ANOTHER).session_version == 2

    def test_administrators_cannot_shut_themselves_out(
        self, door: Door, hire: Callable[..., int]
    ) -> None:
        root, now = hire("root", "admin"), door.clock.now()
        with pytest.raises(OwnAccount), door.database.write() as session:
            set_active(session, staff_id=root, is_active=False, by="root", now=now)
        with pytest.raises(OwnAccount), door.database.write() as session:
            set_roles(session, staff_id=root, roles=["clerk"], by="root", now=now)
        with pytest.raises(StaffNotFound), door.database.write() as session:
            set_active(session, staff_id=999, is_active=False, by="root", now=now)
