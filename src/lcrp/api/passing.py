"""``lcrp.statistics``: concept statistics of a network on a dataset, made or found."""

from collections.abc import Sequence
from dataclasses import replace

from lcrp.api.data import GivenData, given_data
from lcrp.api.door import computing, python_words
from lcrp.api.explainers import as_it_stands
from lcrp.api.given import layer_patterns, plain_number
from lcrp.api.loading import Model, load
from lcrp.api.runs import own_run, shared_run
from lcrp.api.statistics import Statistics
from lcrp.config.build import subject_on
from lcrp.data.loader import OnError
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import StatisticsSettings, Subject, TargetChoice
from lcrp.runs.progress import OnProgress
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.settled import settled
from lcrp.storage.statistics import read_header

Layers = str | Sequence[str]  # a name or pattern, or several

OWN_FILE = "statistics.h5"  # of data that cannot be recognised again


def statistics(
    model: Model,
    data: object,
    *,
    targets: TargetChoice | None = None,
    layers: Layers = (),
    num_samples: int | None = None,
    top_n: int = 40,
    top_n_per_class: int = 15,
    batch_size: int = 8,
    record: bool = False,
    on_error: OnError = "skip",
    overwrite: bool = False,
    progress: OnProgress | None = None,
) -> Statistics:
    """Concept statistics: for every concept, the samples where it is most relevant and most active.

    The file is that of the command line, at the same place below ``outputs`` of the present folder, so that each finds
    what the other made. What was stopped goes on where it was. Data that has no ``fingerprint()`` cannot be recognised:
    its statistics are made each time, in a folder of their own.

    Args:
        model: an explainer, or anything that `load` takes.
        data: the name of a dataset ('scenes'), or a mapping of its settings ({'name': 'scenes', 'split': 'train'}); a
            folder, a pattern or a list of pictures; or a dataset of torch that gives (picture, annotation).
        targets: 'annotated' explains the annotated classes that are detected, the best item of each; 'predicted' all
            that is detected. None takes the former where there are annotations.
        layers: names or patterns ('backbone.*') of those whose concepts are ranked; all convolutions by default.
            'auto' is the one through which most of the decisions passes.
        num_samples: only the first so many samples of the data.
        top_n: samples kept per concept.
        top_n_per_class: samples kept per concept and class.
        batch_size: samples per chunk.
        record: also store the relevance of every concept in every decision.
        on_error: 'skip' lists samples that cannot be read, 'raise' stops at the first.
        overwrite: compute again what is there.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        The statistics, which `explain` takes for reference samples.

    Raises:
        LcrpError: there is no such data, nothing is explained, or the classes of network and data differ.

    Example:
        >>> found = lcrp.statistics(explainer, "scenes", num_samples=24, layers=explainer.layer)
        >>> found
        concept statistics of yolov6 on 24 samples of scenes val: ...
        >>> lcrp.explain(explainer, "boat.png", statistics=found, n_references=2)[0].concepts[0].references[0].key
        '...'
    """
    with python_words():
        explainer = as_it_stands(load(model))
        given = given_data(data, explainer)
        wanted = given.statistics
        settings = replace(
            wanted,
            targets=wanted.targets if targets is None else targets,
            layers=layer_patterns(layers),
            num_samples=plain_number(num_samples),
            top_n=plain_number(top_n),
            top_n_per_class=plain_number(top_n_per_class),
            batch_size=plain_number(batch_size),
            record=record,
        )
    with computing(explainer.precision):
        subject = subject_of(explainer, given)
        how = GlocalSettings(on_error=on_error, overwrite=overwrite)
        return _made(subject, settings, how, progress)


def subject_of(explainer: Explainer, given: GivenData) -> Subject:
    """A network and data, with all that tells them apart from others.

    Samples are read in this process: a person's own dataset, in a notebook say, need not be fit for others.
    """
    return subject_on(explainer, given.dataset, given.name, given.options, num_workers=0)


def _made(
    subject: Subject, settings: StatisticsSettings, how: GlocalSettings, progress: OnProgress | None
) -> Statistics:
    """The statistics that fit, made if there are none."""
    if subject.dataset.fingerprint():
        run = shared_run(progress)
        path = glocal(subject, settings, how, run)
    else:
        with own_run("statistics", subject, progress) as run:
            path = glocal(subject, settings, replace(how, output=run.folder / OWN_FILE), run)
    subject = settled(subject, settings, run, [None, *settings.layers], path=path)
    return Statistics(path=path, value=read_header(path), subject=subject, settings=settings)
