"""From draft to in force and back: cases, backtests, shadows, challengers, publication.

It works on strategies as documents of desk and on decisions as they are stored; it decides nothing
itself and knows no loan.
"""
