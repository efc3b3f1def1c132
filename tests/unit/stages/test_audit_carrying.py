"""What is shown of concepts that carry a class: numbers of the tables, pictures of the decisions that they are of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.runs.run import Run
from lcrp.stages.audit.carrying import Carrying
from lcrp.stages.audit.concepts import ClassConcepts, ConceptWork, carriers_table, concepts_table
from lcrp.stages.audit.pictured import write_pictures
from lcrp.stages.audit.reading import OUTCOMES, Rows
from lcrp.stages.audit.settings import AuditSettings
from lcrp.stages.audit.tables import POOLED
from lcrp.stages.audit.views import shown_objects
from lcrp.stages.audit.work import AuditWork
from lcrp.stages.explore.audited import audited
from lcrp.stages.explore.measured import finding
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.values.audit import CarrierView, Kind
from lcrp.values.evidence import Table

LAYER = "backbone.ERBlock_4.0.rbr_dense.conv"  # the network's own
STATISTICS = StatisticsSettings(
    targets="annotated", layers=(LAYER,), top_n=4, top_n_per_class=4, batch_size=8, num_samples=16, record=False
)
FEW = AuditSettings(num_objects=3, num_grounds=2, num_synthetic=1, n_concepts=2)


class Audited:
    """An audit whose class 'kite' is said to need its context."""

    def __init__(self, folder: Path, model: str = "embedded:yolov6_scenes") -> None:
        explainer = lcrp.load(model)
        self.subject: Subject = subject_of(explainer, given_data("scenes", explainer))
        self.run = Run(folder=folder, output_root=folder, on_progress=lambda *_: None)
        self.work = AuditWork(self.subject, STATISTICS, FEW, self.run)
        rows = self.work.rows()
        assert rows is not None
        self.rows: Rows = rows
        self.found, self.tables = self.work.tables(rows)
        self.measured = dict(self.tables)
        self.kite = explainer.class_names.index("kite")
        self.tables["verdicts"] = Table(
            name="verdicts",
            columns={"class": ["kite"], "class_id": [self.kite], "verdict": ["needs its context"], "difference": [0.4]},
        )
        self.concepts: list[ClassConcepts] = self.work.concepts(self.found, self.tables["verdicts"])
        self.names = explainer.class_names
        self.tables["concepts"] = concepts_table(self.concepts, self.names, explainer.layer)
        self.tables["carriers"] = carriers_table(self.concepts, self.names, explainer.layer)

    def views(self) -> tuple[CarrierView, ...]:
        return Carrying(self.work, self.rows, self.tables).views(self.concepts, STATISTICS, self.run)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return Audited(tmp_path_factory.mktemp("carrying"))


def test_a_concept_is_shown_with_the_numbers_of_its_table(made: Audited) -> None:
    (view,) = made.views()
    table = made.tables["concepts"]
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows()]
    row = next((one for one in rows if one["is_carrier"]), rows[0])
    assert (view.class_name, view.title, view.is_carrier) == ("kite", f"concept {row['concept']}", row["is_carrier"])
    assert view.usual.value == pytest.approx(row["usual_loss"])
    assert view.others.value == pytest.approx(row["unusual_loss"])
    assert view.cut == pytest.approx((row["cut"], row["cut_low"], row["cut_high"]), nan_ok=True)
    assert view.difference == 0.4
    own, other = view.seen
    assert (own.kind, other.kind) == (Kind.OWN, Kind.UNUSUAL)
    place_of = dict(zip(made.rows.score.tolist(), made.rows.place.tolist(), strict=True))
    assert place_of[own.score] == place_of[other.score], "both are of one object"
    assert made.work.objects.class_id[place_of[own.score]] == 2
    assert own.heatmap is not None
    assert other.heatmap is not None
    assert np.abs(own.heatmap).sum() > 0
    assert own.heatmap.shape == own.outline.shape == own.picture.shape[:2]


def test_concepts_are_of_the_very_objects_that_were_audited(made: Audited) -> None:
    (one,) = [one for one in made.concepts if one.class_id == made.kite]
    objects = made.work.objects
    np.testing.assert_array_equal(objects.sample[one.places], one.samples)
    assert set(objects.class_id[one.places]) == {made.kite}
    assert set(one.places) <= set(made.found.place)


def test_references_are_audited_decisions_or_those_of_statistics_that_fit(made: Audited) -> None:
    (view,) = made.views()
    audited_samples = set(made.concepts[0].samples.tolist())
    assert {one.sample for one in view.references} <= audited_samples
    assert {one.class_name for one in view.references} <= {"kite"}
    scores = [one.score for one in view.references]
    assert scores == sorted(scores, reverse=True)
    glocal(made.subject, STATISTICS, GlocalSettings(), made.run)
    (again,) = made.views()
    assert [one.item for one in view.references] == [-1] * len(view.references)  # that nothing ranked
    assert len(again.references) > 0
    assert all(one.item >= 0 for one in again.references)


def test_the_explorer_shows_each_object_with_its_scores(made: Audited, tmp_path: Path) -> None:
    shown = shown_objects(made.found, made.rows, made.tables["verdicts"], made.work.made, made.names)
    files, table = write_pictures(tmp_path, shown, made.work)
    (one,) = audited((tmp_path / "audit.h5", {"shown": table}), is_pictured=True)
    (wanted,) = shown
    views = [view for view in wanted.views if view is not None]
    assert one.class_name == "kite"
    assert one.strip == files[0].read_bytes()
    assert [(row.label, row.score, row.outcome) for row in one.swapped] == [
        (view.label, view.score, str(view.outcome)) for view in views
    ]
    rows = made.rows.place == wanted.place
    known = {
        (round(float(score), 9), str(OUTCOMES[number]))
        for score, number in zip(made.rows.score[rows], made.rows.outcome[rows], strict=True)
    }
    assert {(round(row.score, 9), row.outcome) for row in one.swapped} <= known
    left, top, right, bottom = one.swapped[0].box
    height, width = one.size
    box = made.work.objects.box[wanted.place]
    assert np.allclose([left, top, right, bottom], box, atol=2 / min(height, width))
    files[0].unlink()
    (bare,) = audited((tmp_path / "audit.h5", {"shown": table}), is_pictured=True)
    assert bare.strip is None
    assert audited(None, is_pictured=True) == ()


def test_the_page_begins_with_a_sentence_for_every_verdict(made: Audited) -> None:
    """The view puts sentence n beside row n."""
    tables = {**made.measured, "concepts": made.tables["concepts"], "carriers": made.tables["carriers"]}
    found = finding("audit", (Path("runs/one/audit.h5"), tables), "")
    names = tables["verdicts"].columns["class"]
    for name, sentence in zip(names, found.sentences, strict=False):
        assert sentence.startswith("Smaller classes together" if name == POOLED else f"'{name}'")
    assert found.sentences[len(names)].startswith("The placebo")
    assert [one.name for one in found.tables] == ["verdicts", "classes", "outcomes", "company", "concepts", "carriers"]


def test_a_mask_that_is_gone_in_other_surroundings_has_a_heatmap(tmp_path: Path) -> None:
    """A segmenter that sees no kite there has no decision there that could be explained."""
    made = Audited(tmp_path, "embedded:unet_scenes")
    carrying = Carrying(made.work, made.rows, made.tables)
    explainer = made.subject.explainer
    place = int(made.found.place[made.found.class_id == made.kite][0])
    own = made.work.made(place)
    assert own is not None
    sample, grounds = own
    gone = replace(grounds[0], image=torch.zeros_like(sample.image))
    with explainer.attributor([explainer.layer]) as attributor:
        explained = ConceptWork(made.subject, made.work.objects, made.work.made).decision(attributor, place, sample)
        heatmaps = carrying._heatmaps(attributor, explained, [grounds[0], gone], 0)
    assert heatmaps.shape == (2, *sample.image.shape[1:])
    assert np.isfinite(heatmaps).all()
