"""Layout and drawing on prompt_toolkit; the only code that knows its internals."""
