"""Customers are found by what they prove, never by name; consents are only ever added."""

from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from kernel.crypto import FieldCipher
from kernel.database import Database
from servicing import operations, queries
from servicing.operations import CustomerKnown
from servicing.queries import CustomerNotFound
from servicing.tables import Consent, Customer, LedgerEntry, LedgerPosting

PERSON = {"name": "王小明", "phone": "10012345678", "id_number": "99000019900101001X"}


class TestCustomer:
    def test_is_stored_without_a_clear_word(self, database: Database, book: Any) -> None:
        with database.write() as session:
            book.customer(session, **PERSON)
            row = session.execute(text("SELECT * FROM customer")).one()
        stored = " ".join(str(value) for value in row)
        assert not any(value in stored for value in PERSON.values())

    @pytest.mark.parametrize(
        "query", ["10012345678", "99000019900101001X", "99000019900101001x", " 10012345678 ", "1"]
    )
    def test_is_found_by_phone_id_number_or_customer_number(
        self, database: Database, cipher: FieldCipher, book: Any, query: str
    ) -> None:
        with database.write() as session:
            customer_id = book.customer(session, **PERSON)
            book.customer(session)
            found = queries.find_customers(session, cipher, text=query, limit=10)
        assert [view.id for view in found] == [customer_id]
        assert found[0].name == "王小明"
        assert found[0].id_number_last4 == "001X"

    def test_is_found_by_loan_number(
        self, database: Database, cipher: FieldCipher, book: Any
    ) -> None:
        with database.write() as session:
            book.loan(session)
            (loan,) = queries.loans_of(session, customer_id=1, on=book.now.date())
            found = queries.find_customers(session, cipher, text=loan.loan_no.lower(), limit=10)
        assert [view.id for view in found] == [1]

    @pytest.mark.parametrize("query", ["王小明", "1001234567", "", "FQ", "9" * 30])
    def test_is_not_found_by_anything_else(
        self, database: Database, cipher: FieldCipher, book: Any, query: str
    ) -> None:
        with database.write() as session:
            book.customer(session, **PERSON)
            assert queries.find_customers(session, cipher, text=query, limit=10) == ()

    @pytest.mark.parametrize(
        ("phone", "last4", "is_found"),
        [
            ("10012345678", "001X", True),
            ("10012345678", "001x", True),
            ("10012345678", "0010", False),
            ("10012345679", "001X", False),
        ],
    )
    def test_is_matched_by_phone_and_last_four_together(
        self,
        database: Database,
        cipher: FieldCipher,
        book: Any,
        phone: str,
        last4: str,
        is_found: bool,
    ) -> None:
        with database.write() as session:
            customer_id = book.customer(session, **PERSON)
            found = queries.match_identity(session, cipher, phone=phone, id_last4=last4)
        assert found == (customer_id if is_found else None)

    def test_is_entered_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            book.customer(session, **PERSON)
            with pytest.raises(CustomerKnown):
                book.customer(session, **PERSON | {"phone": "10099999999"})
            with pytest.raises(CustomerKnown):
                book.customer(session, **PERSON | {"id_number": "990000199001010028"})

    def test_that_does_not_exist_is_said_so(self, database: Database, cipher: FieldCipher) -> None:
        with database.read() as session, pytest.raises(CustomerNotFound):
            queries.customer_view(session, cipher, customer_id=404)


class TestConsent:
    def test_is_withdrawn_by_a_further_row(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            given = {"customer_id": customer_id, "purpose": "marketing", "channel": "h5"}
            operations.record_consent(session, text="同意", now=book.now, **given)
            operations.withdraw_consent(session, now=book.now, **given)
            (last,) = queries.consents_of(session, customer_id=customer_id)
            rows = session.scalars(select(Consent)).all()
            assert len(rows) == 2
            assert rows[0].text_hash == rows[1].text_hash
        assert last.is_withdrawn

    def test_cannot_be_withdrawn_before_it_is_given(self, database: Database, book: Any) -> None:
        with database.write() as session:
            given = {"customer_id": book.customer(session), "purpose": "marketing"}
            assert operations.withdraw_consent(session, channel="h5", now=book.now, **given) is None


class TestAppendOnly:
    @pytest.mark.parametrize("table", [Consent, LedgerEntry, LedgerPosting])
    def test_tables_refuse_changes_and_deletes(
        self, database: Database, book: Any, table: Any
    ) -> None:
        with database.write() as session:
            book.loan(session)
            operations.record_consent(
                session, customer_id=1, purpose="credit", text="同意", channel="h5", now=book.now
            )
        for statement in (update(table).values(id=99), delete(table)):
            with (
                pytest.raises(DBAPIError, match="append-only"),
                database.write() as session,
            ):
                session.execute(statement)
        with database.read() as session:
            assert session.scalars(select(Customer.id)).all() == [1]
