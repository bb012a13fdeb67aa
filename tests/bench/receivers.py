"""What receives webhooks in the bench, each as a process of its own.

python -m tests.bench.receivers kfops PORT DATABASE_URL [without-workers]   the bot's door, ledger and workers
python -m tests.bench.receivers bare PORT   a FastAPI route that checks the signature and answers
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fastapi import FastAPI, Request, Response

from kfops.webhook.signature import is_signed
from tests.bench.deliveries import SECRET


def kfops(port: int, url: str, *, is_working: bool) -> None:
    from kfops.adapters.sql.ledger import SqlLedger
    from kfops.adapters.system_clock import SystemClock
    from kfops.webhook.app import create_app
    from tests.bench.cheap_world import workers

    ledger = SqlLedger(url)
    ledger.migrate()
    team = workers(ledger, Path(tempfile.mkdtemp()))
    if is_working:
        team.start()
    app = create_app(
        ledger,
        secrets=[SECRET],
        clock=SystemClock(),
        is_allowed=lambda _: True,
        readiness=list,
        poke=team.poke,
    )
    _serve(app, port)
    team.stop()


def bare(port: int) -> None:
    app = FastAPI()

    @app.post("/webhooks/github")
    async def github(request: Request) -> Response:
        signed = is_signed(await request.body(), request.headers.get("x-hub-signature-256"), [SECRET])
        return Response(status_code=202 if signed else 401)

    _serve(app, port)


def _serve(app: object, port: int) -> None:
    """As `kfops serve` does."""
    import uvicorn

    from kfops.webhook.pace import steady

    steady()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")  # type: ignore[arg-type]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bare", port]:
            bare(int(port))
        case ["kfops", port, url, *more]:
            kfops(int(port), url, is_working=more != ["without-workers"])
