"""The only place that knows the inside of prompt_toolkit: layout and drawing."""
