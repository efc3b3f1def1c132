"""The words of a figure of a missed object: why it was missed, which concepts are weak, and what their return does."""

import re
from collections.abc import Sequence
from math import isnan

from lcrp.values.explanation import ConceptExplanation, Explanation
from lcrp.values.missed import Lacking, Mechanism, Returned
from lcrp.values.shares import MINUS, percent, with_sign

FEW = 2  # found objects, which tell little of what is usual
LEAST_FALL = 0.05  # share of relevance that lies on something where objects are found, and not here
Dashes = tuple[float, tuple[float, ...]]

BEST_BOX: Dashes = (0.0, (4.0, 2.0))  # of outlines
PREFERRED: Dashes = (0.0, (1.0, 1.5))


def label(explanation: Explanation) -> str:
    """What stands at the object."""
    return f"missed {explanation.class_name}"


def headline(explanation: Explanation, lacking: Lacking) -> str:
    """Why the object was missed."""
    name, score = explanation.class_name, number(lacking.score)
    miss = lacking.miss
    candidate, neighbour = miss.candidate, miss.neighbour
    match miss.mechanism:
        case Mechanism.BELOW_THRESHOLD:
            score, needed = apart(lacking.score, lacking.threshold)
            enough = "too little" if isnan(lacking.threshold) else f"and more than {needed} is needed"
            why = f"its best box scores {score}, {enough}"
        case Mechanism.NEIGHBOUR if neighbour is not None:
            other = f"({number(neighbour.score)}, IoU {neighbour.overlap:.2f})"
            why = f"its box ({score}) was dropped for another one {other}"
        case Mechanism.NEIGHBOUR:
            why = f"its box ({score}) fits, and there were too many"
        case Mechanism.OTHER_CLASS if candidate is not None:
            why = f"taken for {lacking.taken_for} ({number(candidate.score)}); as {name} its best box scores {score}"
        case Mechanism.BOX_OFF if candidate is not None:
            why = f"its best box ({score}) is off: IoU {candidate.overlap:.2f}"
        case _:
            why = f"no box of its class fits; the best scores {score}"
    return f"Missed {name} — {why}"


def note(lacking: Lacking, class_name: str) -> str:
    """What the return of absent concepts does, and on what less of the relevance lies."""
    return ". ".join([proof(lacking, class_name), *falls(lacking, class_name), layer_note(lacking)])


def proof(lacking: Lacking, class_name: str) -> str:
    """What giving back activation does, in a sentence."""
    if not lacking.num_found:
        return f"No {class_name} is found by the same layers with which it could be compared"
    known = {one.num_concepts: one for one in lacking.returned}
    if not lacking.concepts or 1 not in known:
        return "No concept would add to it, as far as a found one tells"
    first = known[1]
    what = f"concept {lacking.concepts[0].concept}"
    told = f"With {what} as in a found {class_name} it {_outcome(first, lacking.threshold)}"
    if first.num_random:
        told += f"; with random concepts changed as much in {first.num_random_found} of {first.num_random} tries"
    if lacking.num_found <= FEW:
        told += f" (only {lacking.num_found} found object{'s' * (lacking.num_found > 1)} to compare with)"
    if not first.is_found:
        more = [one for count, one in sorted(known.items(), key=lambda pair: pair[0] or 1_000) if count != 1]
        found = next((one for one in more if one.is_found), None)
        if found is None:
            return f"{told}; nor with all concepts of the layer"
        which = f"{found.num_concepts} concepts" if found.num_concepts else "all concepts of the layer"
        told += f"; with {which} it {_outcome(found, lacking.threshold)}"
    return told


def falls(lacking: Lacking, class_name: str) -> list[str]:
    """On what less of the relevance lies than where objects are found, if that is much; at most one."""
    for name, found, here in lacking.things:
        if isnan(here) and found >= LEAST_FALL:
            there = f"Where {one_of(class_name)} is found {percent(found)} of the relevance"
            return [f"{there} lies on {name}: there is none here"]
        if not isnan(here) and found - here >= LEAST_FALL:
            there = f"where {one_of(class_name)} is found {percent(found)}"
            return [f"On {name} lies {percent(here)} of the relevance, {there}"]
    return []


def layer_note(lacking: Lacking) -> str:
    """Of which layer concepts are told, and what all of them add to the logit."""
    told = f"Concepts are of layer {lacking.layer}"
    if isnan(lacking.layer_share):
        return told
    added = signed(lacking.layer_share * abs(lacking.logit))
    return f"{told}, which adds {added} to a logit of {signed(lacking.logit)}: the rest are biases and other paths"


def concept_title(concept: ConceptExplanation, class_name: str) -> tuple[str, str]:
    """Name of a concept, and what it does here and where objects are found."""
    absent = concept.absent
    if absent is None:
        sign = "speaks most for it" if concept.share > 0 else "speaks most against it"
        return concept.title, f"{sign}: {percent(abs(concept.share))} of the layer's relevance"
    return concept.title, (
        f"adds {signed(absent.here)} to the logit here, {signed(absent.found)} where {one_of(class_name)} is found; "
        f"given back: {signed(absent.gain)}"
    )


def concepts_heading(concepts: Sequence[ConceptExplanation], class_name: str) -> str:
    """What the rows are."""
    if not any(one.absent for one in concepts):
        return "What speaks for it, and against it"
    return f"What is weak here, and carries {one_of(class_name)} where one is found"


def references_heading(class_name: str) -> str:
    """What the crops are."""
    return f"Where {one_of(class_name)} is found, and it counts most"


def references_note() -> str:
    """How to read the crops."""
    return "bright, within the white line: what the concept saw; below: class, and its share of the relevance there"


def outlines(lacking: Lacking) -> list[tuple[str, Dashes]]:
    """What dashed outlines are, each with its dashes."""
    entries = [(f"its best box {number(lacking.score)}", BEST_BOX)]
    if lacking.miss.neighbour is not None:
        entries.append((f"preferred {number(lacking.miss.neighbour.score)}", PREFERRED))
    return entries


def number(score: float) -> str:
    """A score with two decimals, or as few digits as tell it from nothing."""
    return f"{score:.2f}" if score >= 0.005 or not score else f"{score:.1g}"


def apart(score: float, other: float) -> tuple[str, str]:
    """Two scores, with as many digits as tell them apart, at least two and at most six."""
    for digits in range(2, 7):
        told = f"{score:.{digits}f}", f"{other:.{digits}f}"
        if told[0] != told[1] or score == other:
            break
    return (number(score) if digits == 2 else told[0]), (number(other) if digits == 2 else told[1])


def one_of(class_name: str) -> str:
    """A class's name with its indefinite article."""
    return f"{'an' if re.match('(?i)(?!uni|use|one|eu)[aeiou]', class_name) else 'a'} {class_name}"


def signed(value: float) -> str:
    """A change of a logit."""
    return with_sign(value).replace("-", MINUS)


def _outcome(one: Returned, threshold: float) -> str:
    if one.is_found or isnan(one.score):
        return "is not found" if not one.is_found else f"is found ({number(one.score)})"
    is_enough = one.score > threshold
    return f"is not found ({number(one.score)}{': enough, but another box is kept or none fits' if is_enough else ''})"
