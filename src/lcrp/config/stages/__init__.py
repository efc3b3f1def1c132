"""The stages, one file each: settings in YAML, and the value that the stage's function takes.

A new one is a file here, a line in `STAGES` and its file in conf/stage.
"""

from lcrp.config.root import Stage
from lcrp.config.stages.audit import AuditStage
from lcrp.config.stages.clean import CleanStage
from lcrp.config.stages.context import ContextStage
from lcrp.config.stages.download import DownloadStage
from lcrp.config.stages.evaluate import EvaluateStage
from lcrp.config.stages.exchange import ExportStage, ImportStage
from lcrp.config.stages.explore import ExploreStage
from lcrp.config.stages.glocal import GlocalStage
from lcrp.config.stages.inspect import InspectStage
from lcrp.config.stages.merge import MergeStage
from lcrp.config.stages.missed import MissedStage
from lcrp.config.stages.own import OwnStage
from lcrp.config.stages.render import RenderStage
from lcrp.config.stages.train import TrainStage
from lcrp.config.stages.truth import TruthStage
from lcrp.config.stages.tune import TuneStage
from lcrp.config.stages.verify import VerifyStage

STAGES: dict[str, type[Stage]] = {  # by the name of their schema
    "glocal": GlocalStage,
    "merge": MergeStage,
    "render": RenderStage,
    "context": ContextStage,
    "evaluate": EvaluateStage,
    "explore": ExploreStage,
    "missed": MissedStage,
    "audit": AuditStage,
    "truth": TruthStage,
    "tune": TuneStage,
    "inspect": InspectStage,
    "clean": CleanStage,
    "verify": VerifyStage,
    "train": TrainStage,
    "download": DownloadStage,
    "import": ImportStage,
    "export": ExportStage,
    "own": OwnStage,
}
