"""A check for requests without a token: whatever is asked for, the answer is 401."""

import schemathesis
from schemathesis import Case, CheckContext, Response


@schemathesis.check
def nothing_but_401(context: CheckContext, response: Response, case: Case) -> None:
    operations = case.operation.schema.raw_schema["paths"][case.operation.path]
    # The rest, which is asked too, are no operations: a browser's OPTIONS, and methods that are not there.
    if response.request.method.lower() in operations:
        assert response.status_code == 401, f"answered {response.status_code} to nobody"  # noqa: PLR2004
