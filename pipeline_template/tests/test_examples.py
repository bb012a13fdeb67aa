import pytest
from trial import settings_of, trained


def test_a_trial_trains_with_the_settings_that_katib_gives():
    settings = settings_of(["--learning_rate=0.1", "--num_leaves=7.0", "--n_estimators=20"])
    assert settings == {"learning_rate": 0.1, "num_leaves": 7, "n_estimators": 20}
    pipeline, found, rows = trained("data/churn.csv", settings)
    assert found["roc_auc"] > 0.8
    assert set(pipeline.predict(rows.head(20))) <= {"Yes", "No"}


def test_what_is_no_setting_is_told():
    with pytest.raises(SystemExit, match="expected --SETTING=NUMBER"):
        settings_of(["learning_rate"])
