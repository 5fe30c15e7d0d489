"""Which tracker the profile `aws` asks for, as its variables say, without asking anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.errors import ProfileError
from mlplatform.platform.connections import tracking
from mlplatform.ports.tracking import Approving, SelfHosted, Tracking
from mlplatform.spec.home import Home
from mlplatform.spec.profile import load_profile

PROFILES = Path(__file__).parents[2] / "profiles"
ARN = "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/ml"
IMAGE = {"MLPLATFORM_PACKAGES_IMAGE": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/serve:1"}


def _tracking(folder: Path, **variables: str) -> Tracking:
    profile = load_profile({"MLPLATFORM_PROFILE": "aws", **variables}, [PROFILES])
    found = profile.connection("tracking", port="tracking")
    store = DirectoryObjectStore(folder / "objects")
    return tracking(found, Home(folder), profile.addresses, lambda: EnvironmentSecrets({}), lambda: store)


@pytest.mark.parametrize(
    ("variables", "kind", "own_pages", "people"),
    [
        ({}, "MlflowTracking", True, False),
        ({"MLPLATFORM_MLFLOW": "https://mlflow.example.org"}, "MlflowServerTracking", False, False),
        ({"MLPLATFORM_MLFLOW": ARN}, "MlflowServerTracking", False, False),
        (IMAGE, "HostedPackagedTracking", True, True),
        ({**IMAGE, "MLPLATFORM_MLFLOW": ARN, "MLPLATFORM_APPROVAL": "true"}, "PackagedTracking", False, True),
    ],
)
def test_the_variables_say_which(
    tmp_path: Path, variables: dict[str, str], kind: str, own_pages: bool, people: bool
) -> None:
    made = _tracking(tmp_path, **variables)
    assert type(made).__name__ == kind
    assert (isinstance(made, SelfHosted), isinstance(made, Approving)) == (own_pages, people)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MLPLATFORM_APPROVAL": "true"}, "approval: expected an image beside it"),
        ({"MLPLATFORM_MLFLOW": "mlflow.example.org"}, r"server is MLPLATFORM_MLFLOW"),
    ],
)
def test_variables_that_do_not_fit_are_the_profiles_error(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    with pytest.raises(ProfileError, match=rf"Settings of a tracking connection \(mlflow\) are wrong: [\s\S]*{says}"):
        _tracking(tmp_path, **variables)
