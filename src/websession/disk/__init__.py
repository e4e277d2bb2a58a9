"""
Sessions as files of a directory: `DiskEngine` and what it is made of.

`native` and `plain` are twins: the same functions, in C and in Python.
"""
