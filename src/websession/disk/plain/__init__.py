"""
What csrc has in C, in Python: a file here for each file of that name there.
"""
