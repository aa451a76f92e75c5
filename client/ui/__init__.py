"""The full-screen face: what is drawn, which keys do what, and how it looks."""
