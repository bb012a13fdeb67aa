"""Where the bot keeps what must last: the ledger, models, data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfops.adapters.sql.ledger import SqlLedger
from kfops.bootstrap.problem import SettingsProblem
from kfops.ports.errors import Refused, Unavailable

if TYPE_CHECKING:
    from kfops.adapters.s3.bucket import Bucket
    from kfops.ports.data import DataFiles
    from kfops.ports.storage import ModelStore
    from kfops.settings import Settings


def ledger(settings: Settings) -> SqlLedger:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        made = SqlLedger(settings.ledger_url)
        made.migrate()
    except ValueError as error:
        raise SettingsProblem(f"KFOPS_DATABASE_URL: {error}") from error
    except Unavailable as error:
        raise SettingsProblem(f"{error}. Start the database, or mend KFOPS_DATABASE_URL") from error
    return made


def store(settings: Settings) -> ModelStore:
    from kfops.adapters.local.store import Store

    kept = Store(settings.data_dir / "models")
    if settings.storage == "local":
        return kept
    from kfops.adapters.s3.models import S3ModelStore

    return S3ModelStore(bucket(settings), kept, settings.data_dir / "scratch")


def bucket(settings: Settings) -> Bucket:
    from kfops.adapters.s3.bucket import Bucket

    try:
        return Bucket(settings.s3_address, endpoint=settings.s3_endpoint)
    except Refused as error:
        raise SettingsProblem(f"KFOPS_S3_ADDRESS: {error}") from error


def data_files(settings: Settings) -> DataFiles | None:
    if settings.storage == "local":
        return None
    from kfops.adapters.s3.data import S3DataFiles

    return S3DataFiles(settings.s3_endpoint)
