"""Reading a checkpoint file without running anything in it.

A checkpoint is a pickle, and a pickle is a program that may call whatever it names. So every name in it is read first,
without executing anything, and must be on an exact list; then torch's restricted unpickler reads the file, with an
inert stand-in for every listed class. The real classes are never imported.
"""

import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar

import torch

from lcrp.errors import CheckpointError

MAX_FILE_BYTES = 2 << 30
MAX_PICKLE_BYTES = 16 << 20
MAX_ENTRIES = 20_000
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote first before release 1.6


class Inert:
    """Stand-in for a class named in a checkpoint: it keeps the state it is given and does nothing."""

    __slots__ = ("content",)
    package: ClassVar[str] = ""  # of the real class
    content: object

    def __new__(cls, *_arguments: object) -> "Inert":
        """A stand-in, whatever the real class is constructed from."""
        instance = super().__new__(cls)
        instance.content = None
        return instance

    def __setstate__(self, state: object) -> None:
        self.content = state


def _names(module: str, classes: str) -> list[str]:
    return [f"{module}.{name}" for name in classes.split()]


# Names that torch reads itself; those that could allocate any amount of memory (bytearray, Tensor) are left out.
_TORCH_NAMES = frozenset(
    [
        *_names("builtins", "set"),
        *_names("collections", "OrderedDict"),
        *_names("_codecs", "encode"),
        *_names("torch._utils", "_rebuild_tensor_v2 _rebuild_parameter"),
        *_names("torch.nn.parameter", "Parameter"),
        *_names("torch.serialization", "_get_layout"),
        *_names("torch", "Size device bool uint8 int8 int16 int32 int64 float16 float32 float64 bfloat16"),
        *_names("torch", "FloatStorage HalfStorage DoubleStorage BFloat16Storage LongStorage IntStorage ShortStorage"),
        *_names("torch", "CharStorage ByteStorage BoolStorage"),
    ]
)

# Names that are replaced by stand-ins: the networks, and what training scripts leave in their files.
_INERT_NAMES = frozenset(
    [
        *_names("models.yolo", "Model BaseModel DetectionModel SegmentationModel ClassificationModel Detect Segment"),
        *_names("models.common", "Conv DWConv DWConvTranspose2d TransformerLayer TransformerBlock Bottleneck"),
        *_names("models.common", "BottleneckCSP CrossConv C3 C3x C3TR C3SPP C3Ghost SPP SPPF Focus GhostConv"),
        *_names("models.common", "GhostBottleneck Contract Expand Concat AutoShape Classify Proto"),
        *_names("models.experimental", "Ensemble Sum MixConv2d CrossConv GhostConv GhostBottleneck C3"),
        *_names("yolov6.models.yolo", "Model Detect"),
        *_names("yolov6.models.effidehead", "Detect"),
        *_names("yolov6.models.heads.effidehead_distill_ns", "Detect"),
        *_names("yolov6.models.heads.effidehead_fuseab", "Detect"),
        *_names("yolov6.models.efficientrep", "EfficientRep EfficientRep6 CSPBepBackbone CSPBepBackbone_P6"),
        *_names("yolov6.models.reppan", "RepPANNeck RepBiFPANNeck RepPANNeck6 RepBiFPANNeck6 CSPRepPANNeck"),
        *_names("yolov6.models.reppan", "CSPRepBiFPANNeck CSPRepPANNeck_P6 CSPRepBiFPANNeck_P6"),
        *_names("yolov6.layers.common", "RepVGGBlock RepBlock SimConv SimSPPF Conv Transpose SiLU ConvModule ConvBN"),
        *_names("yolov6.layers.common", "ConvBNReLU ConvBNSiLU SPPFModule SimCSPSPPF CSPSPPF CSPSPPFModule BiFusion"),
        *_names("yolov6.layers.common", "BottleRep BottleRep3 BepC3 MBLABlock QARepVGGBlock RealVGGBlock Concat"),
        *_names("ultralytics.nn.tasks", "BaseModel DetectionModel SegmentationModel SemanticSegmentationModel"),
        *_names("ultralytics.nn.tasks", "YOLOv10DetectionModel PoseModel OBBModel ClassificationModel WorldModel"),
        *_names("ultralytics.nn.tasks", "RTDETRDetectionModel DepthModel YOLOEModel YOLOESegModel"),
        *_names("ultralytics.nn.modules.conv", "Conv Conv2 DWConv LightConv RepConv ConvTranspose DWConvTranspose2d"),
        *_names("ultralytics.nn.modules.conv", "GhostConv Focus Concat CBAM ChannelAttention SpatialAttention Index"),
        *_names("ultralytics.nn.modules.block", "Bottleneck BottleneckCSP C1 C2 C2f C3 C3x C3k C3k2 C3Ghost C3TR"),
        *_names("ultralytics.nn.modules.block", "C2PSA C2fPSA PSA PSABlock Attention SPP SPPF SPPELAN DFL Proto"),
        *_names("ultralytics.nn.modules.block", "Proto26 SCDown C2fCIB CIB RepVGGDW A2C2f ABlock AAttn RepC3"),
        *_names("ultralytics.nn.modules.block", "RepNCSPELAN4 RepCSP RepBottleneck ADown AConv ELAN1 CBLinear"),
        *_names("ultralytics.nn.modules.block", "CBFuse HGStem HGBlock Silence GhostBottleneck TorchVision"),
        *_names("ultralytics.nn.modules.block", "ResNetBlock ResNetLayer BNContrastiveHead ContrastiveHead C2fAttn"),
        *_names("ultralytics.nn.modules.head", "Detect v10Detect Segment Segment26 SemanticSegment Pose Pose26 OBB"),
        *_names("ultralytics.nn.modules.head", "OBB26 Classify RTDETRDecoder WorldDetect YOLOEDetect YOLOESegment"),
        *_names("ultralytics.nn.modules.transformer", "AIFI TransformerLayer TransformerBlock TransformerEncoderLayer"),
        *_names("ultralytics.utils", "IterableSimpleNamespace"),
        *_names("ultralytics.yolo.utils", "IterableSimpleNamespace"),
        *_names("ultralytics.utils.loss", "v8DetectionLoss v8SegmentationLoss v8PoseLoss v8OBBLoss E2EDetectLoss"),
        *_names("ultralytics.utils.loss", "v8ClassificationLoss BboxLoss DFLoss E2ELoss"),
        *_names("ultralytics.utils.tal", "TaskAlignedAssigner RotatedTaskAlignedAssigner"),
        *_names("builtins", "getattr"),  # of segmenters, which keep a method of their head: as inert as all others
        *_names("torch.nn.modules.activation", "SiLU ReLU ReLU6 LeakyReLU PReLU Hardswish Hardsigmoid Sigmoid Tanh"),
        *_names("torch.nn.modules.activation", "ELU GELU Mish Softmax Softplus"),
        *_names("torch.nn.modules.batchnorm", "BatchNorm2d SyncBatchNorm"),
        *_names("torch.nn.modules.container", "Sequential ModuleList ModuleDict"),
        *_names("torch.nn.modules.conv", "Conv2d ConvTranspose2d"),
        *_names("torch.nn.modules.dropout", "Dropout Dropout2d"),
        *_names("torch.nn.modules.flatten", "Flatten"),
        *_names("torch.nn.modules.linear", "Linear Identity"),
        *_names("torch.nn.modules.loss", "BCEWithLogitsLoss CrossEntropyLoss"),
        *_names("torch.nn.modules.normalization", "GroupNorm LayerNorm"),
        *_names("torch.nn.modules.padding", "ZeroPad2d"),
        *_names("torch.nn.modules.pooling", "MaxPool2d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d"),
        *_names("torch.nn.modules.upsampling", "Upsample UpsamplingNearest2d UpsamplingBilinear2d"),
        *_names("argparse", "Namespace"),
        *_names("numpy", "dtype ndarray"),
        *_names("numpy.core.multiarray", "scalar _reconstruct"),
        *_names("numpy._core.multiarray", "scalar _reconstruct"),
        *_names("pathlib", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
        *_names("pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
    ]
)

_INERT_NAMES |= {  # until release 8.0.90 blocks were in one module
    f"ultralytics.nn.modules.{name.rpartition('.')[2]}"
    for name in _INERT_NAMES
    if name.startswith("ultralytics.nn.modules.")
}
_OF_NETWORKS = ("models.", "yolov6.", "ultralytics.nn.")  # packages of blocks

_STAND_INS: dict[str, type[Inert]] = {
    name: type(name.rsplit(".", 1)[-1], (Inert,), {"__slots__": (), "package": name.partition(".")[0]})
    for name in sorted(_INERT_NAMES)
}
_PYTHON_2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def read_inert(file: IO[bytes], path: Path) -> object:
    """What a checkpoint file holds: plain values, tensors and stand-ins; nothing in it is executed.

    Args:
        file: the file, open for reading.
        path: its name in messages.

    Returns:
        Dictionaries, lists, numbers, texts and tensors on the CPU; objects of listed classes as `Inert`.

    Raises:
        CheckpointError: if the file is empty, damaged, too large, no checkpoint, or names what is not on the list.
    """
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(len(LEGACY_MAGIC))
    if size == 0:
        raise CheckpointError(f"checkpoint '{path}' is empty; fetch or copy it again")
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"checkpoint '{path}' has {size} bytes, the limit is {MAX_FILE_BYTES}")
    if zipfile.is_zipfile(file):
        return _read_zip(file, path)
    if start.startswith(b"PK"):
        raise CheckpointError(f"checkpoint '{path}' is damaged or cut short ({size} bytes); fetch or copy it again")
    if start == LEGACY_MAGIC:
        return _read_legacy(file, path)
    raise CheckpointError(f"'{path}' is no checkpoint: it is not a file that torch.save writes")


def _read_zip(file: IO[bytes], path: Path) -> object:
    with _as_checkpoint_error(path):
        names = _names_in(_pickle_of(file, path), path)
    refused = sorted(names - _TORCH_NAMES - _INERT_NAMES)
    if refused:
        listed = ", ".join(f"'{name}'" for name in refused[:3])
        more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise CheckpointError(
            f"checkpoint '{path}' is refused: it names {listed}{more}, which a checkpoint of a network known here does "
            f"not need; nothing in it was run. {_mend_of(refused)}"
        )
    stand_ins = [(_STAND_INS[name], name) for name in sorted(names & _INERT_NAMES)]
    file.seek(0)
    with _as_checkpoint_error(path), torch.serialization.safe_globals([*stand_ins]):
        content: object = torch.load(file, map_location="cpu", weights_only=True)
    return content


def _mend_of(refused: Iterable[str]) -> str:
    """What helps where names are refused: blocks make another network, of which a state_dict would not fit either."""
    if any(name.startswith(_OF_NETWORKS) for name in refused):
        return "Blocks that are not known here make a network of your own: docs/how-to/own_network.md"
    return "If its network is known here, its state_dict alone can be used: torch.save(model.state_dict(), FILE)"


def _read_legacy(file: IO[bytes], path: Path) -> object:
    file.seek(0)
    with _as_checkpoint_error(path, "; it is in the format before torch 1.6, of which only plain state_dicts are read"):
        content: object = torch.load(file, map_location="cpu", weights_only=True)
    return content


def _pickle_of(file: IO[bytes], path: Path) -> bytes:
    """The pickle in a zip file, once the sizes that the archive declares are within the limits."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise CheckpointError(f"checkpoint '{path}' has {len(entries)} entries, the limit is {MAX_ENTRIES}")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MAX_FILE_BYTES:
            raise CheckpointError(f"checkpoint '{path}' unpacks to {unpacked} bytes, the limit is {MAX_FILE_BYTES}")
        names = [entry.filename.partition("/")[2] for entry in entries]
        if "constants.pkl" in names:
            raise CheckpointError(f"'{path}' is a TorchScript program, not a checkpoint; save its state_dict instead")
        if names.count("data.pkl") != 1:
            raise CheckpointError(f"'{path}' is a zip file but no checkpoint: it is not what torch.save writes")
        entry = entries[names.index("data.pkl")]
        if entry.file_size > MAX_PICKLE_BYTES:
            raise CheckpointError(
                f"checkpoint '{path}' describes its tensors in {entry.file_size} bytes, the limit is {MAX_PICKLE_BYTES}"
            )
        damaged = archive.testzip()  # torch does not look at checksums
        if damaged is not None:
            raise CheckpointError(f"checkpoint '{path}' is damaged ('{damaged}' fails its checksum); fetch it again")
        return archive.read(entry)


def _names_in(pickled: bytes, path: Path) -> set[str]:
    """Everything that a pickle names, as 'module.name', read without executing it.

    torch.serialization.get_unsafe_globals_in_checkpoint does the same, but is silent on names that torch deems safe.
    """
    names = set()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            names.add(f"{_PYTHON_2_MODULES.get(module, module)}.{name}")
        elif opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise CheckpointError(f"checkpoint '{path}' is refused: torch.save does not write the opcode {opcode.name}")
    return names


@contextmanager
def _as_checkpoint_error(path: Path, hint: str = "") -> Iterator[None]:
    """Report whatever goes wrong in here as one line about the file."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # a hostile or damaged file can make the unpickler fail in any way
        name = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it names '{name[1]}'" if name else f"{type(error).__name__}: {_first_line(error)}"
        raise CheckpointError(f"checkpoint '{path}' cannot be read ({reason}){hint}") from error


def _first_line(error: Exception) -> str:
    """What went wrong, without torch's advice to run whatever a file says."""
    told = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    lines = re.sub(r" at 0x[0-9a-f]+", "", told).splitlines() or [""]
    return lines[0][:200]
