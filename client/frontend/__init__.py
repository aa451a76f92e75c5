"""What the three faces share: a transcript, feedback on sends, Ctrl+C, the end."""
