"""What frontends share: ``runtime``, transcript, feedback on sends, Ctrl+C, the end."""
