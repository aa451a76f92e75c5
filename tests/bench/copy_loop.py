"""The baseline of downloads: a server that does nothing but copy a file.

    python -m tests.bench.copy_loop PORT FILE [CERTIFICATE KEY]

It runs on asyncio with uvloop as the daemon does, sends the file to every client, and
hangs up. There is no login, no ticket, no choice of file.
"""

import asyncio
import ssl
import sys
from pathlib import Path

import uvloop

CHUNK_BYTES = 262_144


async def _serve(port: int, path: Path, context: ssl.SSLContext | None) -> None:
    async def copy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(copy, "127.0.0.1", port, ssl=context)
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    port, path, *pair = sys.argv[1:]
    context = None
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
    uvloop.run(_serve(int(port), Path(path), context))


if __name__ == "__main__":
    main()
