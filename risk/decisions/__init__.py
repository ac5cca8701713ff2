"""The decision service: a request in, a decision out that is stored before it is answered.

It publishes strategies and holds them compiled; it knows no loan and no application's life.
"""
