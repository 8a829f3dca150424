"""The image of the workers: what is copied into it exists, and containers find what they run."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def loaded(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


def instructions(name: str) -> list[list[str]]:
    """Return the arguments of each instruction of a name in the Dockerfile."""
    text = (KUBERNETES / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [words for first, *words in lines if first == name]


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each container of the image with its pod; vLLM and PostgreSQL have their own."""
    for name in ("dagster-services.yaml", "train.yaml"):
        for each in yaml.safe_load_all((KUBERNETES / name).read_text()):
            if "template" in each["spec"]:
                pod = each["spec"]["template"]["spec"]
                yield from ((container, pod) for container in pod["containers"])


def test_the_image_holds_what_an_installation_reads_and_all_of_it_exists() -> None:
    copied = {source: to for *sources, to in instructions("COPY") for source in sources}
    for source, destination in copied.items():
        assert (ROOT / source).exists(), source
        # A folder is copied by its content: it needs its own name on the other side.
        assert destination == (source if (ROOT / source).is_dir() else "./")
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    about, built = PROJECT["project"], {*wheel["packages"], *wheel["force-include"]}
    files = {"pyproject.toml", "constraints.txt", about["readme"], *about["license-files"]}
    assert copied.keys() == built | files
    [install] = [" ".join(words) for words in instructions("RUN") if words[0] == "pip"]
    extras = re.search(r"'\.\[(.+)\]'", install)
    assert extras
    assert {"scale", "k8s"} <= set(extras[1].split(",")) <= about["optional-dependencies"].keys()
    [version] = re.findall(r"python:([\d.]+)-", " ".join(instructions("FROM")[0]))
    assert f"Programming Language :: Python :: {version}" in about["classifiers"]


def test_every_container_runs_a_command_of_the_image_with_files_that_are_mounted() -> None:
    commands = {each.name for each in entry_points(group="console_scripts")}
    commands |= PROJECT["project"]["scripts"].keys()
    maps = {
        each["name"]: set(each.get("files", ()))
        for each in loaded("kustomization.yaml")["configMapGenerator"]
    }
    [profile] = [
        literal.partition("=")[2]
        for each in loaded("kustomization.yaml")["configMapGenerator"]
        for literal in each.get("literals", ())
        if literal.startswith("SHEPHERD_PROFILE=")
    ]
    for container, pod in containers():
        program, *arguments = container["command"]
        assert program in commands
        volumes = {
            each["name"]: maps[each["configMap"]["name"]]
            for each in pod["volumes"]
            if "configMap" in each
        }
        mounted = {
            PurePosixPath(mount["mountPath"], *([] if "subPath" in mount else [name]))
            for mount in container["volumeMounts"]
            for name in volumes.get(mount["name"], ())
        }
        read = {PurePosixPath(each) for each in arguments if each.startswith("/")}
        [variables] = instructions("ENV")
        settings = dict(each.split("=") for each in variables)
        read.add(PurePosixPath(settings["DAGSTER_HOME"], "dagster.yaml"))
        if container["name"] in ("code", "train"):
            read.add(PurePosixPath(profile))
        assert read <= mounted, container["name"]
        scratch = {each["mountPath"] for each in container["volumeMounts"]}
        assert settings["TMPDIR"] in scratch


def test_the_code_location_is_served_where_daemon_and_ui_look_for_it() -> None:
    [code] = [container for container, _ in containers() if container["name"] == "code"]
    arguments = code["command"]
    [location] = loaded("workspace.yaml")["load_from"]
    server = location["grpc_server"]
    assert arguments[arguments.index("--port") + 1] == str(server["port"])
    [local] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = local["python_module"]
    assert arguments[arguments.index("--module-name") + 1] == module["module_name"]
    assert server["location_name"] == module["location_name"]
    launcher = loaded("dagster.yaml")["run_launcher"]["config"]
    [[folder]] = instructions("WORKDIR")
    assert launcher["run_k8s_config"]["container_config"]["working_dir"] == folder
    [variables] = instructions("ENV")
    assert f"DAGSTER_HOME={launcher['dagster_home']}" in variables


@pytest.mark.slow
def test_every_command_knows_its_options() -> None:
    from dagster._cli import create_dagster_cli
    from dagster._daemon.cli import create_dagster_daemon_cli
    from dagster_webserver.cli import create_dagster_webserver_cli
    from typer.main import get_command

    from cli.app import app

    programs: dict[str, click.Command] = {
        "dagster": create_dagster_cli(),
        "dagster-daemon": create_dagster_daemon_cli(),
        "dagster-webserver": create_dagster_webserver_cli(),
        "shepherd": get_command(app),
    }
    for container, _ in containers():
        program, *arguments = container["command"]
        # Options are read before the help is printed.
        done = CliRunner().invoke(programs[program], [*arguments, "--help"])
        assert done.exit_code == 0, done.output
