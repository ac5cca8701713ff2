"""A made-up book that looks like the trade: phone shops, small tickets, real kinds of lateness.

Nobody in it exists: phone numbers lie in a range that is not assigned, id numbers name no region.
It is for development, tests and benches; nothing in production imports it.
"""
