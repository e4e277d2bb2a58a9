"""What every engine and every store must do: classes of tests to mix in."""
