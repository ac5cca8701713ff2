"""The system of record: customers, applications, lines, loans, the ledger, holds, close of day.

It owns what a borrower owes and why, to the fen, and answers every question about it. It must not
know how people are reached (contact), what is said to them (bot, dunning), or how a judgement is
made (risk): it hands over facts and stores what comes back.
"""
