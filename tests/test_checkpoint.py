"""Checkpoints come back to the bit, or not at all."""

import logging
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from permissions import binding
from small_runs import environment

from nstjax import checkpoint, optimize, optimizers
from nstjax.errors import UserError


class Tree(NamedTuple):
    image: Any
    inner: tuple[Any, dict[str, Any]]


def tree(seed=0):
    image = np.random.default_rng(seed).normal(size=(5, 4, 3)).astype(np.float32)
    return Tree(jnp.asarray(image), (jnp.int32(seed), {"a": jnp.zeros((0, 3)), "b": jnp.float32(jnp.nan)}))


def saved(folder, *numbers):
    """Checkpoints of these numbers, each of a tree of its own."""
    for number in numbers:
        checkpoint.save(folder, number, tree(number), {"number": number})
    return folder


def same(one, other):
    """Whether two trees are equal to the bit, NaNs and all."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() and a.dtype == b.dtype for a, b in pairs)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
leaves = st.one_of(
    arrays.arrays(st.sampled_from([np.float32, np.int32, np.uint8, np.bool_]), shapes),
    arrays.arrays(np.uint16, shapes).map(lambda bits: bits.view(jnp.bfloat16)),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(leaves, max_size=3), leaves)
def test_any_tree_comes_back_to_the_bit_with_its_facts(tmp_path_factory, several, one):
    whole = Tree(several, (one, {"b": one.T}))  # also what doesn't lie in memory row by row
    folder = tmp_path_factory.mktemp("any")
    checkpoint.save(folder, 1, whole, {"scale": 2, "seconds": 0.1, "name": "画像\udce9"})
    found = checkpoint.newest(folder)
    assert found.facts == {"scale": 2, "seconds": 0.1, "name": "画像\udce9"}
    again = checkpoint.restore(found, whole)
    assert jax.tree.structure(again) == jax.tree.structure(whole)
    assert same(again, whole)


@pytest.mark.parametrize(
    ("name", "parameters"), [*((name, {}) for name in optimizers.OPTIMIZERS), ("lbfgs", {"half_history": True})]
)
def test_the_state_of_every_optimizer_comes_back(name, parameters, tmp_path):
    """A template of shapes is enough. None of the checkpoint's own arrays is kept alive."""
    optimizer, image = optimizers.create(name, parameters, 5), tree().image

    def start(image):
        return optimize.start(image, optimizer.init(image))

    checkpoint.save(tmp_path, 1, start(image), {})
    found = checkpoint.newest(tmp_path)
    assert same(checkpoint.restore(found, jax.eval_shape(start, image)), start(image))
    assert not found.arrays


def test_the_last_two_are_kept_and_the_newest_is_found(tmp_path):
    saved(tmp_path, 3, 100000001, 20, 100000002)
    assert names(tmp_path) == ["100000001.npz", "100000002.npz"]
    assert checkpoint.newest(tmp_path).facts == {"number": 100000002}
    assert checkpoint.exists(tmp_path)


def test_none_is_none(tmp_path):
    assert checkpoint.newest(tmp_path / "nowhere") is None
    assert not checkpoint.exists(tmp_path / "nowhere")
    checkpoint.remove(tmp_path / "nowhere")


def test_all_are_removed_and_what_is_the_users_stays(tmp_path):
    checkpoint.remove(saved(tmp_path / "a", 1, 2))
    assert not (tmp_path / "a").exists()
    saved(tmp_path / "b", 1, 2)
    (tmp_path / "b" / "notes.npz").write_text("")
    checkpoint.remove(tmp_path / "b")
    assert names(tmp_path / "b") == ["notes.npz"]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damage_is_found_and_the_one_before_is_taken(tmp_path_factory, data):
    """Any bit flipped, any end cut off. Bits that a zip file doesn't need (dates, say) change nothing."""
    folder = saved(tmp_path_factory.mktemp("damaged"), 1, 2)
    path = folder / "00000002.npz"
    whole = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del whole[position:]
    path.write_bytes(whole)
    found = checkpoint.newest(folder)
    assert same(checkpoint.restore(found, tree()), tree(found.facts["number"]))


def test_damage_is_said_in_the_log(tmp_path, caplog):
    path = saved(tmp_path, 1, 2) / "00000002.npz"
    whole = bytearray(path.read_bytes())
    whole[whole.index(np.asarray(tree(2).image).tobytes()[:16])] ^= 1
    path.write_bytes(whole)
    with caplog.at_level(logging.WARNING):
        assert checkpoint.newest(tmp_path).facts == {"number": 1}
    assert f"the checkpoint {path} is damaged (Bad CRC-32" in caplog.text
    (tmp_path / "00000001.npz").write_bytes(b"")
    assert checkpoint.newest(tmp_path) is None


@contextmanager
def no_more_files():
    """No file can be opened: EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("trouble", ["a file", "its folder", "too many open files"])
def test_what_cannot_be_read_is_not_damage(trouble, tmp_path, caplog):
    """And it is no reason to begin anew, which removes it."""
    path = saved(tmp_path / "checkpoints", 1, 2) / "00000002.npz"
    if trouble == "a file":
        path.chmod(0)
    if trouble == "its folder":
        path.parent.chmod(0o111)
    within = no_more_files() if trouble == "too many open files" else binding()
    with pytest.raises(UserError, match=r"can't be read \(.+\); mend that, or leave out resume=true") as error, within:
        checkpoint.newest(path.parent)
    assert "\n" not in str(error.value)
    assert not caplog.records
    path.parent.chmod(0o755)
    path.chmod(0o644)
    assert checkpoint.newest(path.parent).facts == {"number": 2}


def test_too_little_memory_is_not_damage(tmp_path):
    """Here all that the process has may be no more than it has now."""
    checkpoint.save(tmp_path, 1, {"large": np.zeros(400_000_000, np.uint8)}, {})
    code = f"""
import resource
from pathlib import Path
from nstjax import checkpoint
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)
checkpoint.newest(Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr.splitlines()[-1]
    assert "damaged" not in done.stderr


def test_a_part_from_another_checkpoint_is_damage_although_it_is_sound_by_itself(tmp_path):
    """What CRC-32 can't see."""
    one, two = (dict(np.load(saved(tmp_path, n) / f"{n:08d}.npz")) for n in (1, 2))
    np.savez(tmp_path / "00000002.npz", **{**two, ".image": one[".image"]})
    assert checkpoint.newest(tmp_path).facts == {"number": 1}
    np.savez(tmp_path / "00000002.npz", **two)
    assert checkpoint.newest(tmp_path).facts == {"number": 2}


def test_reading_runs_no_code(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    np.savez(tmp_path / "00000001.npz", facts=np.array([Hostile()], dtype=object))
    assert checkpoint.newest(tmp_path) is None
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            tree()._replace(image=jnp.zeros((4, 5, 3))),
            r"holds .image as float32\[5, 4, 3\], .* float32\[4, 5, 3\]",
        ),
        (tree()._replace(image=jnp.zeros((5, 4, 3), jnp.int32)), r"needs .image as int32\[5, 4, 3\]"),
        (tree()._replace(inner=(jnp.int32(0), {"a": jnp.zeros((0, 3))})), r"needs no .inner\[1\]\['b'\]"),
        ((tree(), 1), r"holds .image as .*, this run needs no .image"),
    ],
)
def test_another_tree_is_refused_in_one_line(template, text, tmp_path):
    template = jax.tree.map(jnp.asarray, template)
    with pytest.raises(UserError, match=text) as error:
        checkpoint.restore(checkpoint.newest(saved(tmp_path, 1)), template)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("; leave out resume=true to start anew")
