"""What is asked of every picture, and how it is answered."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lcrp.api.door import computing
from lcrp.api.explainers import as_it_stands
from lcrp.api.explanation import Explanation
from lcrp.api.pictures import PictureList, Shown, given_picture, shown_pictures
from lcrp.api.statistics import Statistics
from lcrp.api.targets import target_boxes
from lcrp.attribution.layers import layer_names
from lcrp.data.tiles import tiled
from lcrp.decisions.auto import chosen_layer, is_auto, undecided, with_chosen
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explained import explained
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.references import ReferenceSource, reference_source
from lcrp.decisions.selection import Selection
from lcrp.decisions.tiled import explained_tiles
from lcrp.errors import StoreError, TargetError
from lcrp.runs.run import Run
from lcrp.stages.settled import choice as choice_of
from lcrp.stages.settled import tell
from lcrp.storage.location import differences
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.explanation import Explanation as Explained
from lcrp.values.sample import Sample

log = logging.getLogger(__name__)

Explanations = tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every picture.

    Attributes:
        explainer: the network; `layer` is the one whose concepts are shown.
        selection: which decisions.
        choice: which concepts.
        references: where reference samples come from; None shows none.
        title: of the explanations.
        bgr: whether arrays hold blue, green, red.
        run: tells how far it is.
    """

    explainer: Explainer
    selection: Selection
    choice: ConceptChoice
    references: ReferenceSource | None
    title: str
    bgr: bool
    run: Run

    def shown(self, image: object, name: str) -> Shown:
        """A picture as the network is shown it."""
        picture, names = given_picture(image, bgr=self.bgr, name=name), self.explainer.class_names
        transform = self.selection.placing(self.explainer.transform)
        (read,) = shown_pictures(tiled(lambda placing: PictureList([picture], placing, names), transform))
        return read()

    def selections(self, target: object) -> list[Selection]:
        """Which decisions: one selection for every box of `target`."""
        if target is None:
            return [self.selection]
        return [replace(self.selection, box=box) for box in target_boxes(target)]

    def settled(self, samples: Iterable[Sample]) -> "Asked":
        """The same, 'auto' being the layer that the first decisions about these samples choose, if there are any."""
        if not is_auto(self.explainer, [None]):
            return self
        task = self.selection.thresholds.of(self.explainer.task)
        with computing(self.explainer.precision):
            chosen = chosen_layer(replace(self.explainer, task=task), samples, start_counting=self.run.progress)
        if chosen is None:
            return self
        tell(chosen)
        explainer = with_chosen(self.explainer, chosen)
        return replace(self, explainer=explainer, choice=replace(self.choice, layer=explainer.layer))

    def answer(self, picture: Shown, selections: Sequence[Selection]) -> Explanations:
        """Explanations of the decisions about a picture; before and after it the network is as it was."""
        choice = self.choice
        if is_auto(self.explainer, [None]):  # nothing was decided that could choose: any layer tells what is there
            choice = replace(choice, layer=layer_names(self.explainer.network)[-1])
        with computing(self.explainer.precision):
            found = [one for selection in selections for one in self._explained(picture, selection, choice)]
        return tuple(Explanation(one, num_references=self.choice.n_references) for one in found)

    def _explained(self, picture: Shown, selection: Selection, choice: ConceptChoice) -> list[Explained]:
        """Explanations of the decisions about a picture or its tiles, without the network's precision set."""
        explain = (
            partial(explained_tiles, self.explainer, picture)
            if isinstance(picture, list)
            else partial(explained, self.explainer, picture)
        )
        return explain(
            selection, choice, title=self.title, references=self.references, start_counting=self.run.progress
        )

    def answer_if_there(self, picture: Shown, selections: Sequence[Selection]) -> Explanations:
        """The same; nothing where the decision asked for is not there."""
        try:
            return self.answer(picture, selections)
        except TargetError as error:
            log.info("%s", error)
            return ()


def chosen_by(statistics: Statistics, run: Run) -> ChosenLayer:
    """The layer that 'auto' stands for in the data of statistics.

    Raises:
        LayerError: nothing is decided there.
    """
    subject = statistics.subject
    chosen = subject.explainer.chosen or statistics.value.chosen
    if chosen is None:
        with computing(subject.explainer.precision):
            chosen = choice_of(subject, statistics.settings, run.progress)
    if chosen is None:
        raise undecided(subject.explainer, subject.dataset.name)
    tell(chosen)
    return chosen


def references_of(statistics: Statistics | None, explainer: Explainer, choice: ConceptChoice) -> ReferenceSource | None:
    """The ranking of the layer's concepts; None without statistics.

    Raises:
        StoreError: the statistics are those of another network.
    """
    if statistics is None:
        return None
    subject, settings = statistics.subject, statistics.settings
    differing = differences(subject.explainer.identity(), as_it_stands(explainer).identity())
    if differing:
        raise StoreError(f"the statistics are those of another network: {'; '.join(differing)}")
    return reference_source(
        statistics.path, subject.dataset, explainer.class_names, choice, batch_size=settings.batch_size
    )
