"""Reading and splitting ratings: nothing lost, nothing from the future, every problem by line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from apps.recommendation import contract_cases
from apps.recommendation.config import VARIANTS, RecommendationConfig
from apps.recommendation.data import load_splits, ranking_splits
from apps.recommendation.linear import Trend
from shared.config import parse_config
from shared.data import rating_splits
from shared.data.ratings import by_user, read_ratings
from shared.files.errors import DataError


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path):
    contract_cases.tiny_dataset(tmp_path)
    return read_ratings(tmp_path)


@pytest.fixture
def config(tmp_path):
    return parse_config(RecommendationConfig, VARIANTS, contract_cases.tiny_dataset(tmp_path / "own"))


def test_any_usual_header_is_read(tmp_path):
    one = write(tmp_path / "a.csv", "userId,movieId,rating,timestamp", "7,31,2.5,100", "7,32,4,90")
    two = write(tmp_path / "b.csv", "Item_ID;User;Stars", "x;7;2.5", "y;7;4")
    ratings = read_ratings(one)
    assert ratings.items.ids == ["31", "32"]
    # In order of time.
    assert ratings.rating.tolist() == [4.0, 2.5]
    other = read_ratings(two)
    assert other.items.ids == ["x", "y"]
    assert any("order of the lines" in n for n in other.notes)


def test_every_bad_row_is_named_by_line(tmp_path):
    path = write(
        tmp_path / "r.csv",
        "user,item,rating,timestamp",
        "1,1,3,5",
        "1,2,9,5",
        ",3,3,5",
        "1,4,good,5",
        "1,5,3,soon",
    )
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "r.csv:3: rating must be from 0.5 to 5, received 9" in text
    assert "r.csv:4: user or item is empty" in text
    assert "r.csv:5: rating must be a number, received 'good'" in text
    assert "r.csv:6: timestamp must be seconds since 1970, received 'soon'" in text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b,c", "1,2,3"], "no column user, item, rating; its columns are a, b, c"),
        (["user,item,rating"], "has a header and no rows"),
        ([""], "is empty"),
    ],
)
def test_wrong_tables(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read_ratings(write(tmp_path / "r.csv", *lines))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_ratings(tmp_path / "none.csv")


def test_the_latest_of_duplicate_ratings_counts(tmp_path):
    path = write(tmp_path / "r.csv", "user,item,rating,timestamp", "1,1,5,200", "1,1,2,100", "1,2,3,150")
    ratings = read_ratings(path)
    assert len(ratings) == 2
    assert dict(zip(ratings.item.tolist(), ratings.rating.tolist(), strict=True)) == {0: 5.0, 1: 3.0}
    assert any("1 ratings of a film its user had rated before" in n for n in ratings.notes)


def test_items_bring_titles_years_and_genres(tmp_path):
    path = write(tmp_path / "ratings.csv", "user,item,rating", "1,a,3", "1,zz,3")
    write(
        tmp_path / "items.csv", "item,title,genres", 'a,"Film, A (1995)",Drama|War', "b,Unrated (2001),Comedy"
    )
    ratings = read_ratings(path)
    assert ratings.items.ids == ["a", "b", "zz"]
    assert ratings.items.titles[0] == "Film, A (1995)"
    assert ratings.items.years.tolist() == [1995, 2001, 0]
    assert ratings.items.genres[0] == ["Drama", "War"]
    assert any("1 rated items are not in items.csv (e.g. zz)" in n for n in ratings.notes)


def test_an_item_twice_is_an_error(tmp_path):
    path = write(tmp_path / "ratings.csv", "user,item,rating", "1,a,3")
    write(tmp_path / "items.csv", "item,title", "a,A", "a,B")
    with pytest.raises(DataError, match=r"items.csv:3: item 'a' stands here for the second time"):
        read_ratings(path)


def test_rows_of_one_second_are_not_in_file_order(tmp_path):
    lines = [f"1,{i},3,100" for i in range(100)]
    ratings = read_ratings(write(tmp_path / "r.csv", "user,item,rating,timestamp", *lines))
    assert sorted(ratings.item.tolist()) == list(range(100))
    assert ratings.item.tolist() != list(range(100))


def test_split_by_time_never_looks_ahead(table):
    part = rating_splits.split_by_time(table)
    for _, rows in by_user(table):
        times, own = table.time_s[rows], part[rows]
        assert {0, 1, 2} == set(own.tolist())
        assert times[own == 0].max() <= times[own == 1].min()
        assert times[own == 1].max() <= times[own == 2].min()


def test_a_test_history_holds_only_its_past_and_a_test_target_only_likes(table, config):
    splits = ranking_splits(table, rating_splits.split_by_time(table), config)
    fitted = {(int(u), int(i)) for u, i in zip(splits.ratings.user, splits.ratings.item, strict=True)}
    assert len(splits.test) == len(splits.validation) == 60
    for user, (validation, test) in enumerate(zip(splits.validation, splits.test, strict=True)):
        for history in (validation, test):
            assert not set(history.items.tolist()) & set(history.targets.tolist())
            assert not history.input.targets.size
            if len(history.targets):
                assert history.days.max() <= history.target_days.min()
                assert history.target_ratings.min() >= config.liked
        held = {(user, int(i)) for h in (validation, test) for i in h.targets}
        assert not held & fitted, "the model would be fitted on what it is asked"


def test_changing_the_future_changes_nothing_a_model_sees(table, config):
    """Every test rating is replaced; the data to fit on, all histories and all trends stay as they were."""
    part = rating_splits.split_by_time(table)
    other = dataclasses.replace(
        table, rating=np.where(part == rating_splits.TEST, 5.5 - table.rating, table.rating)
    )
    for kind in ("train", "train+validation"):
        chosen = dataclasses.replace(config, fit_on=kind)
        one, two = ranking_splits(table, part, chosen), ranking_splits(other, part, chosen)
        assert (one.ratings.rating == two.ratings.rating).all()
        for first, second in zip(one.test, two.test, strict=True):
            assert (first.ratings == second.ratings).all()
            assert (first.trend == second.trend).all()


def test_the_trend_knows_nothing_later(table):
    """What was liked at a time is the same whether the ratings after it exist or not."""
    moments = np.quantile(table.time_s, [0.2, 0.5, 0.8])
    whole = Trend(table)
    for moment in moments:
        past = Trend(table[table.time_s <= moment])
        # The last sum before the moment is on the same grid: both tables begin at the same first rating.
        assert np.allclose(whole.at(moment), past.at(moment))
        assert whole.at(moment).max() >= 0


def test_films_of_later_years_are_marked(table):
    trend = Trend(table).at(0.0)  # 1970
    assert (trend[table.items.years > 1971] == Trend.UNRELEASED).all()
    assert (trend[table.items.years <= 1970] == 0).all()


def test_users_are_whole_in_a_split_by_user(table):
    part = rating_splits.split_users(table, 0.2, 0.3)
    assert all(len(set(part[rows].tolist())) == 1 for _, rows in by_user(table))
    assert set(part.tolist()) == {0, 1, 2}


def test_the_random_split_is_fixed_and_of_the_asked_size():
    part = rating_splits.split_at_random(100_000, 0.1, 0.1)
    assert (part == rating_splits.split_at_random(100_000, 0.1, 0.1)).all()
    assert abs((part == 2).mean() - 0.1) < 0.005
    assert abs((part == 1).mean() - 0.1) < 0.005


def test_star_targets_are_not_in_their_history(config):
    splits = load_splits(dataclasses.replace(config, model="neural"))
    for history in splits.test:
        assert not set(history.items.tolist()) & set(history.targets.tolist())
    asked = sum(len(h.targets) for part in (splits.validation, splits.test) for h in part)
    assert asked + len(splits.ratings) == len(Path(config.data, "ratings.csv").read_text().splitlines()) - 1


@pytest.mark.slow
def test_two_million_rows_are_read_whole(tmp_path):
    rng = np.random.default_rng(0)
    n = 2_000_000
    pairs = rng.permutation(4000 * 1000)[:n]
    path = tmp_path / "ratings.csv"
    with path.open("w") as stream:
        stream.write("user,item,rating,timestamp\n")
        rows = np.stack([pairs // 1000, pairs % 1000, pairs % 5 + 1, pairs], axis=1)
        np.savetxt(stream, rows, fmt="%d", delimiter=",")
    ratings = read_ratings(path)
    assert len(ratings) == n
    assert ratings.rating.sum() == (pairs % 5 + 1).sum()


def test_a_stream_gives_every_row_once(tmp_path):
    from shared.data.rating_stream import rating_chunks, stream_ratings

    path = write(
        tmp_path / "r.csv", "userId,movieId,rating", *[f"{i},{i % 7},{1 + i % 5}" for i in range(103)]
    )
    seen = [u for user, _, _ in rating_chunks(path, 10) for u in user]
    assert seen == list(range(103))
    batches = list(stream_ratings(path, 8, chunk_rows=20))
    users = np.concatenate([b[0][0].numpy() for b in batches])
    stars = np.concatenate([b[1].numpy() for b in batches])
    assert sorted(users.tolist()) == list(range(103))
    assert users.tolist() != list(range(103)), "a chunk is shuffled"
    assert (stars == 1 + users % 5).all()


def test_a_stream_names_a_bad_line(tmp_path):
    from shared.data.rating_stream import rating_chunks

    path = write(tmp_path / "r.csv", "user,item,rating", "1,1,3", "1,2,3", "1,x,3", "1,4,3")
    with pytest.raises(DataError, match=r"r.csv:4: needs three numbers, received 1,x,3"):
        list(rating_chunks(path, 2))


def test_tfds_names(tmp_path):
    """A data set with MovieLens's columns, made on the spot and read by the same code as tfds:movielens/..."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from shared.data.rating_tfds import read_tfds_ratings

    genres = tfds.features.Sequence(tfds.features.ClassLabel(names=["Action", "Drama", "(no genres listed)"]))
    features = tfds.features.FeaturesDict(
        {
            "user_id": np.str_, "movie_id": np.str_, "movie_title": np.str_, "user_rating": np.float32,
            "timestamp": np.int64, "movie_genres": genres,
        }
    )  # fmt: skip
    rows = [("a", "10", "Ten (1999)", 4.0, 30, [1]), ("a", "11", "Eleven (2001)", 2.0, 20, [0, 1]),
            ("b", "10", "Ten (1999)", 3.5, 10, [1]), ("b", "12", "Twelve (1980)", 5.0, 40, [2])]  # fmt: skip
    names = ("user_id", "movie_id", "movie_title", "user_rating", "timestamp", "movie_genres")
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        "made_ratings", "1.0.0", features,
        {"train": [(k, dict(zip(names, r, strict=True))) for k, r in enumerate(rows)]}, data_dir=tmp_path,
    )  # fmt: skip
    assert builder.info.splits["train"].num_examples == 4
    ratings = read_tfds_ratings("made_ratings", str(tmp_path))
    assert len(ratings) == 4
    code = ratings.items.ids.index("11")
    assert ratings.items.titles[code] == "Eleven (2001)"
    assert ratings.items.genres[code] == ["Action", "Drama"]
    assert ratings.items.genres[ratings.items.ids.index("12")] == []
    assert ratings.rating[ratings.user == ratings.user_ids.index("a")].tolist() == [2.0, 4.0]


def test_an_unknown_tfds_name_is_explained(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from shared.data.rating_tfds import read_tfds_ratings

    with pytest.raises(DataError, match="movielens/latest-small-ratings"):
        read_tfds_ratings("no_such_data_set_at_all", str(tmp_path))
