"""The feature pool's two forms on paper: the catalogue that lists every dimension, and the blob.

It is pure. It must not know where a value comes from or where a blob is kept.
"""
