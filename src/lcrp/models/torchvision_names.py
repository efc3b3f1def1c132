"""What the names of torchvision's networks say of them, without torch."""


def is_segmenter(name: str) -> bool:
    """Whether a network is a segmenter, by its builder's name; all others that lcrp takes are detectors."""
    return name.startswith(("deeplabv3_", "fcn_", "lraspp_"))
