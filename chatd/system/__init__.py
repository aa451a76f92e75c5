"""Operating system helpers that daemon and client share; the lowest layer.

``atomic_file`` replaces a file as a whole, so that a crash leaves the old or the new;
``file_lock`` locks between processes; ``toml_file`` reads configuration; ``tasks`` owns
tasks.
"""
