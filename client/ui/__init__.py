"""The full-screen frontend: its layout, key bindings and drawing."""
