"""A drawing as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.operator.render.layout import Drawing

_ENTITIES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"})


def render(drawing: Drawing) -> str:
    """Its text, to be put into a ```mermaid block."""
    return "\n".join(_lines(drawing))


def _lines(drawing: Drawing) -> Iterator[str]:
    yield "flowchart TB"
    for number, name in enumerate(drawing.boxes):
        yield f"    c{number}[{_quoted(name)}]"
    for number, line in enumerate(drawing.lines):
        networks = f"networks: {', '.join(line.networks)}" if line.networks else ""
        host = f"host: {line.frames}" if line.frames else ""
        about = _quoted(line.interface, line.about, networks, host)
        yield f"    b{number}([{about}])"
        for plug in line.plugs:
            arrow = "<-->" if plug.there else "-.-"
            label = _quoted(plug.interface, plug.frames if plug.there else "")
            yield f"    c{plug.box} {arrow}|{label}| b{number}"
        if line.troubles:
            yield f"    t{number}[{_quoted(*line.troubles)}] --- b{number}"
            yield f"    style t{number} stroke:#c00,color:#c00,fill:#fff"
        if not line.up:
            yield f"    style b{number} stroke:#c00,stroke-dasharray:4"


def _quoted(*lines: str) -> str:
    """Text in which nothing is syntax."""
    return '"' + "<br/>".join(each.translate(_ENTITIES) for each in lines if each) + '"'
