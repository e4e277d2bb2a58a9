"""
What every engine, every store and every site must do: tests to mix in.
"""
