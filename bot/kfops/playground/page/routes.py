"""The playground's pages."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter(include_in_schema=False)
