"""How much YAML holds, which can repeat values cheaply."""


def num_values(value: object, limit: int) -> int:
    """How many values are nested in a value, itself included, counted up to a limit."""
    count = 1
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        if count >= limit:
            break
        count += num_values(member, limit - count)
    return count
