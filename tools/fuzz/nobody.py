"""A check for requests without a token: every response is 401."""

import schemathesis
from schemathesis import Case, CheckContext, Response


@schemathesis.check
def nothing_but_401(context: CheckContext, response: Response, case: Case) -> None:
    operations = case.operation.schema.raw_schema["paths"][case.operation.path]
    # Schemathesis also sends methods that are no operations, such as a browser's OPTIONS.
    if response.request.method.lower() in operations:
        assert response.status_code == 401, f"{response.status_code} without a token"  # noqa: PLR2004
