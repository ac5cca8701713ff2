"""Stored inputs of decisions: a subject's vector and the counters of shared values.

One question reads both, and it goes to SQL, which is the truth. An MGET of the same bytes from
Redis was measured too: 30 µs of a worker's CPU instead of 55, not enough for a second copy.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.database import Database, KeptConnections
from risk.features.blob import BlobCodec
from risk.features.catalogue import Catalogue
from risk.tables import FeatureVector, LinkValue


class Vector(NamedTuple):
    """A subject's newest vector; `digest` is the sha256 of the blob."""

    known_at: datetime
    digest: str
    blob: bytes


class LinkCount(NamedTuple):
    """What is known of a shared value; see risk.tables.LinkValue."""

    value_hash: str
    degree: int
    bad: int
    exempt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored about a subject and its links.

    Attributes:
        links: Of the asked values those that are known, by hash in order.
    """

    vector: Vector | None
    links: tuple[LinkCount, ...]


def put_vector(
    session: Session, *, subject: str, catalogue: Catalogue, blob: bytes, known_at: datetime
) -> str:
    """Store a subject's vector from an instant on; returns its digest. Safe to repeat.

    Raises:
        BlobRefused: It is not of this catalogue.
    """
    BlobCodec(catalogue).check(blob)
    digest = hashlib.sha256(blob).hexdigest()
    session.merge(
        FeatureVector(
            subject=subject,
            known_at=known_at,
            catalogue=catalogue.version,
            digest=digest,
            blob=blob,
        )
    )
    return digest


def vector_as_known(session: Session, *, subject: str, known_at: datetime) -> Vector | None:
    """Return the vector that was stored with an instant, None if it is no longer kept."""
    row = session.get(FeatureVector, (subject, known_at))
    return Vector(row.known_at, row.digest, row.blob) if row else None


class Store:
    """Reads vector and counters in one round trip.

    Args:
        database: On PostgreSQL each thread keeps a connection of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = KeptConnections(database)

    def known(self, subject: str, hashes: Sequence[str]) -> Known:
        """Look up a subject and the values that it may share with others."""
        if self._database.dialect == "sqlite":
            return self._known_by_session(subject, hashes)
        rows = self._kept.rows(_QUESTION, (subject, ",".join(hashes)))
        vector = Vector(*rows[0][:3]) if rows and rows[0][2] is not None else None
        return Known(
            vector=vector,
            links=tuple(sorted(LinkCount(*row[3:]) for row in rows if row[3] is not None)),
        )

    def _known_by_session(self, subject: str, hashes: Sequence[str]) -> Known:
        newest = (
            select(FeatureVector)
            .where(FeatureVector.subject == subject)
            .order_by(FeatureVector.known_at.desc())
            .limit(1)
        )
        shared = select(LinkValue).where(LinkValue.value_hash.in_(hashes))
        with self._database.peek() as session:
            row = session.scalar(newest)
            links = [
                LinkCount(link.value_hash, link.degree, link.bad, link.exempt)
                for link in session.scalars(shared)
            ]
        vector = Vector(row.known_at, row.digest, row.blob) if row else None
        return Known(vector=vector, links=tuple(sorted(links)))

    def close(self) -> None:
        """Close the connections that threads kept."""
        self._kept.close()


_QUESTION: Final[Any] = """
(SELECT known_at, digest, blob, NULL::text, NULL::int, NULL::int, NULL::bool
   FROM feature_vector WHERE subject = %s ORDER BY known_at DESC LIMIT 1)
UNION ALL
SELECT NULL, NULL, NULL, value_hash, degree, bad, exempt
  FROM link_value WHERE value_hash = ANY(string_to_array(%s, ','))
"""
