"""Ids in annotation files."""

Id = int | str


def as_id(value: object, what: str) -> Id:
    """An id of a file: a whole number or a text; a text of digits is the number.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and str(int(value)) == value else value
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{what} id is neither a whole number nor a text")
    return value
