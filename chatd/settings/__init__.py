"""What the operator decides, read once at the start of the daemon.

``config`` reads ``config.toml``; ``endpoints`` parses the addresses in it;
``data_folder`` makes, checks and locks the data folder; ``tls`` loads or makes the key
and the certificate; ``logs`` says what a log line looks like.
"""
