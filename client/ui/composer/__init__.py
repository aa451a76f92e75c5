"""The composer: what is typed, pasted and completed, and kept until it is sent."""
