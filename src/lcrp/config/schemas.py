"""The types of all settings, told to Hydra."""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from lcrp.config import auto, run_names, torchvision, transformers, yolo
from lcrp.config.dataset import DATASETS
from lcrp.config.root import Config
from lcrp.config.stages import STAGES
from lcrp.config.stages.own import OwnStage


def register_schemas() -> None:
    """Tell Hydra of the types; a second time changes nothing."""
    torchvision.register_resolver()
    transformers.register_resolver()
    auto.register_auto()
    yolo.register_resolver()
    run_names.register_resolver()
    store = ConfigStore.instance()
    store.store(name="lcrp_schema", node=Config)
    for group, kinds in (("dataset", DATASETS), ("stage", STAGES)):
        for name, kind in kinds.items():
            is_open = kind is OwnStage  # keys of its own
            node = OmegaConf.structured(kind, flags={"struct": False}) if is_open else kind
            store.store(group=f"schema/{group}", name=name, node=node)
