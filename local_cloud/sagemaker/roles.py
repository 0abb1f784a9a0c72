"""Sessions of the roles that SageMaker works under."""

from __future__ import annotations

from local_cloud.engine_services import IssueSession
from local_cloud.sagemaker.errors import invalid

PRINCIPAL = "sagemaker.amazonaws.com"


class Roles:
    """Assumes roles as SageMaker does when a request names one."""

    def __init__(self, issue_session: IssueSession) -> None:
        self._issue_session = issue_session

    def session(self, role_arn: str, source_arn: str) -> dict[str, str]:
        """Return the environment of a session of a role.

        Parameters
        ----------
        role_arn
            The role.
        source_arn
            The pipeline execution, job or model that it is for.

        Raises
        ------
        ServiceError
            SageMaker may not assume the role.
        """
        try:
            return self._issue_session(role_arn, PRINCIPAL, "SageMaker", source_arn)
        except PermissionError as error:
            raise invalid(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{PRINCIPAL}' to assume the role. ({error})"
            ) from None
