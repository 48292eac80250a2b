"""From a posted body to a value whose types are right, or one sentence on what is wrong.

Not here: what values mean (fault, limits).
"""

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from marketdata_pipeline.errors import BadInput

T = TypeVar("T")


def read(adapter: TypeAdapter[T], body: bytes, what: str) -> T:
    """The value of a JSON body; ``what`` names it in the sentence.

    Raises:
        BadInput: no JSON, an unknown field, a malformed value.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise BadInput(f"that is no {what}: {said}") from error
