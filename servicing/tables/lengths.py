"""How long texts of a kind may be, in signs."""

from typing import Final

CODE: Final = 32
PARTNER: Final = 24
REFERENCE: Final = 64
LABEL: Final = 120
INDEX: Final = 40
HASH: Final = 64
KEY: Final = 128
MONTH: Final = 7
REASON: Final = 200
