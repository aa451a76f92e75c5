"""The configuration file ``client.toml``: reading, checking, writing the default."""
