"""The money engine: what a loan owes, to the fen, from its terms and what happened to it.

It owns plans, allocation, replay, quotes and the cost of credit. It is pure: integers and Decimal
in, frozen values out. It must not know a database, a clock, a framework or the rest of the area:
whatever it needs comes in as an argument.
"""
