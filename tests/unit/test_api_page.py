"""The page of what can be imported: true to the source, and saying something of everything."""

import ast

import engine
from docs import make_api


def test_the_page_is_what_the_source_says() -> None:
    assert make_api.PAGE.read_text("utf-8") == make_api.page(), "run `make docs`"


def test_every_name_says_what_it_is() -> None:
    """A method may leave it to the protocol that declares it, or to the class it is inherited from."""
    told = [node for names in make_api.told().values() for _, node in names]
    outlet = make_api.definition("engine.execution", "Outlet")
    classes = {node.name: node for node in [*told, outlet] if isinstance(node, ast.ClassDef)}
    bases = {name: {ast.unparse(base).partition("[")[0] for base in node.bases} for name, node in classes.items()}
    protocols = {name for name in classes if "Protocol" in bases[name]}
    methods = {name: {one.name for one in make_api.methods(node)} for name, node in classes.items()}

    silent = [node.name for node in told if not ast.get_docstring(node)]
    silent += [
        f"{name}.{method.name}"
        for name, node in classes.items()
        for method in make_api.methods(node)
        if not ast.get_docstring(method)
        and not any(method.name in methods[other] for other in protocols | (bases[name] & classes.keys()))
    ]

    assert silent == []


def test_the_names_that_matter_most_come_first() -> None:
    told = make_api.told()
    other_names_of_the_same = {"JsonPickleSerializer"}

    assert next(iter(told)) == "engine"
    assert [node.name for _, node in told["engine"]] == [
        name for name in engine.__all__ if name not in other_names_of_the_same
    ]
