"""Plain mode: the frontend for screen readers and pipes, nothing but lines."""
