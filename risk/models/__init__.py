"""Models as plain data, ready to serve: points scorecards and boosted trees.

It is pure and fits nothing. It must not know a strategy, nor where a model comes from.
"""
