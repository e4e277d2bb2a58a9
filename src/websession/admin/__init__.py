"""
What only commands use: looking at a store by handles, checking it, copying
sessions, measuring.
"""
