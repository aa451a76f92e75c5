"""Plain mode: nothing but lines, for screen readers and pipes."""
