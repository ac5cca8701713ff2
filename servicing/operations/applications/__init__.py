"""Applications: submitted, asked about outside, decided by machine or person, booked or not.

The judgement itself is handed in; what is here stores it and moves the states.
"""
