"""Workflow files are found and loaded, or what is wrong is told with file, line and reason."""

import sys
from pathlib import Path

import pytest

from bot import __main__ as command_line
from bot import settings
from bot.asking.triggers import CommandReceived
from bot.plugins import NAMESPACE, PluginError, discover
from engine.workflow import Workflow

HELLO = """
from bot import CommandReceived, slash_command
from engine import StopEvent, Workflow, step


@slash_command("/{command}", summary="Say hello", usage="name")
class {name}(Workflow):
    @step
    async def greet(self, ev: CommandReceived) -> StopEvent:
        return StopEvent(result=f"Hello {{ev.text}}")
"""


def hello(command: str = "hello", name: str = "Hello") -> str:
    return HELLO.format(command=command, name=name)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def refused(folder: Path) -> list[str]:
    with pytest.raises(PluginError) as caught:
        discover(folder)
    return str(caught.value).splitlines()


def test_a_file_in_the_folder_is_a_command(tmp_path: Path) -> None:
    found = discover(write(tmp_path, hello=hello()))

    assert list(found) == ["/hello"]
    assert found["/hello"].command.usage == "name"
    assert found["/hello"].path == tmp_path / "hello.py"
    assert isinstance(found["/hello"].workflow, Workflow)


async def test_a_workflow_found_runs(tmp_path: Path) -> None:
    plugin = discover(write(tmp_path, hello=hello()))["/hello"]

    result = await plugin.workflow.run(start_event=CommandReceived(text="Ann", user_id="U1", channel_id="C1"))

    assert result == "Hello Ann"


def test_a_file_may_have_several_commands(tmp_path: Path) -> None:
    found = discover(write(tmp_path, both=hello() + hello("bye", "Bye")))

    assert set(found) == {"/hello", "/bye"}


def test_names_with_an_underscore_and_other_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, hello=hello(), _draft="this is no Python")
    (tmp_path / "notes.txt").write_text("nor this")

    assert list(discover(tmp_path)) == ["/hello"]


def test_an_empty_folder_has_no_commands(tmp_path: Path) -> None:
    assert discover(tmp_path) == {}


def test_a_file_that_looks_like_no_module_name_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "say-hello.v2.py").write_text(hello())

    assert list(discover(tmp_path)) == ["/hello"]


def test_nothing_is_importable_by_the_folders_name(tmp_path: Path) -> None:
    plugin = discover(write(tmp_path, hello=hello()))["/hello"]

    assert type(plugin.workflow).__module__.startswith(f"{NAMESPACE}.")
    assert "hello" not in sys.modules


def test_two_folders_do_not_mix(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = discover(write(tmp_path / "a", hello=hello()))["/hello"]
    second = discover(write(tmp_path / "b", hello=hello()))["/hello"]

    assert type(first.workflow).__module__ != type(second.workflow).__module__


def test_a_built_in_command_cannot_be_taken(tmp_path: Path) -> None:
    write(tmp_path, mine=hello("runs"))

    assert refused(tmp_path) == [f"{tmp_path}/mine.py: /runs is built in; choose another command"]


def test_a_missing_folder_is_named_with_its_setting(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == [
        f"{tmp_path}/nowhere: no such folder; SIGNOFF_WORKFLOWS names the one with your workflow files"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\ndef broken(:\n", ":2: SyntaxError: "),
        ("\n\nimport no_such_package\n", ":3: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def f():\n    raise ValueError('a\\nb')\n\nf()\n", ":2: ValueError: a b"),
        ("import sys\nsys.exit(3)\n", ":2: SystemExit: 3"),
        ("x = 1\n", ": no class with @slash_command; put one on a Workflow, or name the file _x.py"),
        ("from engine import Workflow\n", ": no class with @slash_command"),
        (hello("Bad Name"), ":6: DefinitionError: slash_command('/Bad Name'): not a name Slack accepts"),
        (hello().replace("(Workflow)", ""), ":6: Hello has /hello but is no Workflow"),
        (hello().replace("    @step\n", ""), ":6: Hello: WorkflowConfigurationError: "),
        (hello().replace("ev: CommandReceived", "ev"), ":8: WorkflowValidationError: "),
        (
            hello()
            .replace("import StopEvent", "import StartEvent, StopEvent")
            .replace("ev: CommandReceived", "ev: StartEvent"),
            ":6: Hello begins with StartEvent; a slash command sends CommandReceived",
        ),
        (hello() + "\n    def __init__(self, model):\n        super().__init__()\n", ":6: Hello: TypeError: "),
        ("\x00", "SyntaxError: "),
    ],
)
def test_what_is_wrong_is_told_on_one_line(tmp_path: Path, text: str, told: str) -> None:
    [line] = refused(write(tmp_path, x=text))

    assert line.startswith(f"{tmp_path}/x.py")
    assert told in line


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(b"\xff\xfe\x00")

    [line] = refused(tmp_path)

    assert line.startswith(f"{tmp_path}/x.py")


def test_a_step_that_nothing_reaches_is_told_with_its_workflow(tmp_path: Path) -> None:
    text = hello().replace("import StopEvent", "import Event, StopEvent")
    orphan = """
    @step
    async def lost(self, ev: Event) -> StopEvent:
        return StopEvent()
"""

    [line] = refused(write(tmp_path, x=text + orphan))

    assert line.startswith(f"{tmp_path}/x.py:6: Hello: WorkflowValidationError: ")
    assert "Event" in line


def test_a_step_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    text = hello().replace("import StopEvent", "import Event, StopEvent")
    taker = """
    @step
    async def after(self, ev: StopEvent) -> StopEvent:
        return ev
"""

    [line] = refused(write(tmp_path, x=text + taker))

    at = text.count("\n") + 2
    assert line.startswith(
        f"{tmp_path}/x.py:{at}: Hello: WorkflowValidationError: Step 'after' cannot accept StopEvent"
    )


def test_a_command_has_one_file(tmp_path: Path) -> None:
    assert refused(write(tmp_path, a=hello(), b=hello("hello", "Other"))) == [
        f"{tmp_path}/b.py: /hello is taken by {tmp_path}/a.py; choose another command"
    ]


def test_a_class_name_has_one_file(tmp_path: Path) -> None:
    [line] = refused(write(tmp_path, a=hello(), b=hello("other")))

    assert f"a class Hello is in {tmp_path}/a.py too" in line


def test_every_file_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    lines = refused(write(tmp_path, a="x =", b=hello(), c="import no_such_package"))

    assert [line.split(":")[0] for line in lines] == [f"{tmp_path}/a.py", f"{tmp_path}/c.py"]


def test_a_file_that_failed_leaves_no_module_behind(tmp_path: Path) -> None:
    refused(write(tmp_path, broken_one="x ="))

    assert not [name for name in sys.modules if name.endswith(".broken_one")]


def test_the_workflows_that_come_with_signoff_load() -> None:
    found = discover(Path(__file__).parents[3] / "workflows")

    assert {"/approve-draft", "/quick-approve", "/deploy"} <= set(found)


def test_a_shortcut_taken_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        marked = hello(name, name.upper()).replace(
            "@slash_command", '@shortcut("Send it", summary="x")\n@slash_command'
        )
        (tmp_path / f"{name}.py").write_text(f"from bot import shortcut\n\n\n{marked}")

    assert refused(tmp_path) == [f"{tmp_path}/b.py: the shortcut 'Send it' is taken by {tmp_path}/a.py; rename it"]


def test_a_question_whose_answer_no_step_takes_is_refused_at_its_step(tmp_path: Path) -> None:
    asking = (
        hello().replace("-> StopEvent", "-> Prompt | StopEvent").replace("CommandReceived,", "CommandReceived, Prompt,")
    )

    (told,) = refused(write(tmp_path, hello=asking))

    assert told == (
        f"{tmp_path / 'hello.py'}:8: Hello.greet asks a question, but no step takes the answer; "
        "write one that does, ev: HumanResponseEvent"
    )


def test_a_bot_that_is_installed_finds_the_workflows_that_came_with_it_and_no_package_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages, elsewhere = tmp_path / "site-packages", tmp_path / "elsewhere"
    for folder in (packages / "workflows", packages / "bot" / "builtin_workflows", elsewhere):
        folder.mkdir(parents=True)
    write(packages / "workflows", events="class Event: ...")  # as LlamaIndex has it
    write(packages / "bot" / "builtin_workflows", hello=hello())
    monkeypatch.setattr(settings, "__file__", str(packages / "bot" / "settings.py"))
    monkeypatch.delenv("SIGNOFF_WORKFLOWS", raising=False)
    monkeypatch.chdir(elsewhere)

    code = command_line.main(["manifest"])

    assert code == 0
    assert '"/hello"' in capsys.readouterr().out


def test_the_folder_that_a_file_of_settings_names_is_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, name in (("workflows", "bye"), ("flows", "hello")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, file=hello(name))
    (tmp_path / ".env").write_text("SIGNOFF_WORKFLOWS=flows\n")
    monkeypatch.delenv("SIGNOFF_WORKFLOWS", raising=False)
    monkeypatch.chdir(tmp_path)

    code = command_line.main(["manifest"])

    assert code == 0
    assert '"/hello"' in capsys.readouterr().out
    assert settings.load_store().workflows == Path("flows")
