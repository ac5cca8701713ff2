"""What the newest stored decisions were made on, as rows: a strategy is tried on them too.

It decides nothing. Of an application only what the deciding strategy read was kept.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from risk.decisions.engine import link_values
from risk.decisions.vectors import LinkCount
from risk.features.blob import BlobCodec, Picker
from risk.features.catalogue import Catalogue
from risk.tables import DecisionRecord, FeatureVector

_Key: TypeAlias = tuple[str, datetime]
_CHUNK = 200


def stored_rows(
    session: Session,
    *,
    products: Sequence[str],
    names: Sequence[str],
    catalogue: Catalogue,
    count: int,
) -> list[dict[str, Any]]:
    """Return the raw values of the newest decisions of some products, the newest first.

    Args:
        session: A read session.
        products: Whose decisions.
        names: What to read of vectors; those of another catalogue miss.
        catalogue: By which vectors are read.
        count: How many at most.
    """
    record = DecisionRecord
    texts = session.scalars(
        select(record.snapshot)
        .where(record.product.in_(products))
        .order_by(record.decided_at.desc(), record.id.desc())
        .limit(count)
    )
    seen = [json.loads(text) for text in texts]
    codec = BlobCodec(catalogue)
    pick = Picker(codec, [name for name in names if name in set(codec.names)])
    blobs = _blobs(session, [_key(each) for each in seen if each["vector"]])
    return [_row(each, codec, pick, blobs) for each in seen]


def _row(
    seen: Mapping[str, Any], codec: BlobCodec, pick: Picker, blobs: Mapping[_Key, bytes]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    blob = blobs.get(_key(seen)) if seen["vector"] else None
    if blob is not None and codec.owns(blob):
        row.update(zip(pick.names, pick(blob), strict=True))
    row.update(seen["application"])
    if seen["links"]:
        row.update(link_values(tuple(LinkCount(*count) for count in seen["link_counts"])))
    return row


def _blobs(session: Session, keys: Sequence[_Key]) -> dict[_Key, bytes]:
    vector, found = FeatureVector, {}
    for start in range(0, len(keys), _CHUNK):
        rows = session.execute(
            select(vector.subject, vector.known_at, vector.blob).where(
                tuple_(vector.subject, vector.known_at).in_(keys[start : start + _CHUNK])
            )
        )
        found.update({(row.subject, row.known_at): row.blob for row in rows})
    return found


def _key(seen: Mapping[str, Any]) -> _Key:
    return seen["subject"], datetime.fromisoformat(seen["vector"]["known_at"])
