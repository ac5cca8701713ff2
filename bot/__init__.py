"""The WeChat assistant: it understands a borrower's message and answers from servicing.

It must not compute money: every amount it says is read from a servicing query.
"""
