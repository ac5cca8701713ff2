"""Evidence from outside: the clients of the sub-systems that the house asks.

It fetches and checks answers. It keeps none of them and decides nothing.
"""
