"""Documents about one loan for its borrower: repayment plan, statement of account, certificate.

What it owns: what each document says, how it looks on paper (`paper/`), and its file formats.
What it must not know: who asks, and whether they may; the pages that hand it out decide that. A
document is made anew from the book whenever it is asked for and never kept.
"""
