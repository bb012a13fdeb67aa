"""HTTP without TLS, to what runs on this machine."""

from __future__ import annotations

import ssl

# httpx otherwise loads every certificate authority for each client, some 30 ms, for connections without TLS.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
