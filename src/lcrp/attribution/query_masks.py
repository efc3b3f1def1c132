"""Segmentation by queries: a class's region is explained by the queries that own it.

Axes: B batch, Q query, K class, H W picture, h w feature map.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch.nn.functional import adaptive_avg_pool2d

from lcrp.attribution.class_masks import Seed, seed_values
from lcrp.attribution.contrast import check_other, contrast
from lcrp.attribution.pixels import centred_pixels
from lcrp.attribution.readout import mean_in_masks
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.errors import TargetError, one_of, refuse
from lcrp.values.query_masks import QueryMasks, ScoreMap
from lcrp.values.target import ExplainedTarget

ReadOut = Literal["class", "mask"]


class QueryMaskTask(SegmentationTask):
    """Explains a class's region in the semantic result of a segmenter by queries, such as Mask2Former.

    A pixel is of the class c with the largest s_c = sum_q p_qc sigmoid(mask_q), the library's own decision. That sum of
    products of probabilities is no logit; what is explained are the logits of the queries that own the region, in every
    cell of the masks the one with the largest p_qc sigmoid(mask_q): their class logits ('class'), each by its share
    of the region, or their mask logits in the region ('mask'). Shares weigh pixels as seeds do, by s_c in place of a
    logit, and sum to 1.

    `instead` explains by how much the class logits of these queries exceed theirs of another class, weighed by the same
    shares: sum_q w_q (z_qt - z_qo) = sum_q w_q log(p_qt / p_qo), which needs no softmax. Logits of different queries
    are not compared: a softmax leaves each query's logits free up to a constant of its own.

    Args:
        class_names: index = class id.
        score: which of the two.
        seed: how pixels weigh.
        min_area: pixels that a region needs.
        instead: name or id of another class, which mask logits do not know; None explains the class alone.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        score: ReadOut = "class",
        seed: Seed = "positive_logit",
        min_area: int = 1,
        instead: str | int | None = None,
    ) -> None:
        super().__init__(class_names, seed=seed, min_area=min_area, instead=instead)
        both = ["instead contrasts classes, and score=mask explains logits that are of none; leave one of them out"]
        both *= instead is not None and score == "mask"
        refuse([*one_of("score", score, get_args(ReadOut)), *both])
        self.score = score

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return super().identity() | {"score": self.score, "signed": True}

    def predictions(self, output: QueryMasks) -> list[ScoreMap]:  # type: ignore[override]
        """The class of every pixel of every image."""
        return [self._score_map(output, image) for image in range(len(output.class_logits))]

    def seeded(self, output: QueryMasks) -> torch.Tensor:  # type: ignore[override]
        """Class logits [B, Q, K + 1], or mask logits [B, Q, h, w]."""
        return output.class_logits if self.score == "class" else output.mask_logits

    def seed(  # type: ignore[override]
        self, output: QueryMasks, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The region of every target, on logits of the queries that own it; normalised to sum 1 per target.

        Raises:
            TargetError: nothing of the class's region lies within the part that is explained.
        """
        logits = self.seeded(output)
        seed = torch.zeros_like(logits.detach())
        for image, one in enumerate(explained):
            if one is None:
                continue
            values = self.pixels(output, image, one)
            if not values.sum() > 0:
                raise TargetError(
                    f"nothing of '{self.class_names[one.target.class_id]}' in {one.key} lies within the box"
                )
            seed[image] = self._on_owners(output, image, one.target.class_id, values)
            if self.instead is not None:
                seed[image] = self._contrasted(logits.detach()[image], seed[image], one.target.class_id, self.instead)
        return logits, seed

    def pixels(self, output: QueryMasks, image: int, explained: ExplainedTarget) -> torch.Tensor:
        """How much each pixel [H, W] of an image counts for a target; 0 outside its region."""
        values = seed_values(self._score_map(output, image), explained.target.class_id, self.seed_values)
        return values if explained.within is None else values * centred_pixels(explained.within, values).to(values)

    def seed_of_pixels(self, output: QueryMasks, class_id: int, values: torch.Tensor) -> torch.Tensor:
        """Values of pixels [H, W], in every image on the logits of the queries that own them there; sum 1."""
        return torch.stack(
            [self._on_owners(output, image, class_id, values) for image in range(len(output.class_logits))]
        )

    def logits(  # type: ignore[override]
        self, output: QueryMasks, explained: Sequence[ExplainedTarget], masks: torch.Tensor
    ) -> torch.Tensor:
        """The logits of the queries that own each of B masks [B, H, W], on average, [B]."""
        logits = self.seeded(output).detach()
        found = [
            (logits[image] * self._on_owners(output, image, one.target.class_id, mask.to(logits))).sum()
            for image, (one, mask) in enumerate(zip(explained, masks, strict=True))
        ]
        return torch.stack(found)

    def readout(  # type: ignore[override]
        self,
        output: QueryMasks,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,  # noqa: ARG002
        masks: torch.Tensor,
    ) -> torch.Tensor:
        """The mean score of class t, at most 1, over each of B masks."""
        pairs = zip(self.predictions(output), class_ids.tolist(), strict=True)
        scores = torch.stack([one.probabilities()[class_id] for one, class_id in pairs])
        return mean_in_masks(scores, masks.to(scores.device))

    def _contrasted(self, logits: torch.Tensor, weights: torch.Tensor, class_id: int, other: int) -> torch.Tensor:
        """Relevance on logits [Q, K + 1] of a class and of another, of queries that weigh as `weights` does."""
        check_other(class_id, other, self.class_names)
        own = weights[:, class_id]  # [Q]
        seed = torch.zeros_like(logits)
        seed[:, class_id], seed[:, other] = contrast(own * logits[:, class_id], own * logits[:, other])
        return seed

    def _score_map(self, output: QueryMasks, image: int) -> ScoreMap:
        scores = output.scores(image)
        return ScoreMap(labels=scores.argmax(dim=0), logits=scores)

    def _on_owners(self, output: QueryMasks, image: int, class_id: int, values: torch.Tensor) -> torch.Tensor:
        """Values of pixels [H, W] on the logits of the queries that own them, [Q, K + 1] or [Q, h, w]; sum 1."""
        masks = output.mask_logits[image]
        cells = adaptive_avg_pool2d(values[None], (masks.shape[-2], masks.shape[-1]))[0]  # [h, w]
        cells = (cells / cells.sum()).to(masks)
        owners = output.owners(image, class_id)
        if self.score == "mask":
            return torch.zeros_like(masks.detach()).scatter_(0, owners[None], cells[None])
        on_classes = torch.zeros_like(output.class_logits[image].detach())
        on_classes[:, class_id] = on_classes[:, class_id].index_add(0, owners.flatten(), cells.flatten())
        return on_classes
