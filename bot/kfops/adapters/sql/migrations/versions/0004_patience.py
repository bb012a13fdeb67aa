"""Since when an operation fails in a row, and how often for a defect. The release before goes on beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("operations", sa.Column("defects", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("operations", sa.Column("failing_since", sa.BigInteger()))
