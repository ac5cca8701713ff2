"""Fitting cards and trees on tables of known outcomes, and judging them out of sample.

For the command line and jobs only: scikit-learn is loaded here, and web processes never come here.
It publishes nothing; what it fits are documents of `risk.models`.
"""
