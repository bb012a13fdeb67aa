from pathlib import Path

import pandas as pd
import pytest

from data import read


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return read(str(Path(__file__).parents[1] / "data" / "churn.csv"))
