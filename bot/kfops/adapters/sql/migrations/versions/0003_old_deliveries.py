"""Deliveries by their age, so that old ones can be forgotten. A replica of the release before does not notice."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("ix_deliveries_received", "deliveries", ["received_at"], unique=False)
