"""The files of deploy/: instances of Dagster, and objects of Kubernetes that its schemas accept."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from resources.profiles import load_settings

DEPLOY = Path(__file__).parents[1] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSION = "1.32"
"""Of Kubernetes; a supported one, so that older and newer clusters take the objects too."""
NOT_OBJECTS = {"kustomization.yaml", "dagster.yaml", "workspace.yaml", "profile.yaml"}
MANIFESTS = sorted({path.name for path in KUBERNETES.glob("*.yaml")} - NOT_OBJECTS)
LAUNCHERS = ("processes", "kubernetes", "ray")
VARIABLES = ("HOST", "PORT", "DB", "USER", "PASSWORD")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def objects() -> Iterator[dict[str, Any]]:
    for name in MANIFESTS:
        yield from yaml.safe_load_all((KUBERNETES / name).read_text())


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in objects():
        if "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_every_object(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    for each in yaml.safe_load_all((KUBERNETES / name).read_text()):
        validate(each, VERSION, strict=True)


def test_the_kustomization_lists_files_that_exist_and_the_config_maps_that_are_read() -> None:
    kustomization = loaded(KUBERNETES / "kustomization.yaml")
    listed = set(kustomization["resources"])
    assert listed == set(MANIFESTS) - {"secret.example.yaml", "train.yaml"}
    made = {each["name"]: each for each in kustomization["configMapGenerator"]}
    for each in made.values():
        assert all((KUBERNETES / name).exists() for name in each.get("files", ()))
    read = set()
    for _, pod in pods():
        read |= {
            volume["configMap"]["name"]
            for volume in pod.get("volumes", ())
            if "configMap" in volume
        }
        for container in pod["containers"]:
            sources = container.get("envFrom", ())
            read |= {each["configMapRef"]["name"] for each in sources if "configMapRef" in each}
    launcher = loaded(KUBERNETES / "dagster.yaml")["run_launcher"]["config"]
    read |= {launcher["instance_config_map"], *launcher["env_config_maps"]}
    assert read == made.keys()
    [image] = kustomization["images"]
    [code] = [pod for name, pod in pods() if name == "code"]
    [runs] = code["containers"][0]["env"]
    assert runs["value"] == f"{image['newName']}:{image['newTag']}"


def test_every_variable_that_an_instance_reads_is_given_to_the_pods() -> None:
    kustomization = loaded(KUBERNETES / "kustomization.yaml")
    [settings] = [e for e in kustomization["configMapGenerator"] if e["name"] == "shepherd"]
    given = {literal.split("=")[0] for literal in settings["literals"]}
    given |= set(loaded(KUBERNETES / "secret.example.yaml")["stringData"])
    text = (KUBERNETES / "dagster.yaml").read_text()
    assert set(re.findall(r"env: (\w+)", text)) <= given
    assert {"AWS_REGION", "AWS_ACCESS_KEY_ID", "SHEPHERD_CACHE"} <= given
    # The endpoint is a comment, since an empty one is no address.
    assert "AWS_ENDPOINT_URL=" in (KUBERNETES / "kustomization.yaml").read_text()
    for _, pod in pods():
        for container in pod["containers"]:
            for each in container.get("env", ()):
                reference = each.get("valueFrom", {}).get("secretKeyRef")
                assert reference is None or reference["key"] in given


def test_every_pod_has_limits_and_gpus_only_where_models_are() -> None:
    gpus = {}
    for name, pod in pods():
        for container in pod["containers"]:
            limits = container["resources"]["limits"]
            assert "memory" in limits
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            gpus[name] = limits.get("nvidia.com/gpu")
    assert {name: count for name, count in gpus.items() if count} == {"vllm": "1", "train": "8"}


def test_pods_that_hold_no_state_are_given_up_ten_seconds_after_their_node() -> None:
    tolerations = {name: pod.get("tolerations", ()) for name, pod in pods()}
    tolerations["runs"] = [
        {**each, "tolerationSeconds": each.get("toleration_seconds")}
        for each in loaded(KUBERNETES / "dagster.yaml")["run_launcher"]["config"]["run_k8s_config"][
            "pod_spec_config"
        ]["tolerations"]
    ]
    # Pods of a StatefulSet stay until their node is removed.
    for name in tolerations.keys() - {"vllm", "postgres"}:
        seconds = {each["key"]: each.get("tolerationSeconds") for each in tolerations[name]}
        for state in ("unreachable", "not-ready"):
            assert seconds[f"node.kubernetes.io/{state}"] == 10, name


def test_the_three_instances_differ_in_their_launcher_alone() -> None:
    configs = {name: loaded(DEPLOY / name / "dagster.yaml") for name in LAUNCHERS}
    launchers = {name: config.pop("run_launcher")["class"] for name, config in configs.items()}
    assert list(launchers.values()) == ["DefaultRunLauncher", "K8sRunLauncher", "RayRunLauncher"]
    assert configs["processes"] == configs["kubernetes"] == configs["ray"]
    assert configs["ray"]["run_monitoring"]["poll_interval_seconds"] <= 10
    assert configs["ray"]["run_monitoring"]["max_resume_run_attempts"] == 0
    assert configs["ray"]["run_retries"]["max_retries"] == 3


def test_the_profile_names_the_replicas_and_fills_them() -> None:
    profile = load_settings(str(KUBERNETES / "profile.yaml"))
    [vllm] = [each for each in objects() if each["kind"] == "StatefulSet" and _name(each) == "vllm"]
    replicas, service = vllm["spec"]["replicas"], vllm["spec"]["serviceName"]
    assert profile.engine.openai is not None
    assert profile.engine.openai.base_urls == tuple(
        f"http://vllm-{number}.{service}:8000/v1" for number in range(replicas)
    )
    arguments = vllm["spec"]["template"]["spec"]["containers"][0]["args"]
    assert profile.completer is not None
    assert f"--model={profile.completer.base}" in arguments
    workers = profile.runs.pool_limits[profile.runs.sampling_pool]
    assert f"--max-num-seqs={workers * profile.engine.batch_size}" in arguments


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "me", "user": {}}],
}


def test_dagster_renders_the_job_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_k8s")
    validate = pytest.importorskip("kubernetes_validate").validate
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    # No cluster is asked, but the launcher reads where one is.
    access = tmp_path / "kubeconfig"
    access.write_text(yaml.safe_dump(KUBECONFIG))
    outside = {"load_incluster_config": False, "kubeconfig_file": str(access)}
    launcher = launcher_of("kubernetes", K8sRunLauncher, monkeypatch, **outside)
    context = K8sContainerContext.create_for_run(dg.DagsterRun("job"), launcher, False)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(job_image="shepherd:1", run_launcher=launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    rendered = ApiClient().sanitize_for_serialization(job)
    validate(rendered, VERSION, strict=True)
    pod = rendered["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert rendered["spec"]["backoffLimit"] == 0
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 60
    assert "spot" in {toleration["key"] for toleration in pod["tolerations"]}
    assert container["resources"]["limits"] == {"memory": "4Gi"}
    assert {"configMapRef": {"name": "shepherd"}} in container["envFrom"]
    assert {"secretRef": {"name": "shepherd"}} in container["envFrom"]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounted["/opt/profile"] == "profile"


def test_ray_takes_its_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = pytest.importorskip("dagster_ray").RayRunLauncher
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    made = launcher_of("ray", launcher, monkeypatch)
    assert made.supports_check_run_worker_health
    assert (made.address, made.num_cpus, made.num_gpus) == ("http://127.0.0.1:8265", 1, 0)
    # Nodes do not have the daemon's environment, and Ray shows what they get of it.
    public = set(VARIABLES) - {"PASSWORD"}
    assert {f"DAGSTER_PG_{variable}" for variable in public} < set(made.env_vars)
    assert {"SHEPHERD_HOME", "SHEPHERD_PROFILE", "DAGSTER_HOME"} < set(made.env_vars)
    assert not [name for name in made.env_vars if re.search("PASSWORD|KEY|SECRET|TOKEN", name)]


def launcher_of(
    name: str, kind: type[Any], monkeypatch: pytest.MonkeyPatch, **options: object
) -> Any:
    """Return the launcher of an instance's dagster.yaml, its configuration checked by Dagster."""
    from dagster._config import process_config, resolve_to_config_type
    from dagster._serdes import ConfigurableClassData

    for variable in VARIABLES:
        monkeypatch.setenv(f"DAGSTER_PG_{variable}", "1")
    section = loaded(DEPLOY / name / "dagster.yaml")["run_launcher"]
    config = {**section["config"], **options}
    checked = process_config(resolve_to_config_type(kind.config_type()), config)
    assert checked.success, checked.errors
    data = ConfigurableClassData(section["module"], section["class"], yaml.safe_dump(config))
    return kind.from_config_value(data, checked.value)


def _name(each: dict[str, Any]) -> str:
    name: str = each["metadata"]["name"]
    return name
