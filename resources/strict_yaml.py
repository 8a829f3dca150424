"""Read YAML as a table of settings: what YAML allows but no profile means is refused."""

from collections.abc import Iterator

import yaml

MAX_VALUES = 100_000
"""Values of a document at most, with aliases written out."""

_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Refuses keys that are no text or repeat, tags, and aliases that grow without bound."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _count_values(node, {})
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs have no types
        if getattr(event, "tag", None):
            raise _refusal(event, "a tag (!) is not read: leave it out")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: dict[str, yaml.Node]) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if key.tag != _TEXT:
                word = f" `{key.value}`" if isinstance(key, yaml.ScalarNode) else ""
                raise _refusal(key, f"the key{word} is no text to YAML: write it in quotes")
            if key.value in keys:
                raise _refusal(key, f"the key `{key.value}` repeats: keep one of its values")
            keys.add(key.value)
        return node


def read_yaml(text: str) -> object:
    """Return the value of a YAML document.

    Raises:
        ValueError: it is no YAML, or more than plain settings; the message names the line.
    """
    try:
        # A subclass of the safe loader: it makes plain values only.
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply: write fewer brackets in each other") from error


def _refusal(place: yaml.Node | yaml.Event, problem: str) -> yaml.YAMLError:
    mark = place.start_mark
    return yaml.YAMLError(f"line {mark.line + 1}: {problem}" if mark else problem)


def _count_values(node: yaml.Node, counts: dict[int, int | None]) -> int:
    """Return the number of values below a node with aliases written out.

    ``counts`` holds those of the nodes by id, None for a node that is being counted.
    """
    if id(node) not in counts:
        counts[id(node)] = None
        counts[id(node)] = 1 + sum(_count_values(child, counts) for child in _children(node))
    count = counts[id(node)]
    if count is None:
        raise _refusal(node, "an alias (*) refers to what it is in: write the value out")
    if count > MAX_VALUES:
        raise _refusal(node, f"its aliases (*) stand for more than {MAX_VALUES:,} values")
    return count


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
