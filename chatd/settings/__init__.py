"""Configuration of the daemon: the file, the data folder, TLS, addresses, logging.

``config`` reads and checks ``config.toml``; ``endpoints`` parses the addresses in it;
``data_folder`` makes, checks and locks the data folder; ``tls`` loads or makes the key
and the certificate; ``logs`` sets up logging.
"""
