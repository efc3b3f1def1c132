"""Statistics are found again by what determines them; what does not fit is refused by name."""

from dataclasses import replace
from pathlib import Path

import h5py
import pytest
import statistics_samples as samples

from lcrp.errors import StoreError
from lcrp.storage.location import StatisticsKey, content_hash, find_statistics, imported_key, statistics_path

KEY = StatisticsKey(
    model="yolov6",
    dataset="scenes",
    composite="epsilon_gamma_flat",
    identity={"model": {"checkpoint_sha256": "abc", "mean": (0.5, 0.5)}, "dataset": {"fingerprint": "f00"}},
    settings={"top_n": 40, "layers": ()},
)


def stored(root: Path, key: StatisticsKey, *, complete: bool = True) -> Path:
    return samples.write(statistics_path(root, key), complete=complete, config=key.config())


def with_settings(**settings: object) -> StatisticsKey:
    return replace(KEY, settings={**KEY.settings, **settings})


def with_checkpoint(sha256: str) -> StatisticsKey:
    return replace(KEY, identity={**KEY.identity, "model": {"checkpoint_sha256": sha256, "mean": (0.5, 0.5)}})


def test_the_place_depends_on_content_alone(tmp_path: Path) -> None:
    path = statistics_path(tmp_path, KEY)
    assert path.parent == tmp_path / "statistics" / "yolov6_scenes_epsilon_gamma_flat"
    turned = replace(KEY, identity=dict(reversed(KEY.identity.items())))
    assert statistics_path(tmp_path, turned) == path
    as_lists = with_settings(layers=[])
    assert statistics_path(tmp_path, as_lists) == path
    identity, settings = path.stem.split("-")
    assert statistics_path(tmp_path, with_settings(top_n=10)).stem.split("-")[0] == identity
    assert statistics_path(tmp_path, with_checkpoint("def")).stem.split("-")[1] == settings
    assert statistics_path(tmp_path, with_checkpoint("def")).stem.split("-")[0] != identity
    assert not path.parent.exists()


def test_the_hash_is_that_of_canonical_json() -> None:
    # printf '{"a":[1,null],"b":"\\u00fc"}' | sha256sum
    assert content_hash({"b": "ü", "a": (1, None)}) == (
        "e0cdee824cd756c78168d7aaabd92cc983a178a444bffd8597b2c61b51f4b1ce"
    )


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    path = statistics_path(tmp_path, replace(KEY, model="../../x"))
    assert path.parent.parent == tmp_path / "statistics"


def test_the_exact_match_comes_first(tmp_path: Path) -> None:
    exact = stored(tmp_path, KEY)
    stored(tmp_path, with_settings(top_n=10))
    assert find_statistics(tmp_path, KEY) == exact


def test_a_file_of_an_earlier_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    """What an earlier lcrp made is not passed over in silence."""
    path = stored(tmp_path, with_checkpoint("as it was named then"))
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2
    reason = r"has version 2 of the format lcrp-statistics, but this lcrp reads version 3: make .* anew"
    with pytest.raises(StoreError, match=reason) as caught:
        find_statistics(tmp_path, replace(KEY, command="lcrp stage=glocal"))
    assert caught.value.mend == "Make them: lcrp stage=glocal"
    with pytest.raises(StoreError, match=r"has version 2 of the format"):
        find_statistics(tmp_path, KEY, given=path)


def test_the_one_of_the_same_identity_fits(tmp_path: Path) -> None:
    other = stored(tmp_path, with_settings(top_n=10))
    stored(tmp_path, with_checkpoint("def"))
    stored(tmp_path, with_settings(top_n=20), complete=False)
    statistics_path(tmp_path, with_settings(top_n=30)).write_text("damaged")
    assert find_statistics(tmp_path, KEY) == other


def test_several_are_listed_with_what_differs(tmp_path: Path) -> None:
    for top_n in (10, 20):
        stored(tmp_path, with_settings(top_n=top_n))
    with pytest.raises(
        StoreError, match=r"2 statistics files fit: .*statistics\.top_n is 10 there and 40 here.*"
    ) as caught:
        find_statistics(tmp_path, KEY)
    assert "statistics.top_n is 20 there and 40 here" in str(caught.value)
    assert caught.value.mend == "Choose one: stage.statistics=PATH"


def test_stale_statistics_name_the_difference(tmp_path: Path) -> None:
    stored(tmp_path, with_checkpoint("def"))
    with pytest.raises(StoreError, match=r"stale: model\.checkpoint_sha256 is 'def' there and 'abc' here$"):
        find_statistics(tmp_path, KEY)


def test_the_nearest_of_the_stale_ones_is_named(tmp_path: Path) -> None:
    near = stored(tmp_path, with_checkpoint("def"))
    stored(tmp_path, replace(KEY, identity={"model": {"checkpoint_sha256": "ghi"}}))
    with pytest.raises(StoreError, match=f"'{near}' are stale"):
        find_statistics(tmp_path, KEY)


def test_without_any_the_command_is_given(tmp_path: Path) -> None:
    command = "lcrp stage=glocal model=yolov6"
    with pytest.raises(StoreError, match="there are no statistics in ") as caught:
        find_statistics(tmp_path, replace(KEY, command=command))
    assert caught.value.with_mend().endswith(f". Make them: {command}")
    with pytest.raises(StoreError) as caught:  # from Python, where there is no command line
        find_statistics(tmp_path, KEY)
    assert caught.value.mend == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_given_must_fit_too(tmp_path: Path) -> None:
    fits = stored(tmp_path / "elsewhere", with_settings(top_n=10))
    assert find_statistics(tmp_path, KEY, given=fits) == fits
    stale = stored(tmp_path / "elsewhere", with_checkpoint("def"))
    with pytest.raises(StoreError, match=r"does not fit: model\.checkpoint_sha256 is 'def' there and 'abc' here"):
        find_statistics(tmp_path, KEY, given=stale)
    with pytest.raises(StoreError, match="there is no file"):
        find_statistics(tmp_path, KEY, given=tmp_path / "absent.h5")


def test_keys_that_only_one_side_has_are_named(tmp_path: Path) -> None:
    stored(tmp_path, replace(KEY, identity={**KEY.identity, "model": {"mean": (0.5, 0.5), "score": "objectness"}}))
    with pytest.raises(StoreError) as caught:
        find_statistics(tmp_path, KEY)
    assert "model.checkpoint_sha256 is not set there and 'abc' here" in str(caught.value)
    assert "model.score is 'objectness' there and not set here" in str(caught.value)


def test_an_incomplete_or_damaged_exact_match_is_told(tmp_path: Path) -> None:
    path = stored(tmp_path, KEY, complete=False)
    with pytest.raises(StoreError, match="is incomplete"):
        find_statistics(tmp_path, KEY)
    path.write_text("damaged")
    with pytest.raises(StoreError, match="cannot be read"):
        find_statistics(tmp_path, KEY)


def test_imported_statistics_give_way_to_own_ones(tmp_path: Path) -> None:
    imported = stored(tmp_path, imported_key(KEY))
    other = stored(tmp_path, with_settings(top_n=10))
    assert imported != statistics_path(tmp_path, KEY)
    assert find_statistics(tmp_path, KEY) == imported
    assert find_statistics(tmp_path, with_settings(top_n=10)) == other
    own = stored(tmp_path, KEY)
    assert find_statistics(tmp_path, KEY) == own
    with pytest.raises(StoreError, match=r"statistics\.origin is 'zennit-crp' there and not set here"):
        find_statistics(tmp_path, with_settings(top_n=3))
