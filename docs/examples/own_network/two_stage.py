"""A detector of two stages that returns the boxes it keeps: nothing of it is written for lcrp."""

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms, roi_align

CELL = 8  # pixels of a cell's side


class TwoStage(nn.Module):
    """Proposes boxes, looks at each, keeps the best."""

    def __init__(self, num_classes: int = 2, num_proposals: int = 20) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 32)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.backbone = nn.Sequential(*layers)
        self.objectness = nn.Conv2d(32, 1, 1)
        self.classes = nn.Sequential(nn.Flatten(), nn.Linear(32 * 9, 64), nn.ReLU(), nn.Linear(64, 1 + num_classes))
        self.num_proposals = num_proposals

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What is kept of one picture [1, 3, H, W]."""
        features = self.backbone(x)
        proposals = self.proposals(features)
        regions = roi_align(features, [proposals], 3, 1 / CELL)
        probabilities = self.classes(regions).softmax(dim=-1)  # the background comes first
        scores, labels = probabilities[:, 1:].max(dim=-1)
        kept = batched_nms(proposals, scores, labels, iou_threshold=0.5)
        return {"boxes": proposals[kept], "scores": scores[kept], "labels": labels[kept], "proposals": proposals}

    def proposals(self, features: Tensor) -> Tensor:
        """Squares of 32 pixels around the cells that look most like an object, [M, 4]."""
        found = self.objectness(features)[0, 0].detach()
        best = found.flatten().topk(min(self.num_proposals, found.numel())).indices
        middle = torch.stack((best % found.shape[1], best // found.shape[1]), dim=-1) * CELL + CELL / 2
        return torch.cat((middle - 16, middle + 16), dim=-1).to(features)
