"""A customer's vector as bytes: exact values, coarse values, and why some are missing.

It does not fetch or store blobs. Serving one blob needs no NumPy, so that web processes never load
it; only what reads or writes many at once does. In the machine's byte order, which is little-endian
wherever we run, one after the other:

    16 bytes   `FENQ` and the first 12 bytes of the catalogue's digest
    8 × exact  float64, in the catalogue's order, NaN = missing
    4 × coarse float32, likewise
    bitmap     one bit per dimension in that same order (exact, then coarse), set = missing
    reasons    one byte per missing dimension: an `Absence`

    BlobRefused  422  written under another catalogue, cut off, or no blob at all
"""

import operator
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kernel.errors import Invalid
from risk.features.catalogue import Catalogue, Kind, Store
from risk.features.values import CLEAN, LIMIT, is_missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC: Final = b"FENQ"
_HEAD: Final = 16
_EXACT: Final = 8
_COARSE: Final = 4
_NO_REASONS: Final[Mapping[str, "Absence"]] = MappingProxyType({})


class BlobRefused(Invalid):
    """The bytes are no vector of this catalogue."""

    code = "blob-refused"


class Absence(IntEnum):
    """Why a value is missing."""

    NOT_COLLECTED = 1
    NO_HISTORY = 2
    SOURCE_FAILED = 3
    NOT_PERMITTED = 4
    ODD_VALUE = 5


class BlobCodec:
    """Writes and reads the blobs of one catalogue.

    Args:
        catalogue: Its digest goes into every blob; blobs of any other are refused.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.head: Final = _MAGIC + bytes.fromhex(catalogue.digest)[: _HEAD - len(_MAGIC)]
        self.exact: Final = catalogue.stored(Store.EXACT)
        self.coarse: Final = catalogue.stored(Store.COARSE)
        self.names: Final = self.exact + self.coarse
        self._kinds: Final = [catalogue.by_name[name].kind for name in self.names]
        self._coarse_at: Final = _HEAD + _EXACT * len(self.exact)
        self._bitmap_at: Final = self._coarse_at + _COARSE * len(self.coarse)
        self._reasons_at: Final = self._bitmap_at + (len(self.names) + 7) // 8

    def encode(
        self, values: Mapping[str, object], absences: Mapping[str, Absence] = _NO_REASONS
    ) -> bytes:
        """Write a vector.

        Args:
            values: By name; what is not named, or is no value of its kind, is missing.
            absences: Why a value is missing, where that is known.
        """
        pairs = zip(self.names, self._kinds, strict=True)
        vector = [_stored(kind, values.get(name)) for name, kind in pairs]
        gaps = [n for n, value in enumerate(vector) if is_missing(value)]
        default = {True: Absence.ODD_VALUE, False: Absence.NOT_COLLECTED}
        reasons = (
            absences.get(name, default[values.get(name) is not None])
            for name in map(self.names.__getitem__, gaps)
        )
        bitmap = sum(1 << n for n in gaps)
        split = len(self.exact)
        return b"".join(
            (
                self.head,
                array("d", vector[:split]).tobytes(),
                array("f", vector[split:]).tobytes(),
                bitmap.to_bytes(self._reasons_at - self._bitmap_at, "little"),
                bytes(reasons),
            )
        )

    def encode_table(
        self, exact: "NDArray[np.float64]", coarse: "NDArray[np.float32]"
    ) -> Iterator[bytes]:
        """Write the vectors of many customers, as a nightly build does.

        Args:
            exact: Of shape (n_customers, n_exact), columns as in `self.exact`, NaN = missing.
            coarse: Of shape (n_customers, n_coarse), columns as in `self.coarse`.

        Yields:
            Blobs in the order of the rows; whatever is missing or odd counts as not collected.
        """
        import numpy as np  # noqa: PLC0415 -- web processes never come here

        for row in range(len(exact)):
            doubles = np.where(np.abs(exact[row]) < LIMIT, exact[row], np.nan).astype("<f8")
            floats = np.where(np.abs(coarse[row]) < LIMIT, coarse[row], np.nan).astype("<f4")
            gaps = np.concatenate([np.isnan(doubles), np.isnan(floats)])
            yield b"".join(
                (
                    self.head,
                    doubles.tobytes(),
                    floats.tobytes(),
                    np.packbits(gaps, bitorder="little").tobytes(),
                    bytes([Absence.NOT_COLLECTED]) * int(gaps.sum()),
                )
            )

    def check(self, blob: bytes) -> None:
        """Make sure that a blob is whole and of this catalogue.

        Raises:
            BlobRefused: It is not.
        """
        if not self.owns(blob):
            raise BlobRefused("the vector was written under another catalogue or is no vector")
        if len(blob) != self._reasons_at + self._bitmap(blob).bit_count():
            raise BlobRefused("the vector is cut off or has bytes too many")

    def owns(self, blob: bytes) -> bool:
        """Say whether a blob was written under this catalogue and holds all values."""
        return blob[:_HEAD] == self.head and len(blob) >= self._reasons_at

    def decode(self, blob: bytes) -> dict[str, float]:
        """Read all values by name; NaN = missing.

        Raises:
            BlobRefused: See `check`.
        """
        self.check(blob)
        return dict(zip(self.names, Picker(self, self.names)(blob), strict=True))

    def absences(self, blob: bytes) -> dict[str, Absence]:
        """Read why values are missing, by name.

        Raises:
            BlobRefused: See `check`, or a reason is unknown.
        """
        self.check(blob)
        bitmap = self._bitmap(blob)
        gaps = [name for n, name in enumerate(self.names) if bitmap >> n & 1]
        try:
            reasons = [Absence(byte) for byte in blob[self._reasons_at :]]
        except ValueError as error:
            raise BlobRefused("the vector names an unknown reason") from error
        return dict(zip(gaps, reasons, strict=True))

    def views(self, blob: bytes) -> "tuple[memoryview[float], memoryview[float]]":
        """Look at the exact and the coarse values of an owned blob without copying them."""
        view = memoryview(blob)
        exact = view[_HEAD : self._coarse_at].cast("d")
        return exact, view[self._coarse_at : self._bitmap_at].cast("f")

    def columns(self, blobs: Sequence[bytes], names: Sequence[str]) -> "dict[str, NDArray[Any]]":
        """Read columns of many vectors at once.

        Returns:
            float64 arrays of shape (n_blobs,), by name; NaN = missing.

        Raises:
            BlobRefused: One of them is not of this catalogue.
        """
        import numpy as np  # noqa: PLC0415 -- web processes never come here

        if not all(map(self.owns, blobs)):
            raise BlobRefused("a vector was written under another catalogue or is no vector")
        joined = b"".join(blob[_HEAD : self._bitmap_at] for blob in blobs)
        layout = [("exact", "<f8", len(self.exact)), ("coarse", "<f4", len(self.coarse))]
        table = np.frombuffer(joined, dtype=np.dtype([(n, t, (k,)) for n, t, k in layout]))
        places = {name: ("exact", n) for n, name in enumerate(self.exact)}
        places |= {name: ("coarse", n) for n, name in enumerate(self.coarse)}
        found = {name: places[name] for name in names}
        return {name: table[part][:, n].astype(np.float64) for name, (part, n) in found.items()}

    def _bitmap(self, blob: bytes) -> int:
        return int.from_bytes(blob[self._bitmap_at : self._reasons_at], "little")


class Picker:
    """Reads a few named values out of a blob in about a microsecond.

    Args:
        codec: Whose blobs are read.
        names: What to pick; `self.names` tells the order of what comes out: exact, then coarse.

    Raises:
        KeyError: A name is not in the blob.
    """

    def __init__(self, codec: BlobCodec, names: Sequence[str]) -> None:
        exact = {name: n for n, name in enumerate(codec.exact)}
        coarse = {name: n for n, name in enumerate(codec.coarse)}
        wanted = set(names)
        if not wanted <= exact.keys() | coarse.keys():
            raise KeyError(*sorted(wanted - exact.keys() - coarse.keys()))
        self._codec = codec
        picked = [name for name in names if name in exact]
        rest = [name for name in names if name in coarse]
        self.names: Final = (*picked, *rest)
        self._exact = _getter([exact[name] for name in picked])
        self._coarse = _getter([coarse[name] for name in rest])

    def __call__(self, blob: bytes) -> tuple[float, ...]:
        """Pick the values in the order of `names`.

        Raises:
            BlobRefused: The blob is of another catalogue or too short.
        """
        if not self._codec.owns(blob):
            raise BlobRefused("the vector was written under another catalogue or is no vector")
        exact, coarse = self._codec.views(blob)
        return self._exact(exact) + self._coarse(coarse)


def _getter(positions: Sequence[int]) -> "Callable[[memoryview[float]], tuple[float, ...]]":
    if not positions:
        return lambda _: ()
    if len(positions) == 1:
        return lambda view: (view[positions[0]],)
    return operator.itemgetter(*positions)


def _stored(kind: Kind, raw: object) -> float:
    value = CLEAN[kind](raw)
    return value if isinstance(value, float) else float("nan")
