"""Line mode: a prompt, and lines above it in the terminal's own scrollback."""
