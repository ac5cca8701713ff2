"""Stored inputs of decisions: a subject's vector and the counters of shared values.

One question reads those of a whole group of decisions, and it goes to SQL, which is the truth. An
MGET of the same bytes from Redis was measured too: not enough for a second copy.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.database import Database, KeptConnections
from risk.features.blob import BlobCodec
from risk.features.catalogue import Catalogue
from risk.tables import FeatureVector, LinkEdge, LinkValue


class Vector(NamedTuple):
    """A subject's newest vector; `digest` is the sha256 of the blob."""

    known_at: datetime
    digest: str
    blob: bytes


class LinkCount(NamedTuple):
    """What is known of a shared value; see risk.tables.LinkValue.

    As it is decided by and kept, `degree` and `bad` count others than the subject.
    """

    value_hash: str
    degree: int
    bad: int
    exempt: bool


# Newest vectors by subject, counters by hash, and by both whether the subject itself is bad.
Found: TypeAlias = tuple[dict[str, Vector], dict[str, LinkCount], dict[tuple[str, str], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored about a subject and its links.

    Attributes:
        links: Of the asked values those that are known, by hash in order: how many others.
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


class Wanted(NamedTuple):
    """What one decision wants to know: a subject's vector, and counters by hash."""

    subject: str
    hashes: Sequence[str]


class Store:
    """Reads vectors and counters in one round trip.

    Args:
        database: On PostgreSQL each thread keeps a connection of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = KeptConnections(database)

    def known(self, wanted: Sequence[Wanted]) -> list[Known]:
        """Look up what decisions want to know, each in its place."""
        subjects = list({each.subject for each in wanted})
        hashes = list({value for each in wanted for value in each.hashes})
        if self._database.dialect == "sqlite":
            vectors, links, own = self._read_by_session(subjects, hashes)
        else:
            vectors, links, own = self._read(wanted, subjects, hashes)
        return [
            Known(
                vector=vectors.get(each.subject),
                links=tuple(
                    _others(links[value], own.get((value, each.subject)))
                    for value in sorted(each.hashes)
                    if value in links
                ),
            )
            for each in wanted
        ]

    def _read(self, wanted: Sequence[Wanted], subjects: list[str], hashes: list[str]) -> Found:
        vectors, links, own = {}, {}, {}
        pairs = [(value, each.subject) for each in wanted for value in each.hashes]
        own_values = ",".join(value for value, _ in pairs)
        own_subjects = ",".join(subject for _, subject in pairs)
        for key, degree, bad, is_exempt, known_at, digest, blob in self._kept.rows(
            _QUESTION, (subjects, ",".join(hashes), own_values, own_subjects)
        ):
            if blob is not None:
                vectors[key] = Vector(known_at, digest, blob)
            elif degree is not None:
                links[key] = LinkCount(key, degree, bad, is_exempt)
            else:
                own[key, digest] = bool(bad)
        return vectors, links, own

    def _read_by_session(self, subjects: list[str], hashes: list[str]) -> Found:
        newest = (
            select(FeatureVector.subject, func.max(FeatureVector.known_at).label("known_at"))
            .where(FeatureVector.subject.in_(subjects))
            .group_by(FeatureVector.subject)
            .subquery()
        )
        vectors = select(FeatureVector).join(
            newest,
            (FeatureVector.subject == newest.c.subject)
            & (FeatureVector.known_at == newest.c.known_at),
        )
        shared = select(LinkValue).where(LinkValue.value_hash.in_(hashes))
        own = select(LinkEdge).where(
            LinkEdge.value_hash.in_(hashes), LinkEdge.subject.in_(subjects)
        )
        with self._database.peek() as session:
            return (
                {
                    row.subject: Vector(row.known_at, row.digest, row.blob)
                    for row in session.scalars(vectors)
                },
                {
                    row.value_hash: LinkCount(row.value_hash, row.degree, row.bad, row.exempt)
                    for row in session.scalars(shared)
                },
                {
                    (row.value_hash, row.subject): row.bad_at is not None
                    for row in session.scalars(own)
                },
            )

    def close(self) -> None:
        """Close the connections that threads kept."""
        self._kept.close()


def _others(link: LinkCount, is_bad: bool | None) -> LinkCount:  # noqa: FBT001 -- as it was read
    """Take the subject itself out of a value's counters; None if it was not seen with the value."""
    if is_bad is None:
        return link
    return link._replace(degree=link.degree - 1, bad=link.bad - is_bad)


_QUESTION: Final[Any] = """
SELECT asked.subject, NULL::int, NULL::int, NULL::bool, newest.*
  FROM unnest(%b::text[]) AS asked (subject)
  CROSS JOIN LATERAL (
    SELECT known_at, digest, blob FROM feature_vector
     WHERE subject = asked.subject ORDER BY known_at DESC LIMIT 1
  ) AS newest
UNION ALL
SELECT value_hash, degree, bad, exempt, NULL, NULL, NULL
  FROM link_value WHERE value_hash = ANY(string_to_array(%s, ','))
UNION ALL
SELECT value_hash, NULL, (bad_at IS NOT NULL)::int, NULL, NULL, subject, NULL
  FROM unnest(string_to_array(%s, ','), string_to_array(%s, ',')) AS own (value_hash, subject)
  JOIN link_edge USING (value_hash, subject)
"""
