"""Names of files."""

import pytest

from lcrp.values.naming import safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("val/00034", "val-00034"),
        ("../a folder/b:c*?.jpg", "a-folder-b-c-.jpg"),
        ("backbone.ERBlock_4.0", "backbone.ERBlock_4.0"),
        ("写真/自転車", "写真-自転車"),
        ("", ""),
    ],
)
def test_names_are_safe_on_every_system(text: str, name: str) -> None:
    assert safe_name(text) == name
