"""Folders as runs leave them, made without a run; and a page as a parser sees it."""

import html.parser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from nstjax import images
from nstjax.config import Config, flat, settings, to_dict
from nstjax.train import compose

COLORS = np.float32([(0.8, 0.2, 0.2), (0.2, 0.8, 0.2), (0.2, 0.2, 0.8), (0.8, 0.8, 0.2), (0.2, 0.8, 0.8)])
HEADER = "scale,step,evaluations,seconds,total,content,style,tv,style/relu1_1\n"
VOID = {"meta", "img", "input", "br", "hr", "link"}


def leave_run(folder: Path, config: dict[str, Any], color: np.ndarray | None = None, **facts: Any) -> Path:
    """A run's folder with its manifest, and its result of one color if it has one."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"status": "done", "config": config, **facts}))
    if color is not None:
        images.save(folder / "result.png", np.broadcast_to(color, (32, 40, 3)))
    return folder


def copied(run: Path, folder: Path, config: Config, **facts: Any) -> Path:
    """A copy of a run, as if it were another one's."""
    shutil.copytree(run, folder)
    manifest = json.loads((run / "manifest.json").read_text()) | {"config": to_dict(config)} | facts
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def wanted(*overrides: str) -> dict[str, Any]:
    """The settings of a command line, by one key each."""
    return flat(settings(to_dict(compose(list(overrides)))))


class Page(html.parser.HTMLParser):
    """What a page consists of; every element that is opened is closed in its turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.open += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of every such element; `class_` for class."""
        asked = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [had for each, had in self.elements if each == tag and asked.items() <= had.items()]
