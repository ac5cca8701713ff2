"""What every area stands on: money, clock, ids, database, settings, errors, outbox, jobs, crypto.

It owns no business word: nothing here knows what a loan, a borrower or a reminder is.
"""
