"""Checks of the warehouse: a Great Expectations suite for each table, and one file for each domain check.

A domain check is a module of this folder with a `CHECK`; a table's suite derives from its schema.
"""
