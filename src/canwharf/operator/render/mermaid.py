"""A drawing as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.operator.render.layout import Drawing

_ENTITIES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"})


def render(drawing: Drawing) -> str:
    """The flowchart's text, for a ```mermaid block."""
    return "\n".join(_lines(drawing))


def _lines(drawing: Drawing) -> Iterator[str]:
    yield "flowchart TB"
    for number, name in enumerate(drawing.boxes):
        yield f"    c{number}[{_quoted(name)}]"
    for number, bus in enumerate(drawing.buses):
        networks = f"networks: {', '.join(bus.networks)}" if bus.networks else ""
        host = f"host: {bus.frames}" if bus.frames else ""
        about = _quoted(bus.interface, bus.about, networks, host)
        yield f"    b{number}([{about}])"
        for connection in bus.connections:
            arrow = "<-->" if connection.connected else "-.-"
            label = _quoted(connection.interface, connection.frames if connection.connected else "")
            yield f"    c{connection.box} {arrow}|{label}| b{number}"
        if bus.problems:
            yield f"    t{number}[{_quoted(*bus.problems)}] --- b{number}"
            yield f"    style t{number} stroke:#c00,color:#c00,fill:#fff"
        if not bus.up:
            yield f"    style b{number} stroke:#c00,stroke-dasharray:4"


def _quoted(*lines: str) -> str:
    """Lines as one label, with Mermaid's special characters escaped."""
    return '"' + "<br/>".join(each.translate(_ENTITIES) for each in lines if each) + '"'
