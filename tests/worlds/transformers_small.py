"""Small networks of transformers of every architecture that runs, with random weights that let a picture through."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lcrp.models.transformers_names import ARCHITECTURES

SIDE = 64
NAMES = ("boat", "car", "kite")
DETECTORS = (
    "DetrForObjectDetection",
    "RTDetrForObjectDetection",
    "RTDetrV2ForObjectDetection",
    "DFineForObjectDetection",
)
SEGFORMER, MASK2FORMER = "SegformerForSemanticSegmentation", "Mask2FormerForUniversalSegmentation"
EVERY = (*DETECTORS, SEGFORMER, MASK2FORMER)

_QUERIES: Mapping[str, Any] = {
    "d_model": 16,
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [16, 16, 16],
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "decoder_ffn_dim": 32,
    "decoder_in_channels": [16, 16, 16],
    "num_queries": 10,
    "hidden_expansion": 1.0,
}
_STAGES: Mapping[str, Any] = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}


def _detr(library: Any) -> dict[str, Any]:
    backbone = library.ResNetConfig(embedding_size=8, layer_type="basic", out_features=["stage4"], **_STAGES)
    sizes = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 8}
    return {"backbone_config": backbone, "use_timm_backbone": False, **sizes, **heads}


def _rt_detr(library: Any) -> dict[str, Any]:
    features = ["stage2", "stage3", "stage4"]
    backbone = library.RTDetrResNetConfig(embedding_size=8, layer_type="basic", out_features=features, **_STAGES)
    return {"backbone_config": backbone, **_QUERIES}


def _d_fine(library: Any) -> dict[str, Any]:
    backbone = library.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    return {"backbone_config": backbone, "decoder_n_points": [2, 2, 2], **_QUERIES}


def _segformer(library: Any) -> dict[str, Any]:  # noqa: ARG001
    return {**_STAGES, "num_attention_heads": [1, 2, 2, 2], "decoder_hidden_size": 16}


def _mask2former(library: Any) -> dict[str, Any]:
    features = ["stage1", "stage2", "stage3", "stage4"]
    sizes = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 4}
    backbone = library.SwinConfig(image_size=SIDE, out_features=features, **sizes)
    widths = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "num_attention_heads": 2}
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_feedforward_dim": 32, "dim_feedforward": 32}
    return {"backbone_config": backbone, "num_queries": 6, **widths, **layers}


_SETTINGS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "detr": _detr,
    "rt_detr": _rt_detr,
    "rt_detr_v2": _rt_detr,
    "d_fine": _d_fine,
    "segformer": _segformer,
    "mask2former": _mask2former,
}


def small(architecture: str, seed: int = 0) -> Any:
    """A network of the library; the test is skipped where the library is missing."""
    library = pytest.importorskip("transformers", reason="pip install lcrp[transformers]")
    if architecture == MASK2FORMER:
        pytest.importorskip("scipy", reason="pip install lcrp[transformers]")
    kind = getattr(library, architecture)
    names = {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        settings = _SETTINGS[ARCHITECTURES[architecture].model_type](library)
        network = kind(kind.config_class(**settings, **names)).eval().requires_grad_(False)
        for key, parameter in network.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=1.4 * parameter[0].numel() ** -0.5)
            elif key.endswith("bias"):
                nn.init.normal_(parameter, std=0.02)
        for key, parameter in network.named_parameters():  # offsets and boxes stay near their places
            if "sampling_offsets" in key or "bbox" in key:
                parameter.mul_(0.1)
            if "decoder.class_embed" in key and parameter.ndim > 1:  # some class is found
                parameter.sub_(parameter.mean(dim=0)).mul_(3)
        _with_several_classes(network)
    return network


def _with_several_classes(network: Any) -> None:
    """Let a segmenter find more than one class in the picture."""
    if hasattr(network, "decode_head"):
        network.decode_head.classifier.bias.sub_(network(picture()[None]).logits.mean(dim=(0, 2, 3)))
    if hasattr(network, "class_predictor"):
        for queries in (
            network.model.transformer_module.queries_features,
            network.model.transformer_module.queries_embedder,
        ):
            queries.weight.mul_(8)
        cells = network(picture()[None]).pixel_decoder_last_hidden_state
        network.model.pixel_level_module.decoder.mask_projection.bias.sub_(cells.mean(dim=(0, 2, 3)))
        (queries,) = network(picture()[None]).transformer_decoder_last_hidden_state
        wanted = 2 * nn.functional.one_hot(torch.arange(len(queries)) % len(NAMES), len(NAMES) + 1).float()
        network.class_predictor.weight.copy_((torch.linalg.pinv(queries) @ wanted).T)


def saved(architecture: str, folder: Path) -> Path:
    """A folder of save_pretrained."""
    network = small(architecture)
    from lcrp.models.transformers import quiet

    with quiet():
        network.save_pretrained(folder)
    return folder


def picture(side: int = SIDE) -> torch.Tensor:
    """[3, H, W] in [0, 1], the same each time."""
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(3))
