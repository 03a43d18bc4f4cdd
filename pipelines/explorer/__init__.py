"""The explorer: pages over the published file, for people who do not write SQL, and for those who do.

One page a file of `pages/`, found by the listing. A page asks the published file alone, and shows
the SQL of every figure.
"""
