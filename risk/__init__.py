"""Judgement: decides applications and grades accounts, and keeps why.

It receives facts and snapshots and returns decisions; it must not know a loan, a ledger or a
message, and never reads another area's tables.
"""
