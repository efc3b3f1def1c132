"""The explorer's page: what is packed is what is read back, within the size that is allowed, and inert."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_page import ALARM, HOSTILE, LAYER, made_up

from lcrp.errors import StoreError
from lcrp.page.content import Content
from lcrp.page.html import PROGRAM, STYLE, built, folder_files, one_file
from lcrp.page.maps import coarse_mask, grid_size, gridded, quantised, restored
from lcrp.page.pack import packed
from lcrp.page.reader import PageData, read_page

KEPT_STEPS = 1 / 127  # of the root of a map's largest value


def _written(content: Content, path: Path, max_bytes: float = float("inf")) -> PageData:
    path.write_bytes(b"".join(one_file(packed(content, max_bytes))))
    return read_page(path)


def test_numbers_are_read_back_as_they_were(tmp_path: Path) -> None:
    """Means rounded to float32, rows of another class or concept, or references of another order, would be others."""
    content = made_up()
    data = _written(content, tmp_path / "page.html")
    for number, layer in enumerate(content.layers):
        assert np.array_equal(data.array(f"l{number}.mean"), layer.moments.mean())
        assert np.array_equal(data.array(f"l{number}.deviation"), np.sqrt(layer.moments.variance()))
        assert data.array(f"l{number}.count").tolist() == layer.moments.count.tolist()
        for name in ("score", "sample", "class_id", "item"):
            assert np.array_equal(data.array(f"l{number}.top.{name}"), getattr(layer.ranking, name))
        starts = data.array(f"l{number}.ref.start")
        for concept, references in layer.references.items():
            rows = slice(starts[concept], starts[concept + 1])
            assert data.array(f"l{number}.ref.sample")[rows].tolist() == [one.sample for one in references]
            assert data.array(f"l{number}.ref.class_id")[rows].tolist() == [one.class_id for one in references]
            assert data.array(f"l{number}.ref.score")[rows].tolist() == [np.float32(one.score) for one in references]
            boxes = [one.box or (np.nan,) * 4 for one in references]
            assert np.array_equal(data.array(f"l{number}.ref.box")[rows], np.float32(boxes), equal_nan=True)
    context = content.layers[0].context
    assert context is not None
    for name in ("class_id", "concept", "context", "low", "high", "sensitivity"):
        assert np.array_equal(data.array(f"l0.context.{name}"), getattr(context, name), equal_nan=True)
    assert "l1.context.concept" not in data.index["arrays"]
    proposed = content.layers[0].proposed
    assert proposed is not None
    assert data.index["layers"][0]["proposed"] == {"names": [one.name for one in proposed.proposals], "decisions": 96}
    assert data.index["layers"][1]["proposed"] is None
    assert data.array("l0.proposed.fits").astype(bool).tolist() == [one.fits for one in proposed.proposals]
    for name, values in (
        ("value", [one.value for one in proposed.proposals]),
        *(
            (f"auroc_{end}", [getattr(one.auroc, end) for one in proposed.proposals])
            for end in ("value", "low", "high")
        ),
    ):
        assert np.array_equal(data.array(f"l0.proposed.{name}"), values, equal_nan=True)
    assert [one["facts"] for one in data.index["decisions"]] == [dict(one.facts) for one in content.decisions]
    shares = [one.shares for one in content.decisions]
    assert np.array_equal(data.array("d.shares"), np.stack([one for one in shares if one is not None]))


def test_references_of_a_class_lie_where_their_crops_are(tmp_path: Path) -> None:
    """A place of another crop, or one counted twice, would show a sample of another class."""
    content = made_up()
    data, layer = _written(content, tmp_path / "page.html"), content.layers[0]
    concepts, classes, starts, places = (
        data.array(f"l0.own.{name}") for name in ("concept", "class", "start", "place")
    )
    pairs = list(zip(concepts.tolist(), classes.tolist(), strict=True))
    assert pairs == sorted(layer.of_class)
    for row, (concept, class_id) in enumerate(pairs):
        shown = places[starts[row] : starts[row + 1]].tolist()
        found = [layer.further(concept)[-1 - one] if one < 0 else layer.references[concept][one] for one in shown]
        assert tuple(found) == layer.of_class[concept, class_id]
        assert {one.class_id for one in found} == {class_id}
    assert {int(one) for one in data.index["layers"][0]["further"]} == {
        concept for concept in range(24) if layer.further(concept)
    }
    start, sample = data.array("other.ref.start"), data.array("other.ref.sample")
    assert content.comparison is not None
    for concept, references in content.comparison.references.items():
        assert sample[start[concept] : start[concept + 1]].tolist() == [one.sample for one in references]


def test_maps_and_masks_are_read_back(tmp_path: Path) -> None:
    """A sign lost in the square root, or a limit of another map, would colour what speaks against red."""
    content = made_up()
    data = _written(content, tmp_path / "page.html")
    for number, decision in enumerate(content.decisions):
        found = data.maps(number)
        limit = np.abs(decision.maps).max(axis=(1, 2), keepdims=True)
        root, root_found = (np.sign(one) * np.sqrt(np.abs(one) / limit) for one in (decision.maps, found))
        assert np.abs(root - root_found).max() <= 0.5 * KEPT_STEPS + 1e-12
        assert (decision.mask is not None) == (f"d{number}.mask" in data.index["arrays"])
        if decision.mask is not None:
            assert np.array_equal(data.array(f"d{number}.mask"), decision.mask)


def test_a_grid_keeps_sums_and_masks_their_area() -> None:
    heatmap = np.random.default_rng(0).normal(size=(101, 250))
    coarse = gridded(heatmap)
    assert coarse.shape == grid_size(heatmap.shape, 64) == (26, 64)
    assert coarse.sum() == pytest.approx(heatmap.sum())
    mask = np.zeros((320, 640), dtype=bool)
    mask[40:200, 100:500] = True
    assert coarse_mask(mask).mean() / 255 == pytest.approx(mask.mean(), abs=1e-3)
    assert quantised(np.zeros((3, 4)))[1] == 0.0
    assert not restored(*quantised(np.zeros((3, 4)))).any()


def test_the_folder_holds_the_same(tmp_path: Path) -> None:
    page = packed(made_up())
    one = _written(made_up(), tmp_path / "page.html")
    for name, content in folder_files(page):
        target = tmp_path / "folder" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    assert read_page(tmp_path / "folder") == one


def test_misses_are_read_back_with_their_maps_and_crops(tmp_path: Path) -> None:
    """Maps of another miss, or crops of another concept, would show what was not missed."""
    content = made_up()
    data = _written(content, tmp_path / "page.html")
    assert [one["id"] for one in data.index["misses"]] == ["m0.1", "m1.1", "m2.1"]
    for one, wanted in zip(data.index["misses"], content.misses, strict=True):
        assert one["facts"] == dict(wanted.facts)
        assert one["box"] == list(wanted.box or ())
        cells = data.array(f"{one['arrays']}.maps")
        for number, limit in enumerate(one["limits"]):
            assert restored(cells[number], limit) == pytest.approx(wanted.maps[number], abs=3 * KEPT_STEPS)
        assert wanted.missed is not None
        assert one["missed"]["headline"] == wanted.missed.headline
        for concept, shown in zip(wanted.missed.concepts, one["missed"]["concepts"], strict=True):
            assert shown["text"] == concept.text
            assert data.images[shown["image"]] == concept.strip
            assert shown["references"] == [[ref.sample, ref.class_id, ref.score] for ref in concept.references]
    assert [one["alarm"] for one in data.index["decisions"][:3]] == [None, ALARM, None]


def test_objects_in_other_surroundings_are_read_back_with_their_pictures(tmp_path: Path) -> None:
    """The pictures of another object would show what was not lost."""
    content = made_up()
    data = _written(content, tmp_path / "page.html")
    for one, wanted in zip(data.index["audit"]["objects"], content.audited, strict=True):
        assert (one["class"], one["size"]) == (wanted.class_name, list(wanted.size))
        assert data.images[one["image"]] == wanted.strip
        assert [row["score"] for row in one["swapped"]] == [row.score for row in wanted.swapped]
    small = _written(content, tmp_path / "small.html", 240_000)
    assert len(small.index["audit"]["objects"]) < len(content.audited)
    assert any("objects in other surroundings" in one["what"] for one in small.index["left_out"])


def test_misses_go_before_decisions(tmp_path: Path) -> None:
    """What does not fit is said of either."""
    content = made_up(num_concepts=4, num_references=2)
    sizes = [len(_written(content, tmp_path / "page.html", size).index["misses"]) for size in (1e6, 330_000, 230_000)]
    assert sizes[0] == 3
    assert sizes == sorted(sizes, reverse=True)
    data = _written(content, tmp_path / "page.html", 230_000)
    told = [one["what"] for one in data.index["left_out"]]
    assert f"{12 - len(data.index['decisions'])} of 12 explained decisions" in told
    assert "3 of 3 explained misses" in told


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    """The least relevant concepts' pictures go first, then decisions; the file is never larger than allowed."""
    content = made_up(num_concepts=60, num_references=12, num_decisions=8)
    whole = _written(content, tmp_path / "whole.html")
    size = (tmp_path / "whole.html").stat().st_size
    assert whole.index["left_out"] == []
    most = np.nanmax(content.layers[0].moments.mean(), axis=0)
    for share in (0.7, 0.5):
        data = _written(content, tmp_path / "part.html", share * size)
        assert (tmp_path / "part.html").stat().st_size <= share * size
        kept = sorted(int(concept) for concept in data.index["layers"][0]["images"])
        assert 0 < len(kept) < 60
        assert min(most[kept]) >= max(most[sorted(set(range(60)) - set(kept))])
        assert data.index["layers"][0]["further"] == {}  # go before all others
        assert ["concepts that count least" in one["what"] for one in data.index["left_out"]] == [True, False, True]
    data = _written(content, tmp_path / "part.html", 260_000)
    assert len(data.index["decisions"]) < 8
    assert any("explained decisions" in one["what"] for one in data.index["left_out"])


def test_names_of_a_hostile_person_are_inert(tmp_path: Path) -> None:
    """A name that ends a script or opens an element would run in the page of whoever opens it."""
    content = made_up(names=HOSTILE)
    path = tmp_path / "page.html"
    data = _written(content, path)
    assert tuple(data.index["classes"]) == HOSTILE
    markup = path.read_text(encoding="utf-8")
    frame = markup.replace(built(PROGRAM), "").replace(built(STYLE), "")
    assert "<img" not in frame
    assert len(re.findall("<script>", frame)) == 1
    assert data.index["pictures"][0]["name"].startswith(HOSTILE[0])


def test_the_policy_names_the_hash_of_the_program() -> None:
    """Allowing 'unsafe-inline', or an address, would let a page run what it was not made with."""
    markup = b"".join(one_file(packed(made_up()))).decode()
    policy = re.search('Content-Security-Policy" content="([^"]*)"', markup)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search("unsafe|http|data:|file:", policy[1])
    assert "</script" not in built(PROGRAM)
    assert "</style" not in built(STYLE)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", built(PROGRAM) + built(STYLE))


def test_lone_surrogates_and_nan_are_no_error(tmp_path: Path) -> None:
    """Names of files that are no UTF-8 come as lone surrogates, which UTF-8 cannot hold."""
    content = made_up()
    content = replace(content, title="bad \udcff name", facts={**content.facts, "value": float("nan")})
    assert _written(content, tmp_path / "page.html").index["facts"]["value"] is None


@pytest.mark.parametrize(
    "damage", [b"", b"<html></html>", b'<script type="application/octet-stream" id="index">AAAA</script>']
)
def test_what_is_no_page_is_told(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "page.html").write_bytes(damage)
    with pytest.raises(StoreError, match="is no page of stage=explore"):
        read_page(tmp_path / "page.html")
    with pytest.raises(StoreError, match="is no page of stage=explore"):
        read_page(tmp_path / "nothing.html")


def test_layers_are_named(tmp_path: Path) -> None:
    data = _written(made_up(), tmp_path / "page.html")
    assert data.index["layers"][data.index["layer"]]["name"] == LAYER
    assert data.index["names"] == {LAYER: {"3": "boat"}}
