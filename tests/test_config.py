"""The schema of a run: what composes from `configs/` is what it allows, and a mistake is refused in one line."""

import dataclasses
import json
import typing
from types import UnionType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import REPOSITORY

from nstjax.cli import quote
from nstjax.config import Config, StyleConfig, from_dict, to_dict
from nstjax.errors import UserError
from nstjax.images import sizes
from nstjax.train import compose

CONFIGS = REPOSITORY / "configs"
GROUPS = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONFIGS.iterdir()}
GROUPS = {group: options for group, options in GROUPS.items() if options}  # but not Hydra's own, a level deeper
OPTIONS = [f"{group}={option}" for group, options in GROUPS.items() for option in options]

LEAST = {"objective": {"content": {"layers": ["relu4_2"]}}}  # the least that makes a run


def built(values):
    """A configuration from the least one and some nested changes."""

    def merged(old, new):
        both = {key: merged(old[key], new[key]) for key in old.keys() & new.keys() if isinstance(new[key], dict)}
        return {**old, **new, **both}

    return from_dict(merged(LEAST, values))


def refusal(values):
    with pytest.raises(UserError) as error:
        built(values)
    return str(error.value)


def leaves(schema, prefix=""):
    """Every field of the schema that is no group, with its key."""
    for each in dataclasses.fields(schema):
        if dataclasses.is_dataclass(each.type):
            yield from leaves(each.type, f"{prefix}{each.name}.")
        else:
            yield prefix + each.name, each


def nested(key, value):
    """{"a": {"b": value}} for "a.b"."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def scalars(hint, metadata):
    if "names" in metadata:
        return st.sampled_from(metadata["names"])
    if isinstance(hint, UnionType):
        return st.none() | scalars(typing.get_args(hint)[0], metadata)
    low, high = metadata.get("range", (0, 100))
    low, high = max(low, -1e6), min(high, 1e6)
    return {
        bool: st.booleans(),
        int: st.integers(int(low), int(high)),
        float: st.floats(low, high),
        str: st.text(min_size=1),
    }[hint]


def values(schema):
    """Values that the schema allows; every list has two entries (a color three), so that all lengths agree.

    Each style is compared at all layers: to name one that isn't compared at all would be refused.
    """
    strategies = {}
    for each in dataclasses.fields(schema):
        if dataclasses.is_dataclass(each.type):
            strategies[each.name] = values(each.type)
        elif schema is StyleConfig and each.name == "layers":
            strategies[each.name] = st.just([[], []])
        elif typing.get_origin(each.type) is tuple:
            entries = {"blend": 1, "background": 3}.get(each.name, 2)
            entry = scalars(typing.get_args(each.type)[0], each.metadata)
            strategies[each.name] = st.lists(
                entry, min_size=entries, max_size=entries, unique=each.name in ("layers", "pools")
            )
        elif typing.get_origin(each.type) is dict:
            strategies[each.name] = st.dictionaries(st.text(), st.none() | st.floats(allow_nan=False) | st.text())
        else:
            strategies[each.name] = scalars(each.type, each.metadata)
    return st.fixed_dictionaries(strategies)


def consistent(values):
    started = values["init"]["kind"] != "picture" or values["init"]["path"]
    given = all(values[picture]["name"] or values[picture]["path"] for picture in ("content", "style"))
    decays = values["optimizer"]["decay"] != "exponential" or values["optimizer"]["final"] > 0
    style = values["style"]
    sized = style["size"] is None or values["sizing"]["style"] != "content"
    regions = "rest" not in style["region"] or set(style["region"]) - {"rest", None}
    clamps = not (values["optimizer"]["clamp"] and values["optimizer"]["name"] == "lbfgs")
    fine = not style["fine"]["picture"] or set(style["fine"]["layers"]) & set(values["objective"]["style"]["layers"])
    return started and given and decays and clamps and sized and regions and fine and sum(style["shares"]) > 0


def test_the_defaults_build_without_any_file():
    config = Config()
    assert (config.size, config.seed, config.weights.source) == (512, 0, "caffe-8bit")


def test_the_default_command_composes():
    config = compose()
    assert (config.preset, config.content.name, config.style.name) == ("default", "grace_hopper", "starry")
    assert len(config.schedule.scales) == len(config.schedule.steps) > 1


@settings(deadline=None)
@given(values(Config).filter(consistent))
def test_a_configuration_survives_json_and_yaml(values):
    config = from_dict(values)
    assert from_dict(to_dict(config)) == config
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert from_dict(yaml.safe_load(yaml.safe_dump(to_dict(config)))) == config


@settings(deadline=None, max_examples=10)
@given(
    st.text(min_size=1),
    st.lists(st.text(min_size=1), max_size=3),
    st.floats(0, 3e38),
    st.lists(st.floats(0, 1e6), min_size=1, max_size=5),
)
def test_overrides_arrive_as_they_were_meant(name, blend, weight, layer_weights):
    """Names of any kind, floats of any size, and lists, through Hydra's grammar."""
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"][: len(layer_weights)]
    config = compose(
        [
            f"content.path={quote(name)}",
            f"style.blend=[{','.join(map(quote, blend))}]",
            f"objective.content_weight={weight!r}",
            f"objective.style.layers=[{','.join(layers)}]",
            f"objective.style.layer_weights={layer_weights!r}".replace(" ", ""),
        ]
    )
    assert (config.content.path, config.style.blend) == (name, tuple(blend))
    assert config.objective.content_weight == weight
    assert list(config.objective.style.weighted_layers()) == list(zip(layers, layer_weights, strict=True))


def test_an_optimizers_parameter_needs_no_plus():
    """Whichever of them its file has already."""
    config = compose(["optimizer=sgd", "optimizer.parameters.momentum=0.5"])
    assert config.optimizer.parameters == {"momentum": 0.5}
    with pytest.raises(UserError, match=r"unknown key 'optimizer.momentum'"):
        compose(["optimizer=sgd", "optimizer.momentum=0.5"])


@settings(deadline=None, max_examples=30)
@given(values(Config).filter(consistent))
def test_every_value_arrives_where_it_was_given(values):
    assert json.loads(json.dumps(to_dict(from_dict(values)))) == json.loads(json.dumps(values))


def test_there_is_a_group_for_every_choice_of_files():
    assert set(GROUPS) == {
        "color", "content", "experiment", "init", "optimizer", "parametrization", "preset", "scale", "schedule",
        "statistic", "style",
    }  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_every_file_of_every_group_composes(option):
    own_picture = ["init.path=photo.jpg"] if option == "init=picture" else []
    config = compose([option, *own_picture])
    group, _, name = option.partition("=")
    if group in ("content", "style"):
        assert getattr(config, group).name == name
    if group == "preset":
        assert config.preset == name
    if group == "statistic":
        assert config.objective.style.statistics() == (name,) * len(config.objective.style.layers)


def test_a_preset_gives_way_to_the_command_line():
    config = compose(["preset=gatys2016", "optimizer=adam", "size=300", "objective.style_weight=7"])
    assert (config.optimizer.name, config.size, config.objective.style_weight) == ("adam", 300, 7.0)
    assert config.sizing.edge == "short"


@pytest.mark.parametrize(
    ("key", "registry"),
    [("sizing.edge", sizes._EDGES), ("sizing.resample", sizes._RESAMPLE), ("sizing.space", sizes._SPACES)],
)
def test_names_of_sizing_are_those_of_its_room(key, registry):
    assert set(dict(leaves(Config))[key].metadata["names"]) == set(registry)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"typo": 1}, "unknown key 'typo'; the keys are preset, content, style, size, seed"),
        ({"objective": {"typo": 1}}, "'typo'; the keys in objective are content_weight, style_weight, tv_weight"),
        ({"objective": {"style": {"typo": 1}}}, "'typo'; the keys in objective.style are layers, layer_weights"),
        ({"objective": 3}, "objective is a group of keys (content_weight, style_weight"),
        ({"objective": {"tv": None}}, "objective.tv is a group of keys (form, pixel_range)"),
        ({"size": -1}, "size=-1 is out of range; it takes a number from 16 to 65536"),
        ({"size": 512.5}, "size=512.5 has the wrong type; it takes a whole number"),
        ({"size": True}, "size=true has the wrong type; it takes a whole number"),
        ({"size": 10**400}, "is out of range; it takes a number from 16 to 65536"),
        ({"seed": None}, "seed=null has the wrong type; it takes a whole number"),
        ({"seed": 2**32}, "seed=4294967296 is out of range"),
        ({"objective": {"style_weight": "abc"}}, "objective.style_weight='abc' has the wrong type; it takes a number"),
        ({"objective": {"style_weight": True}}, "objective.style_weight=true has the wrong type; it takes a number"),
        (
            {"objective": {"style_weight": float("nan")}},
            "objective.style_weight=nan is out of range; it takes",
        ),
        ({"objective": {"tv_weight": float("inf")}}, "objective.tv_weight=inf is out of range"),
        ({"objective": {"content_weight": -1e-9}}, "objective.content_weight=-1e-09 is out of range"),
        ({"objective": {"content_weight": 10**400}}, "is out of range; it takes a number from 0 to 3.4e+38"),
        ({"objective": {"content_weight": 1e300}}, "content_weight=1e+300 is out of range; it takes a number from 0"),
        ({"optimizer": {"average": 1.0}}, "optimizer.average=1.0 is out of range; it takes a number from 0 to 0.99999"),
        ({"optimizer": {"name": "adamm"}}, "optimizer.name=adamm is not known; choose one of lbfgs, adabelief, adam"),
        ({"optimizer": {"name": 3}}, "optimizer.name=3 has the wrong type; it takes text"),
        ({"optimizer": {"parameters": 3}}, "optimizer.parameters=3 has the wrong type; it takes keys and values"),
        ({"content": {"path": 3}}, "content.path=3 has the wrong type; it takes text"),
        ({"content": {"path": ""}}, "content.path is empty"),
        ({"objective": {"style": {"layers": ["conv9_9"]}}}, "conv9_9 is not known; choose one of conv1_1, relu1_1"),
        ({"objective": {"style": {"layers": {"a": 1}}}}, "layers={'a': 1} has the wrong type; it takes a list"),
        ({"schedule": {"steps": None}}, "schedule.steps=null has the wrong type; it takes a list"),
        ({"schedule": {"steps": [7.5]}}, "7.5 has the wrong type; it takes a whole number"),
        ({"schedule": {"steps": [False]}}, "false has the wrong type; it takes a whole number"),
        ({"schedule": {"steps": [-1]}}, "-1 is out of range; it takes a number from 0 to 1e+06"),
        ({"schedule": {"scales": [1.5]}}, "1.5 is out of range; it takes a number from 0.01 to 1"),
        (
            {"schedule": {"steps": [1, 2]}},
            "schedule.steps has 2 entries for the 1 of schedule.scales; give one for each",
        ),
        ({"schedule": {"steps": []}}, "schedule.steps"),
        ({"schedule": {"steps": [], "scales": []}}, "schedule.s"),
        (
            {"objective": {"style": {"layers": ["relu1_1"], "layer_weights": [1, 2]}}},
            "objective.style.layer_weights has 2 entries for the 1 of objective.style.layers; give one for each",
        ),
        ({"objective": {"content": {"layer_weights": [1, 2]}}}, "objective.content.layer_weights has 2 entries"),
        ({"objective": {"style": {"layers": ["relu1_1", "relu1_1"]}}}, "twice"),
        ({"objective": {"laplacian": {"pools": [4, 4]}}}, "objective.laplacian.pools=[4, 4] has a number twice"),
        ({"objective": {"style": {"statistic": []}}}, "objective.style.statistic is empty"),
        ({"style": {"scale": []}}, "style.scale is empty; give one, or leave the key out"),
        ({"style": {"blend": [""]}}, "style.blend is empty"),
        ({"objective": {"content": {"layers": []}}}, "neither objective.content.layers nor objective.style.layers"),
        (
            {"objective": {"content_weight": 1e30, "content": {"layer_weights": [1e9]}}},
            "objective.content_weight times objective.content.layer_weights is beyond 3.4e+38; give less",
        ),
        ({"style": {"shares": [1, 2]}}, "style.shares has 2 entries for the 1 of style and style.blend"),
        ({"style": {"shares": [0]}}, "style.shares are all zero; give at least one style a share"),
        ({"style": {"blend": ["a.jpg"], "shares": [0, 0.0]}}, "style.shares are all zero"),
        (
            {"style": {"scale": [1, 2]}},
            "style.scale has 2 entries for the 1 of style and style.blend; give",
        ),
        (
            {"style": {"blend": ["a.jpg", "b.jpg"], "mask": ["a.png", None]}},
            "style.mask has 2 entries for the 3 of",
        ),
        ({"style": {"region": ["a.png", "b.png"]}}, "style.region has 2 entries for the 1 of style"),
        ({"style": {"region": [""]}}, "style.region[0] is empty; give a file, or null for the whole picture"),
        ({"style": {"blend": ["a.jpg"], "mask": [None, ""]}}, "style.mask[1] is empty; give a file"),
        ({"style": {"region": ["rest"]}}, "style.region=rest is what no other region is; give another style"),
        (
            {"style": {"layers": [["relu1_1"]]}},
            "style.layers[0] names relu1_1, but objective.style.layers doesn't",
        ),
        ({"style": {"layers": ["relu9_1"]}}, "style.layers[0][0]=relu9_1 is not known; choose one of conv1_1"),
        ({"style": {"size": 64}, "sizing": {"style": "content"}}, "style.size and sizing.style=content contradict"),
        ({"init": {"kind": "picture"}}, "init=picture needs the picture's file: give init.path=FILE"),
        ({"optimizer": {"clamp": True}}, "optimizer.clamp=true would cut steps that lbfgs remembers"),
        ({"init": {"kind": "photo"}}, "init.kind=photo is not known; choose one of content, style, noise"),
    ],
)
def test_a_mistake_is_refused_in_one_line_that_names_it(values, text):
    said = refusal({"style": {"name": "starry"}, "content": {"name": "grace_hopper"}} | values)
    assert text in said
    assert "\n" not in said


def junk(hint, metadata):
    """Values that a field of this type must refuse, whatever else it takes."""
    if isinstance(hint, UnionType):
        return junk(typing.get_args(hint)[0], metadata).filter(lambda value: value is not None)
    nothing = st.none() | st.binary(max_size=3)
    if hint is bool:
        return nothing | st.text() | st.integers() | st.floats()
    nothing |= st.booleans()
    if typing.get_origin(hint) is tuple:
        entry = junk(typing.get_args(hint)[0], metadata)
        single = entry.filter(lambda value: not isinstance(value, list))  # a list of one
        return nothing | single | st.lists(entry, min_size=1, max_size=3)
    if typing.get_origin(hint) is dict:
        return nothing | st.text() | st.integers() | st.lists(st.none(), max_size=2)
    if hint is str:
        unknown = st.text().filter(lambda text: text not in metadata["names"]) if "names" in metadata else st.nothing()
        return nothing | st.integers() | st.lists(st.none(), max_size=2) | unknown
    if "names" in metadata:
        return nothing | st.text() | st.floats() | st.integers().filter(lambda number: number not in metadata["names"])
    low, high = metadata["range"]
    beyond = st.integers(max_value=int(low) - 1) | st.integers(min_value=2 * int(high) + 1)  # as a float, too
    numbers = st.just(float("nan")) if hint is float else st.floats()
    return nothing | st.text() | st.lists(st.none(), max_size=2) | beyond | numbers | st.sampled_from([1e300, -1e300])


@settings(deadline=None, max_examples=500)
@given(
    st.sampled_from(list(leaves(Config))).flatmap(
        lambda leaf: st.tuples(st.just(leaf[0]), junk(leaf[1].type, leaf[1].metadata))
    )
)
def test_whatever_no_key_can_hold_is_refused_in_one_line_that_begins_with_it(leaf):
    key, value = leaf
    said = refusal(nested(key, value))
    assert said.startswith(key)
    assert said.isprintable()


def test_an_entry_of_a_list_is_named_by_its_place():
    assert refusal({"schedule": {"scales": [1, 1], "steps": [7, "a"]}}).startswith("schedule.steps[1]='a'")


@pytest.mark.parametrize(("key", "leaf"), list(leaves(Config)))
def test_every_key_refuses_what_has_another_type(key, leaf):
    assert refusal(nested(key, object())).startswith(f"{key}=<object")


@pytest.mark.parametrize(
    ("key", "bounds"), [(key, leaf.metadata["range"]) for key, leaf in leaves(Config) if "range" in leaf.metadata]
)
def test_every_number_has_bounds_that_hold(key, bounds):
    for beyond in (bounds[0] - 1, type(bounds[1])(bounds[1] * 1.01 + 1)):
        is_list = "tuple" in str(dict(leaves(Config))[key].type)
        assert "is out of range" in refusal(nested(key, [beyond] if is_list else beyond))


def test_a_whole_number_does_where_a_number_is_asked_for():
    config = built({"objective": {"style_weight": 1000}, "schedule": {"scales": [1]}})
    assert type(config.objective.style_weight) is float
    assert type(config.schedule.scales[0]) is float


def test_layers_without_weights_weigh_one_each():
    config = built({"objective": {"style": {"layers": ["relu1_1", "relu2_1"]}}})
    assert list(config.objective.style.weighted_layers()) == [("relu1_1", 1.0), ("relu2_1", 1.0)]


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        compose().size = 3


def test_a_single_value_is_a_list_of_one():
    assert compose(["schedule.scales=1", "schedule.steps=7"]).schedule.steps == (7,)
    style = compose(["objective.style.layers=relu1_1", "objective.style.layer_weights=0.5"]).objective.style
    assert list(style.weighted_layers()) == [("relu1_1", 0.5)]


def test_a_single_weight_or_statistic_is_for_all_layers():
    style = compose(["objective.style.layers=[relu1_1,relu2_1]", "objective.style.layer_weights=0.5"]).objective.style
    assert list(style.weighted_layers()) == [("relu1_1", 0.5), ("relu2_1", 0.5)]
    assert style.statistics() == ("gram", "gram")
