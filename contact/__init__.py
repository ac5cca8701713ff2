"""Reaching people: which address belongs to whom, and, from part (d) on, every message to them.

It must not know what a loan is; it reaches customers by their id.
"""
