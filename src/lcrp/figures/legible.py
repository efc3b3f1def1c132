"""Names as a figure can show them: on one line, and a number where no font draws them."""

from collections.abc import Iterator
from dataclasses import replace

from lcrp.figures.fonts import readable, undrawable
from lcrp.values.explanation import Explanation


def names_in(explanation: Explanation) -> list[str]:
    """All words of an explanation that may be of any script."""
    names = [concept.name for concept in explanation.concepts]
    return [*names, *_classes(explanation), explanation.title, explanation.source, explanation.layer]


def legible(explanation: Explanation) -> Explanation:
    """The same explanation with names that can be drawn, and stand in a line that runs from left to right.

    The explained class becomes '#' and its id where no font draws its name; of other names, whose ids are not known
    here, the characters become '?'.
    """
    known = {explanation.class_name: _class_name(explanation)}

    def name(text: str) -> str:
        return readable(known.get(text) or drawable(text))

    annotated = explanation.annotated
    return replace(
        explanation,
        title=drawable(explanation.title),
        source=drawable(explanation.source),
        layer=drawable(explanation.layer),
        class_name=name(explanation.class_name),
        explained=replace(explanation.explained, instead=name(explanation.explained.instead)),
        concepts=tuple(
            replace(
                concept,
                name=shown_name(concept.name),
                references=tuple(replace(one, class_name=name(one.class_name)) for one in concept.references),
            )
            for concept in explanation.concepts
        ),
        others=tuple(replace(other, class_name=name(other.class_name)) for other in explanation.others),
        runners_up=tuple((name(text), confidence) for text, confidence in explanation.runners_up),
        annotated=None if annotated is None else replace(annotated, class_name=name(annotated.class_name)),
    )


def shown_name(text: str) -> str:
    """A single name, likewise."""
    return readable(drawable(text))


def drawable(text: str) -> str:
    """Text on one line, with '?' for what no font draws."""
    line = " ".join(text.split())
    missing = undrawable(line)
    return "".join("?" if character in missing else character for character in line)


def _class_name(explanation: Explanation) -> str:
    name = " ".join(explanation.class_name.split())
    return f"#{explanation.explained.target.class_id}" if undrawable(name) or not name else name


def _classes(explanation: Explanation) -> Iterator[str]:
    yield from (explanation.class_name, explanation.explained.instead)
    yield from (one.class_name for concept in explanation.concepts for one in concept.references)
    yield from (other.class_name for other in explanation.others)
    yield from (name for name, _ in explanation.runners_up)
    if explanation.annotated is not None:
        yield explanation.annotated.class_name
