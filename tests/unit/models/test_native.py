"""Models in their libraries' own formats predict what the library does when it is called directly."""

import base64
import functools
import zlib

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression

from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models import lightgbm as of_lightgbm
from scoreline.models import onnx as of_onnx
from scoreline.models import xgboost as of_xgboost

NAMES = ("a", "b", "c")
_ROWS = 300


@functools.cache
def learned():
    """(frame of numbers with holes, the same with a column of categories, target)."""
    rng = np.random.default_rng(7)
    numbers = pd.DataFrame(rng.normal(size=(_ROWS, 3)), columns=NAMES)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    kinds = rng.choice(["x", "y", "z"], _ROWS).astype(object)
    kinds[:20] = None
    target = numbers.a.fillna(0) + 3 * (kinds == "x") - (kinds == "z") + rng.normal(size=_ROWS) / 10
    return numbers, numbers.assign(k=pd.Categorical(kinds)), target.to_numpy()


def classes(count):
    target = learned()[2]
    return np.searchsorted(np.quantile(target, np.linspace(0, 1, count + 1)[1:-1]), target)


def polars_of(frame):
    return pl.DataFrame({name: values.astype(object).where(values.notna(), None) for name, values in frame.items()})


def said(native, predict="value", names=NAMES, frame=None):
    """What Scoreline predicts: an array of one or more columns."""
    rows = polars_of(learned()[0] if frame is None else frame)
    values = native.adapt(names, {}, 100, predict).predict(rows).values
    return values.struct.unnest().to_numpy() if isinstance(values.dtype, pl.Struct) else values.to_numpy()


def same(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert (found == expected.astype(found.dtype)).all()


# --- XGBoost --------------------------------------------------------------------------------------------------------


def stored(model, suffix, tmp_path):
    path = tmp_path / f"m.{suffix}"
    model.save_model(path)
    return of_xgboost.read(path.read_bytes(), str(path))


XGB = {"n_estimators": 5, "max_depth": 3}


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboost_s_classifiers_predict_labels_and_probabilities(tmp_path, suffix):
    numbers, _, _ = learned()
    two = xgboost.XGBClassifier(**XGB).fit(numbers, classes(2))
    three = xgboost.XGBClassifier(**XGB).fit(numbers, classes(3))
    for model in (two, three):
        native = stored(model, suffix, tmp_path)
        same(said(native), model.predict(numbers))
        same(said(native, "probabilities"), model.predict_proba(numbers))
        assert native.about()["made_with"] == {"xgboost": xgboost.__version__}
    same(said(stored(two, suffix, tmp_path), "probability"), two.predict_proba(numbers)[:, 1])
    with pytest.raises(ModelInvalid, match="has 3: 0, 1, 2"):
        said(stored(three, suffix, tmp_path), "probability")


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "multi:softprob", "multi:softmax"])
def test_a_booster_predicts_what_it_does_itself(tmp_path, objective):
    numbers, _, target = learned()
    count = {"b": 2, "m": 3}.get(objective[0])
    more = {"num_class": 3} if count == 3 else {}
    data = xgboost.DMatrix(numbers, classes(count) if count else target)
    booster = xgboost.train({"objective": objective, "max_depth": 3, "booster": "dart"} | more, data, 5)
    native = stored(booster, "ubj", tmp_path)
    same(said(native), booster.predict(xgboost.DMatrix(numbers)))
    wrapper = xgboost.XGBRegressor(**XGB, booster="dart").fit(numbers, target)
    same(said(stored(wrapper, "ubj", tmp_path)), wrapper.predict(numbers))
    shuffled = native.adapt(("c", "a", "b"), {}, None, "value").predict(polars_of(numbers[["c", "a", "b"]]))
    assert shuffled.values.equals(native.adapt(NAMES, {}, None, "value").predict(polars_of(numbers)).values)


def test_a_linear_booster_an_early_stop_and_several_outputs(tmp_path):
    numbers, _, target = learned()
    whole = numbers.fillna(0)
    linear = xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(whole, target), 3)
    same(said(stored(linear, "json", tmp_path), frame=whole), linear.predict(xgboost.DMatrix(whole)))
    early = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=2)
    early.fit(numbers[:200], target[:200], eval_set=[(numbers[200:], target[200:])], verbose=False)
    assert early.best_iteration + 1 < early.get_booster().num_boosted_rounds()
    same(said(stored(early, "json", tmp_path)), early.predict(numbers))
    several = xgboost.XGBRegressor(**XGB).fit(numbers, np.stack([target, -target], axis=1))
    same(said(stored(several, "json", tmp_path)), several.predict(numbers))


def test_xgboost_s_categories_go_by_their_names_and_others_are_refused(tmp_path):
    _, frame, target = learned()
    model = xgboost.XGBRegressor(**XGB, enable_categorical=True).fit(frame, target)
    native = stored(model, "ubj", tmp_path)
    same(said(native, names=(*NAMES, "k"), frame=frame), model.predict(frame))
    rows = pl.DataFrame({"a": [1.0] * 3, "b": [0.0] * 3, "c": [0.0] * 3, "k": ["x", "new", None]})
    with pytest.raises(ModelFailed, match="never seen") as caught:
        native.adapt((*NAMES, "k"), {}, None, "value").predict(rows)
    assert caught.value.facts["unseen"] == {"k": [1]}
    whole = frame.assign(k=pd.Categorical(frame.k.map({"x": 7, "y": 3, "z": 5})))
    numbered = xgboost.XGBRegressor(**XGB, enable_categorical=True).fit(whole, target)
    same(said(stored(numbered, "json", tmp_path), names=(*NAMES, "k"), frame=whole), numbered.predict(whole))


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("names", [("Köln1", "Köln2", "red"), ("abc", "é", "z"), ("x", "y", "\N{GRINNING FACE}")])
def test_categories_whose_names_xgboost_has_cut_wrongly_are_refused(tmp_path, names, suffix):
    _, frame, target = learned()
    frame = frame.assign(k=frame.k.cat.rename_categories(dict(zip("xyz", names, strict=True))))
    native = stored(xgboost.XGBRegressor(**XGB, enable_categorical=True).fit(frame, target), suffix, tmp_path)
    with pytest.raises(ModelInvalid, match="the categories of 'k' have letters that are not ASCII"):
        native.adapt((*NAMES, "k"), {}, None, "value")


def test_text_where_xgboost_reads_a_number_is_refused(tmp_path):
    native = stored(xgboost.XGBRegressor(**XGB).fit(*learned()[::2]), "json", tmp_path)
    with pytest.raises(ModelInvalid, match=r"reads 'a' as a number, and the job makes it String"):
        native.adapt(NAMES, {}, None, "value").predict(pl.DataFrame({"a": ["1"], "b": [1.0], "c": [2]}))
    with pytest.raises(ModelInvalid, match="reads 'c', which the job's features do not declare"):
        native.adapt(("a", "b"), {}, None, "value")
    with pytest.raises(ModelInvalid, match="gives no probabilities"):
        native.adapt(NAMES, {}, None, "probability")


def test_xgboost_without_names_reads_by_position(tmp_path):
    numbers, _, target = learned()
    model = xgboost.XGBRegressor(**XGB).fit(numbers.to_numpy(), target)
    native = stored(model, "ubj", tmp_path)
    same(said(native, names=("a", "b", "c")), model.predict(numbers.to_numpy()))
    with pytest.raises(ModelInvalid, match="reads 3 features by position, the job declares 2"):
        native.adapt(("a", "b"), {}, None, "value")


OLD = zlib.decompress(
    base64.b64decode(
        "eNpLysxLY2BgsGdigABGKM0EZTMiidEa8EPppMy8xKJKq5z89MziksxkNqhwelJJUWoqPR1EDkB3H9MgcO9/JAAVaoBS9gg2wp2c"
        "UDo/KSs1uSSzLNUFKlCtlJeYm6pkpYQWRUo6SkWp6fE5+cXF8QWJRYm5SlbVSsXJiTmp8QX5xfHlqZnpGSVAbYZKtbUAIvE00A=="
    )
)
"""One tree of two numbers, as XGBoost 2.1.4 wrote it into a file that ends in .deprecated."""


def test_xgboost_s_old_binary_format_is_refused_with_what_to_do():
    for content in (OLD, OLD[4:]):  # before 1.0 without its first word
        with pytest.raises(ModelInvalid, match="old binary format") as caught:
            of_xgboost.read(content, "m.model")
        assert "save_model('model.ubj')" in caught.value.hint


# --- LightGBM -------------------------------------------------------------------------------------------------------


def kept_text(model):
    booster = getattr(model, "booster_", model)
    return of_lightgbm.read(booster.model_to_string().encode(), "m.txt")


LGB = {"n_estimators": 5, "num_leaves": 7, "verbose": -1}


def test_lightgbm_predicts_numbers_and_probabilities():
    numbers, _, target = learned()
    regressor = lightgbm.LGBMRegressor(**LGB).fit(numbers, target)
    same(said(kept_text(regressor)), regressor.predict(numbers))
    two = lightgbm.LGBMClassifier(**LGB).fit(numbers, classes(2))
    same(said(kept_text(two)), two.predict_proba(numbers)[:, 1])
    same(said(kept_text(two), "probability"), two.predict_proba(numbers)[:, 1])
    same(said(kept_text(two), "probabilities"), two.predict_proba(numbers))
    for objective in ("multiclass", "multiclassova"):
        three = lightgbm.LGBMClassifier(**LGB, objective=objective).fit(numbers, classes(3))
        same(said(kept_text(three)), three.predict_proba(numbers))
        same(said(kept_text(three), "probabilities"), three.predict_proba(numbers))


def test_lightgbm_s_categories_go_by_their_names_and_others_count_as_missing():
    _, frame, target = learned()
    names = ("a b", *NAMES[1:], "k")
    frame = frame.rename(columns={"a": "a b"})
    model = lightgbm.LGBMRegressor(**LGB, min_data_per_group=5).fit(frame, target)
    native = kept_text(model)
    same(said(native, names=names, frame=frame), model.predict(frame))
    new = frame.assign(k=pd.Categorical(np.where(frame.k == "x", "new", frame.k)))
    same(said(native, names=names, frame=new), model.predict(new))
    found = native.adapt(names, {}, None, "value").predict(polars_of(new))
    assert found.unseen == {"k": int((frame.k == "x").sum())}
    with pytest.raises(ModelInvalid, match="learned 'k' as categories such as 'x', 'y', 'z', and the job makes it"):
        native.adapt(names, {}, None, "value").predict(polars_of(new.assign(k=1)))


def test_lightgbm_without_names_reads_by_position_and_a_file_cut_between_trees_is_refused():
    numbers, _, target = learned()
    booster = lightgbm.train(LGB | {"objective": "regression"}, lightgbm.Dataset(numbers.to_numpy(), target))
    same(
        said(kept_text(booster), names=("x", "y", "z"), frame=numbers.set_axis(["x", "y", "z"], axis=1)),
        booster.predict(numbers),
    )
    text = booster.model_to_string()
    with pytest.raises(ModelInvalid, match="its trees do not end"):
        of_lightgbm.read(text[: text.index("Tree=3")].encode(), "m.txt")


def test_columns_of_categories_that_cannot_be_told_apart_are_refused():
    _, frame, target = learned()
    ordered = frame.assign(o=pd.Categorical(frame.k, ordered=True))
    native = kept_text(lightgbm.LGBMRegressor(**LGB).fit(ordered, target))
    with pytest.raises(ModelInvalid, match="learned 2 columns of categories and treats 1 as such"):
        native.adapt((*NAMES, "k", "o"), {}, None, "value")


# --- ONNX -----------------------------------------------------------------------------------------------------------


def session_of(content):
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical(), pl.Enum(["x", "y", "z"])], ids=str)
def test_text_is_a_category_whatever_its_type(tmp_path, kind):
    _, frame, target = learned()
    names = (*NAMES, "k")
    rows = polars_of(frame).with_columns(pl.col("k").cast(pl.String).cast(kind))
    forests = xgboost.XGBRegressor(**XGB, enable_categorical=True), lightgbm.LGBMRegressor(**LGB, min_data_per_group=5)
    natives = stored(forests[0].fit(frame, target), "ubj", tmp_path), kept_text(forests[1].fit(frame, target))
    for forest, native in zip(forests, natives, strict=True):
        found = native.adapt(names, {}, None, "value").predict(rows)
        same(found.values.to_numpy(), forest.predict(frame))
        assert found.unseen == {}
    assert of_onnx._typed(rows["k"].drop_nulls(), "tensor(string)").dtype == pl.String


def onnx_of(model, sample, **options):
    content = to_onnx(model, sample, **options).SerializeToString()
    return of_onnx.read(content, "m.onnx"), session_of(content)


@pytest.mark.parametrize("zipmap", [True, False])
def test_onnx_classifiers_give_labels_and_probabilities(zipmap):
    whole = learned()[0].fillna(0)
    matrix = whole.to_numpy().astype("float32")
    labels = np.array(["b", "a", "c"])[classes(3)]
    for target, count in ((labels, 3), (classes(2) * 5 - 3, 2)):
        model = LogisticRegression().fit(matrix, target)
        native, session = onnx_of(model, matrix[:1], options={id(model): {"zipmap": zipmap}})
        label, probabilities = session.run(None, {"X": matrix})
        table = np.array([list(row.values()) for row in probabilities]) if zipmap else probabilities
        assert native.about()["classes"] == [str(one) for one in model.classes_]
        assert said(native, frame=whole).tolist() == label.tolist()
        same(said(native, "probabilities", frame=whole), table)
        if count == 2:
            same(said(native, "probability", frame=whole), table[:, 1])


def test_onnx_regressors_of_one_tensor_and_of_a_tensor_for_each_column():
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    _, frame, target = learned()
    whole = frame.assign(k=frame.k.astype(object).fillna("y"))[["a", "k"]].fillna(0)
    matrix = frame[list(NAMES)].fillna(0).to_numpy().astype("float32")
    native, session = onnx_of(LinearRegression().fit(matrix, np.stack([target, -target], 1)), matrix[:1])
    same(said(native, frame=pd.DataFrame(matrix, columns=NAMES)), session.run(None, {"X": matrix})[0])
    encode = ColumnTransformer([("k", OneHotEncoder(handle_unknown="ignore"), ["k"])], remainder="passthrough")
    kinds = [("a", FloatTensorType([None, 1])), ("k", StringTensorType([None, 1]))]
    content = convert_sklearn(make_pipeline(encode, LinearRegression()).fit(whole, target), initial_types=kinds)
    content = content.SerializeToString()
    native = of_onnx.read(content, "m.onnx")
    feeds = {"a": whole[["a"]].to_numpy().astype("float32"), "k": whole[["k"]].to_numpy().astype(object)}
    same(said(native, names=("k", "a"), frame=whole), session_of(content).run(None, feeds)[0].ravel())
    model = native.adapt(("a", "k"), {}, None, "value")
    with pytest.raises(ModelFailed, match=r"reads 'k' as tensor\(string\), and some values are missing"):
        model.predict(pl.DataFrame({"a": [1.0, 2.0], "k": ["x", None]}))
    with pytest.raises(ModelInvalid, match=r"reads 'a' as tensor\(float\), and the job makes it String"):
        model.predict(pl.DataFrame({"a": ["1"], "k": ["x"]}))


def test_an_onnx_model_in_several_files_is_refused():
    import onnx

    weights = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1, 1], np.zeros(1, "float32").tobytes(), raw=True)
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    graph = onnx.helper.make_graph([], "g", [], [], initializer=[weights])
    with pytest.raises(ModelInvalid, match="keeps numbers in files beside it"):
        of_onnx.read(onnx.helper.make_model(graph).SerializeToString(), "m.onnx")
