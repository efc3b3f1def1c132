"""One decision, explained: relevance of pixels and concepts, in numbers that a figure shows.

Axes: B batch (one picture), C concept, H W picture, h w feature map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from lcrp.attribution.concepts import activation_scores, relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.sides import SIDES
from lcrp.attribution.task import Prediction, Task
from lcrp.attribution.trace import Trace
from lcrp.decisions.beside import annotated, by_confidence, other_decisions, runners_up
from lcrp.decisions.concept_choice import ConceptChoice, top_concepts
from lcrp.decisions.concept_maps import concept_maps
from lcrp.decisions.selection import Selection, chosen_targets, class_id_of
from lcrp.decisions.unseen import explaining_placing
from lcrp.decisions.weaker import with_best
from lcrp.errors import TargetError
from lcrp.evidence.localisation import shares
from lcrp.values.attribution import Attribution
from lcrp.values.explanation import ConceptExplanation, Explanation, Mask
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

Heatmap = npt.NDArray[np.floating]
Content = tuple[int, int, int, int]

_NOT_MEASURED = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One picture after its forward pass.

    Attributes:
        sample: the picture.
        trace: of the pass.
        prediction: what is decided about the picture.
        layer: whose concepts are shown.
        data_names: as `explained` takes them.
    """

    sample: Sample
    trace: Trace
    prediction: Prediction
    layer: str
    data_names: Sequence[str] | None


def explained_decisions(
    attributor: Attributor,
    sample: Sample,
    selection: Selection,
    choice: ConceptChoice,
    data_names: Sequence[str] | None = None,
) -> list[Explanation]:
    """Explanations of the selected decisions of a picture, without references and title.

    Args:
        attributor: within its context and recording the layer.
        sample: the picture.
        selection: which decisions.
        choice: which concepts; `choice.layer` must be set.
        data_names: as `explained` takes them.

    Raises:
        TargetError: the decisions asked for are not there.
        LayerError: the layer has no such concept.
    """
    assert choice.layer is not None
    class_id = class_id_of(selection.class_name, attributor.task.class_names)
    trace = attributor.forward(sample.image[None])
    prediction = attributor.task.predictions(trace.output)[0]
    view = View(sample=sample, trace=trace, prediction=prediction, layer=choice.layer, data_names=data_names)
    try:
        chosen = chosen_targets(attributor.task, prediction, sample, selection, class_id)
    except TargetError as error:
        is_placed = selection.box is not None
        better = with_best(error, attributor.task, trace.output, class_id, is_placed=is_placed)
        better = explaining_placing(better, sample.geometry)
        if better is error:
            raise
        raise better from error
    return [explanation_of(attributor, view, one, choice) for one in chosen]


def outside_share(heatmap: Heatmap, mask: Mask, content: Content) -> float:
    """Share of the positive relevance within the picture that lies outside the object; 0 if there is none.

    sum_i max(R_i, 0) (1 - M_i) / sum_i max(R_i, 0) over the pixels i of the content (Dreyer et al. 2023, the context
    score of section 4.3, for one sample).

    Args:
        heatmap: [H, W].
        mask: [H, W] the object.
        content: (top, left, bottom, right) of the picture in the input.
    """
    top, left, bottom, right = content
    (share,) = shares(heatmap[top:bottom, left:right], ~mask[None, top:bottom, left:right])
    return 0.0 if np.isnan(share) else float(share)


def explanation_of(
    attributor: Attributor,
    view: View,
    explained: ExplainedTarget,
    choice: ConceptChoice,
    *,
    weak: Prediction | None = None,
    mask: Mask | None = None,
) -> Explanation:
    """A decision, or what might have been one, explained without references and title.

    Args:
        attributor: within its context and recording the layer.
        view: of the picture.
        explained: the decision.
        choice: which concepts.
        weak: holds it, where it is none of the decisions about the picture.
        mask: [H, W] the object, where it is not the decision's own.
    """
    attribution = view.trace.explain([explained])
    explained = replace(explained, is_linearised=view.trace.is_linearised)
    own = view.prediction if weak is None else weak
    scores = _scores(attribution, view.layer, choice)
    shown = top_concepts(scores, choice, view.layer, is_contrast=bool(explained.instead) or explained.read in SIDES)
    content = view.sample.geometry.content()
    height, width = view.sample.image.shape[-2:]
    if mask is None:
        mask = np.asarray(attributor.task.object_mask(own, explained, (height, width)).cpu().numpy())
    heatmap = _array(attribution.heatmap[0])
    top, left, bottom, right = content
    return Explanation(
        title="",
        source=view.sample.key,
        mode=choice.mode,
        layer=view.layer,
        explained=explained,
        class_name=attributor.task.class_names[explained.target.class_id],
        picture=view.sample.image.permute(1, 2, 0).numpy(),
        geometry=view.sample.geometry,
        mask=mask,
        heatmap=heatmap,
        outside=outside_share(heatmap, mask, content),
        outside_area=float(1.0 - mask[top:bottom, left:right].mean()),
        rank=_rank(attributor.task, view, explained) if weak is None else 0,
        layer_share=_NOT_MEASURED if explained.is_linearised else _layer_share(attribution, view.layer, choice),
        num_concepts=len(scores),
        concepts=tuple(
            ConceptExplanation(
                concept=concept,
                share=float(scores[concept]),
                heatmap=concept_map,
                outside=outside_share(concept_map, mask, content),
                references=(),
            )
            for concept, concept_map in zip(shown, _concept_maps(view, attribution, shown, choice), strict=True)
        ),
        others=other_decisions(attributor.task, view.prediction, view.sample, explained),
        runners_up=runners_up(attributor.task, own, explained),
        ledger=attribution.ledgers[0] if attribution.ledgers and choice.mode == "relevance" else None,
        annotated=None
        if weak is not None
        else annotated(attributor.task, view.sample, explained, mask, view.data_names),
        all_shares=scores.float().numpy().astype(np.float32),
        class_confidences=_array(attributor.task.class_confidences(own, explained)),
    )


def _scores(attribution: Attribution, layer: str, choice: ConceptChoice) -> torch.Tensor:
    """Score of every concept, [C]."""
    if choice.mode == "activation":
        return activation_scores(attribution.activation[layer]).score[0].cpu()
    return relevance_scores(attribution.relevance[layer]).score[0].cpu()


def _layer_share(attribution: Attribution, layer: str, choice: ConceptChoice) -> float:
    """Relevance that passes through the layer: sum_(c, y, x) R, of a seed that sums to 1; NaN if not asked for."""
    return _NOT_MEASURED if choice.mode == "activation" else float(attribution.relevance[layer].double().sum())


def _rank(task: Task, view: View, explained: ExplainedTarget) -> int:
    """Place of a decision by confidence among those for its class."""
    ranked = by_confidence(task, view.prediction, view.sample, explained.target.class_id)
    return [one.target for one in ranked].index(explained.target)


def _concept_maps(
    view: View, attribution: Attribution, concepts: Sequence[int], choice: ConceptChoice
) -> list[Heatmap]:
    """Conditional heatmaps [H, W] of concepts, or their activation maps resized to the input."""
    if choice.mode == "activation":
        activation = attribution.activation[view.layer][:, list(concepts)]  # [1, shown, h, w]
        size = tuple(view.sample.image.shape[-2:])
        resized = interpolate(activation, size=size, mode="bilinear", align_corners=False)[0]
        return [_array(one) for one in resized]
    relevance = attribution.relevance[view.layer]
    return [_array(heatmap) for *_, heatmap in concept_maps(view.trace, view.layer, relevance, {0: concepts})]


def _array(values: torch.Tensor) -> Heatmap:
    return np.asarray(values.float().cpu().numpy())
