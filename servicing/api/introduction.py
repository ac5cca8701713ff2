"""What the page on the API says before its operations, and in which order they stand."""

from typing import Any, Final

DESCRIPTION: Final = """\
Bring customers, apply for them, book what was approved, post money that you collected, and hear
what happens. `docs/api.md` walks through a purchase from start to end with `curl`.

**Who calls.** A key says which partner calls and what it may. Send it as
`Authorization: Bearer fq_…`, or exchange it at `POST /api/v1/token` (OAuth 2.0 client credentials)
for a token of fifteen minutes that can do less. Below each operation `Authorize` names the scope
that it needs. A partner sees the customers it brought and what came through it; all else is 404.

**Money** is an integer count of fen, in members that end in `_fen`. Rates are decimal texts. Dates
are business dates in Asia/Shanghai, instants carry their offset.

**Once.** Every POST that changes the book takes an `Idempotency-Key` of yours, one for each
intention. A repeat gets the first answer and `Idempotency-Replayed: true`; another payload under
the same key is 409, and so is a repeat while the first is at work, with `Retry-After`.

**Looked at first.** Whatever changes a loan has a preview that shows the plan before and after.
`preview` of its answer goes into the request that lets it happen, which is refused if the loan has
changed since. Money that arrived is a fact, and is posted at once.

**Refusals** are problem details (RFC 9457) with a stable `code`; each operation lists the codes
that can come.

**Limits.** A key is served so many requests a minute (`RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset`, in seconds, of every answer say how many are left), exports 60 a minute for each
partner, and a partner may let so much money move at once and in a day (`GET /api/v1/limits`).
"""

TAGS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "Tokens", "description": "Exchange a key for a token that lives for minutes."},
    {"name": "Customers", "description": "Whom the partner brought, masked, and their lines."},
    {"name": "Products", "description": "What is on offer today."},
    {"name": "Quotes", "description": "What something would cost, by the code that posts it."},
    {"name": "Applications", "description": "Apply, hear what was decided and why, and book."},
    {"name": "Loans", "description": "A loan as of any day, as known on any day."},
    {"name": "Events", "description": "What happened to a loan, and letting something happen."},
    {"name": "Payments", "description": "What arrived through WeChat Pay, and goes back."},
    {"name": "Statements", "description": "What was owed, fell due and was paid on some days."},
    {"name": "Exports", "description": "The book page by page, as NDJSON, CSV or a workbook."},
    {"name": "Webhooks", "description": "News, pushed and signed, or read."},
)
