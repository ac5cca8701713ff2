"""The strategy language: read and checked, explained, compiled, run on one row or on a million.

It is pure. It must not know where rows, lists and scores come from, who publishes, or what a loan
is.
"""
