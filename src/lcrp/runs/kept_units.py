"""Long work in units, of which every one is kept as soon as it is done."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.errors import Interrupted
from lcrp.runs.interruption import stop_request
from lcrp.storage.units import Arrays, Units

log = logging.getLogger(__name__)


def kept_units(
    units: Units, names: Iterable[str], work: Callable[[str], Arrays]
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Results of units in order: those kept by an earlier run are read, the others are worked out and kept.

    SIGINT and SIGTERM are heeded between units.

    Args:
        units: where results are kept.
        names: of the units; asked for one by one, so that the results of one may tell whether another is needed.
        work: makes the results of a unit.

    Raises:
        Interrupted: somebody asked to stop; started again, it goes on from there.
    """
    with stop_request() as stop:
        for name in names:
            found = units.read(name)
            if found is None:
                found = {key: np.asarray(values) for key, values in work(name).items()}
                units.write(name, found)
            elif not units.is_told:
                units.is_told = True
                log.info("going on with what is kept in '%s' (delete it to begin anew)", units.folder)
            yield found
            if stop.signal is not None:
                raise Interrupted(
                    f"stopped by {stop.signal.name}; what is done is kept in '{units.folder}'; started again, it "
                    "goes on from there",
                    signal=stop.signal,
                )
