"""What the frontends share: the transcript, feedback on sends, Ctrl+C and shutdown."""
