"""The partner API under /api/v1: what programs of others may read of the book and do to it.

What it owns: the shapes of requests and answers, who may call what, and the OpenAPI document. What
it must not know: how money is computed (servicing.engine) or what a key is (kernel.api_keys).

Rules that hold everywhere
    - Money is an integer count of fen, in members that end in `_fen`; rates are decimal texts.
    - Dates are business dates in Asia/Shanghai, instants are in UTC with their offset.
    - A member or parameter that means nothing is refused by its name, never ignored.
    - What a caller may not see is 404, as if it were not there.
    - A POST that changes the book needs an Idempotency-Key; only what succeeded is kept under it.

Resources: tokens, customers (with lines), products, applications, quotes, loans, events, payments,
statements, exports, webhooks. `door` lets callers in, `site` puts everything on the app.
"""
