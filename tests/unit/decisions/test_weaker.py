"""Where nothing is decided, it is said what there is instead."""

import pytest
import torch

import lcrp
from lcrp.errors import TargetError


def test_scores_that_are_no_numbers_are_told():
    """Finite weights, as of a file whose variances were damaged, may lead there; it is not 'every score is 0'."""
    explainer = lcrp.load("embedded:yolov5_scenes")
    for name, buffer in explainer.network.named_buffers():
        if name.endswith("running_var"):
            buffer.neg_()
    with pytest.raises(TargetError, match=r"its scores are no numbers \(NaN\)"):
        lcrp.explain(explainer, torch.rand(3, 64, 64))
