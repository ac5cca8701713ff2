"""The decision service as tests ask it: a good applicant, and a way through the door."""

import json
from dataclasses import dataclass
from typing import Any

from werkzeug.test import Client, TestResponse

from kernel.runtime import Runtime
from risk.decisions.door import DecisionDoor
from risk.decisions.service import DecisionService
from risk.decisions.vectors import put_vector
from risk.features.blob import BlobCodec
from risk.features.catalogue import read_catalogue

APPLICATION = {
    "requested_fen": 600_000,
    "lender_type": "consumer_finance",
    "is_identity_verified": True,
    "identity_key": "k-17",
    "face_similarity": 0.9,
}
VECTOR = {
    "age_years": 30,
    "is_student": False,
    "exposure_fen": 1_000_000,
    "income_monthly_fen": 800_000,
    "debt_service_monthly_fen": 120_000,
    "overdue_days_max_12m": 0,
    "bureau_queries_30d": 2,
    "loans_settled": 1,
    "bad_links": 0,
    "bureau_score": 690,
    "employed_on": "2023-12-01",
}


def asked(**changes: Any) -> dict[str, Any]:
    """A request that is approved, but for what is changed of its application."""
    return {
        "subject": "customer:17",
        "product": "instalment",
        "application": APPLICATION | changes,
    }


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The service behind its door, and a key to it."""

    runtime: Runtime
    service: DecisionService
    door: DecisionDoor
    key: str

    @property
    def client(self) -> Client:
        """A client that calls it as any server does."""
        return Client(self.door)

    def post(
        self, body: Any, *, idempotency_key: str = "k1", path: str = "/api/v1/decisions"
    ) -> TestResponse:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": idempotency_key}
        return self.client.post(path, data=text, headers=headers)

    def get(self, decision_id: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.client.get(f"/api/v1/decisions/{decision_id}", headers=headers)


def store_vector(runtime: Runtime, subject: str, values: dict[str, Any]) -> None:
    """Store a vector as known now."""
    catalogue = read_catalogue()
    blob = BlobCodec(catalogue).encode(values)
    with runtime.database.write() as session:
        put_vector(
            session,
            subject=subject,
            catalogue=catalogue,
            blob=blob,
            known_at=runtime.clock.now(),
        )
