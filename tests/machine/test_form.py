"""What is shipped beside the program, as far as reading can tell: that names of
settings are the program's, that ports, users, addresses and times go together.

Builds nothing, needs no root and takes seconds.
"""

import glob
import ipaddress
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import unit_file
from debian_root import REPOSITORY

try:
    import yaml
except ImportError:
    yaml = None


def read(*parts):
    with open(os.path.join(REPOSITORY, *parts), encoding="utf-8") as file:
        return file.read()


def load_yaml(*parts):
    """All documents of a file."""
    if yaml is None:
        raise unittest.SkipTest(
            "needs PyYAML (Debian: python3-yaml); run scripts/deps test"
        )
    return list(yaml.safe_load_all(read(*parts)))


def declared():
    """{name: default as TOML}, by the sample file made from the declaration."""
    return dict(
        re.findall(r"^#(\w+) = (.*)$", read("docker", "tlspost.toml"), re.M)
    )


def seconds(text):
    match = re.fullmatch(r'"?(\d+)(s|m|min)"?', str(text))
    return int(match.group(1)) * {"s": 1}.get(match.group(2), 60)


def toml_keys(text):
    """Of a settings file, also of those that are commented out."""
    return re.findall(r"^#?(\w+) = ", text, re.M)


class FormCase(unittest.TestCase):
    def assert_settings(self, variables):
        """Each TLSPOST_ variable is a setting's."""
        known = {"TLSPOST_" + name.upper() for name in declared()}
        for name in variables:
            if name.startswith("TLSPOST_") and name != "TLSPOST_CONFIG":
                self.assertIn(name, known)


class UnitTest(FormCase):
    text = read("debian", "tlspost.service")
    service = unit_file.read(text)["Service"]

    def analyze(self, *command):
        """systemd-analyze, on a unit whose program exists here."""
        if shutil.which("systemd-analyze") is None:
            self.skipTest("needs systemd-analyze (Debian: systemd)")
        with tempfile.TemporaryDirectory() as folder:
            for name in ("tlspost.service", "tlspost.socket"):
                text = read("debian", name)
                text = text.replace("/usr/sbin/tlspost", "/bin/true")
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            return subprocess.run(
                ["systemd-analyze"]
                + [part.replace("@", folder + "/") for part in command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

    def test_units_are_understood(self):
        for name in ("tlspost.service", "tlspost.socket"):
            done = self.analyze("verify", "--man=no", "@" + name)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_service_is_locked_in(self):
        done = self.analyze(
            "security", "--offline=true", "--no-pager", "@tlspost.service"
        )
        score = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
        self.assertIsNotNone(score, done.stdout)
        self.assertLessEqual(float(score.group(1)), 2.0)

    def test_user_is_the_one_that_is_made(self):
        (made,) = re.findall(
            r"^u (\S+) ", read("debian", "tlspost.sysusers"), re.M
        )
        self.assertEqual(self.service["User"], [made])
        self.assertEqual(self.service["Group"], [made])

    def test_stop_waits_for_the_drain(self):
        drain = seconds(declared()["drain_timeout"])
        (wait,) = self.service["TimeoutStopSec"]
        self.assertGreater(seconds(wait), drain)

    def test_settings_file_is_the_one_that_is_installed(self):
        (start,) = self.service["ExecStart"]
        self.assertIn("--config=/etc/tlspost/tlspost.toml", start)
        self.assertEqual(
            read("debian", "tlspost.install").split(),
            ["debian/etc/tlspost.toml", "etc/tlspost"],
        )

    def test_settings_files_name_settings(self):
        for path in ("debian/etc/tlspost.toml", "docker/image.toml"):
            keys = toml_keys(read(path))
            self.assertTrue(keys)
            for key in keys:
                self.assertIn(key, declared(), path)

    def test_socket_listens_where_the_settings_do(self):
        socket = unit_file.read(read("debian", "tlspost.socket"))["Socket"]
        (listen,) = re.findall(
            r'^listen = \["(.*)"\]', read("debian/etc/tlspost.toml"), re.M
        )
        self.assertEqual(socket["ListenStream"], [listen])


class ImageTest(FormCase):
    dockerfile = read("docker", "Dockerfile")

    def ports_of_settings(self):
        return set(re.findall(r'^\w+ = .*:(\d+)"', read("docker/image.toml"), re.M))

    def test_user_is_the_one_in_its_passwd(self):
        (user,) = re.findall(r"^USER (\S+)", self.dockerfile, re.M)
        self.assertRegex(user, r"^[1-9]\d+:[1-9]\d+$")
        self.assertIn("tlspost:x:%s:" % user, read("docker", "collect"))

    def test_ports_are_those_it_listens_on(self):
        (ports,) = re.findall(r"^EXPOSE (.*)", self.dockerfile, re.M)
        self.assertEqual(ports.split(), ["2525", "4650", "9090"])
        self.assertEqual(self.ports_of_settings(), {"2525", "9090"})

    def test_runs_without_a_shell(self):
        for word in ("ENTRYPOINT", "CMD", "HEALTHCHECK .* CMD"):
            (value,) = re.findall(
                r"^%s (.*)$" % word, self.dockerfile, re.M
            )
            self.assertIsInstance(json.loads(value), list)
        self.assertIn("\nSTOPSIGNAL SIGTERM\n", self.dockerfile)

    def test_variables_are_settings(self):
        self.assert_settings(re.findall(r"\b(TLSPOST_\w+)=", self.dockerfile))

    def test_what_is_copied_is_not_ignored(self):
        allowed = re.findall(r"^!(\S+)", read(".dockerignore"), re.M)
        copied = re.findall(r"^COPY (?!--)(.*) \S+$", self.dockerfile, re.M)
        for name in " ".join(copied).split():
            self.assertIn(name.partition("/")[0], allowed)
            self.assertTrue(os.path.exists(os.path.join(REPOSITORY, name)))


class SeccompTest(FormCase):
    def setUp(self):
        self.profile = json.loads(read("docker", "seccomp.json"))

    def test_io_uring_is_all_that_it_adds(self):
        allow = [
            rule
            for rule in self.profile["syscalls"]
            if "io_uring_setup" in rule["names"]
        ]
        self.assertEqual(len(allow), 1)
        self.assertEqual(allow[0]["action"], "SCMP_ACT_ALLOW")
        self.assertEqual(
            allow[0]["names"],
            ["io_uring_enter", "io_uring_register", "io_uring_setup"],
        )
        # And all else that is not named stays refused, tracing for one.
        self.assertEqual(self.profile["defaultAction"], "SCMP_ACT_ERRNO")
        always = {
            name
            for rule in self.profile["syscalls"]
            if rule["action"] == "SCMP_ACT_ALLOW"
            and not rule.get("includes")
            and not rule.get("excludes")
            and not rule.get("args")
            for name in rule["names"]
        }
        for name in ("mount", "bpf", "unshare", "keyctl", "open_by_handle_at"):
            self.assertNotIn(name, always)


class KubernetesSeccompTest(FormCase):
    def setUp(self):
        self.text = read("docker", "kubernetes", "seccomp.json")
        self.profile = json.loads(self.text)

    def test_is_the_other_one_without_conditions(self):
        made = subprocess.run(
            ["docker/make-seccomp", "--oci", "docker/seccomp.json"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        self.assertEqual(made.stdout, self.text)

    def test_is_an_oci_profile(self):
        """containerd takes no notice of what it does not know."""
        self.assertEqual(
            set(self.profile),
            {"defaultAction", "defaultErrnoRet", "architectures", "syscalls"},
        )
        self.assertIn("SCMP_ARCH_AARCH64", self.profile["architectures"])
        for rule in self.profile["syscalls"]:
            self.assertLessEqual(
                set(rule), {"names", "action", "errnoRet", "args"}
            )

    def test_allows_io_uring_and_nothing_that_takes_a_capability(self):
        allowed = {
            name
            for rule in self.profile["syscalls"]
            if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
            for name in rule["names"]
        }
        self.assertLessEqual({"io_uring_setup", "accept4"}, allowed)
        for name in (
            "mount", "bpf", "unshare", "setns", "clone", "clone3", "kcmp",
            "open_by_handle_at", "init_module", "perf_event_open", "reboot",
        ):
            self.assertNotIn(name, allowed)


class ComposeTest(FormCase):
    def setUp(self):
        (self.compose,) = load_yaml("docker", "compose.yaml")
        self.services = self.compose["services"]
        self.tlspost = self.services["tlspost"]
        self.postfix = self.services["postfix"]

    def address(self, service):
        return service["networks"]["inside"]["ipv4_address"]

    def test_variables_are_settings(self):
        self.assert_settings(self.tlspost["environment"])

    def test_only_tlspost_may_say_who_a_client_is(self):
        self.assertEqual(
            self.postfix["environment"]["XCLIENT_HOSTS"],
            self.address(self.tlspost),
        )
        self.assertNotIn("ports", self.postfix)
        self.assertEqual(list(self.postfix["networks"]), ["inside"])
        self.assertTrue(self.compose["networks"]["inside"]["internal"])

    def test_backend_is_where_postfix_listens(self):
        host, _, port = self.tlspost["environment"][
            "TLSPOST_BACKEND"
        ].partition(":")
        self.assertEqual(host, self.address(self.postfix))
        self.assertRegex(
            read("docker", "postfix", "master.cf"), r"(?m)^%s +inet " % port
        )

    def test_postfix_is_told_what_it_asks_for(self):
        asked = re.findall(r"\$\{(\w+):\?", read("docker", "postfix", "start"))
        self.assertEqual(sorted(self.postfix["environment"]), sorted(asked))

    def test_prometheus_asks_tlspost(self):
        (scrape,) = load_yaml("docker", "prometheus", "scrape.yml")
        (config,) = scrape["scrape_configs"]
        self.assertEqual(
            config["static_configs"],
            [{"targets": [self.address(self.tlspost) + ":9090"]}],
        )

    def test_stop_waits_for_the_drain(self):
        self.assertGreater(
            seconds(self.tlspost["stop_grace_period"]),
            seconds(declared()["drain_timeout"]),
        )

    def test_files_are_there(self):
        self.assertIn("seccomp=seccomp.json", self.tlspost["security_opt"])
        for name in ("seccomp.json", "postfix/Dockerfile"):
            self.assertTrue(
                os.path.exists(os.path.join(REPOSITORY, "docker", name))
            )

    def test_no_address_is_given_to_two(self):
        """Who has none of its own may be started first, and take another's."""
        inside = [
            service["networks"]["inside"]["ipv4_address"]
            for service in self.services.values()
        ]
        self.assertEqual(len(set(inside)), len(self.services))
        (config,) = self.compose["networks"]["inside"]["ipam"]["config"]
        given = ipaddress.ip_network(config["ip_range"])
        for address in inside:
            self.assertNotIn(ipaddress.ip_address(address), given)

    def test_ports_are_the_images(self):
        exposed = re.search(
            r"^EXPOSE (.*)", read("docker", "Dockerfile"), re.M
        ).group(1)
        for mapping in self.tlspost["ports"]:
            self.assertIn(mapping.partition(":")[2], exposed.split())


class KubernetesTest(FormCase):
    def setUp(self):
        self.objects = {}
        folder = os.path.join(REPOSITORY, "docker", "kubernetes")
        for path in glob.glob(os.path.join(folder, "*.yaml")):
            for document in load_yaml(path):
                key = (document["kind"], document["metadata"]["name"])
                self.objects[key] = document
        self.deployment = self.objects["Deployment", "tlspost"]["spec"]
        self.template = self.deployment["template"]
        self.pod = self.template["spec"]
        (self.container,) = self.pod["containers"]
        self.env = {each["name"]: each["value"] for each in self.container["env"]}

    def test_all_kinds_are_there(self):
        versions = {
            "Deployment": "apps/v1",
            "Service": "v1",
            "PodDisruptionBudget": "policy/v1",
            "HorizontalPodAutoscaler": "autoscaling/v2",
            "NetworkPolicy": "networking.k8s.io/v1",
            "Secret": "v1",
        }
        for (kind, _), document in self.objects.items():
            self.assertEqual(document["apiVersion"], versions[kind])
        self.assertEqual({kind for kind, _ in self.objects}, set(versions))

    def test_variables_are_settings(self):
        self.assert_settings(self.env)
        for value in self.env.values():
            self.assertIsInstance(value, str)

    def test_selectors_find_the_pods(self):
        labels = self.template["metadata"]["labels"]
        for kind in ("Deployment", "PodDisruptionBudget"):
            self.assertEqual(
                self.objects[kind, "tlspost"]["spec"]["selector"][
                    "matchLabels"
                ],
                labels,
            )
        self.assertEqual(
            self.objects["Service", "tlspost"]["spec"]["selector"], labels
        )
        self.assertEqual(
            self.objects["NetworkPolicy", "tlspost"]["spec"]["podSelector"][
                "matchLabels"
            ],
            labels,
        )

    def test_ports_have_one_name_everywhere(self):
        ports = {
            each["name"]: each["containerPort"]
            for each in self.container["ports"]
        }
        exposed = re.search(
            r"^EXPOSE (.*)", read("docker", "Dockerfile"), re.M
        ).group(1)
        self.assertEqual(sorted(map(str, ports.values())), exposed.split())
        for each in self.objects["Service", "tlspost"]["spec"]["ports"]:
            self.assertIn(each["targetPort"], ports)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(
                self.container[probe]["httpGet"]["port"], "metrics"
            )
        for rule in self.objects["NetworkPolicy", "tlspost"]["spec"]["ingress"]:
            for each in rule["ports"]:
                self.assertIn(each["port"], ports)
        self.assertEqual(
            self.template["metadata"]["annotations"]["prometheus.io/port"],
            str(ports["metrics"]),
        )
        self.assertTrue(
            self.env["TLSPOST_LISTEN_TLS"].endswith(":%d" % ports["smtps"])
        )

    def test_probes_ask_pages_that_there_are(self):
        source = read("proxy", "server_admin.cc")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = self.container[probe]["httpGet"]["path"]
            self.assertIn('"%s"' % path, source)

    def test_the_end_waits_for_the_drain(self):
        pause = self.container["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.assertGreater(
            self.pod["terminationGracePeriodSeconds"],
            pause + seconds(self.env["TLSPOST_DRAIN_TIMEOUT"]),
        )

    def test_files_come_from_the_secrets(self):
        mounts = {
            each["name"]: each["mountPath"]
            for each in self.container["volumeMounts"]
        }
        for volume in self.pod["volumes"]:
            secret = self.objects["Secret", volume["secret"]["secretName"]]
            folder = mounts.pop(volume["name"])
            # The group may read them, which is the pod's.
            self.assertEqual(volume["secret"]["defaultMode"], 0o440)
            for name in secret["stringData"]:
                self.assertIn(folder + "/" + name, self.env.values())
        self.assertEqual(mounts, {})

    def test_runs_as_the_images_user_with_nothing_else(self):
        user = re.search(
            r"^USER (\d+):(\d+)", read("docker", "Dockerfile"), re.M
        )
        context = self.pod["securityContext"]
        self.assertEqual(
            [context["runAsUser"], context["runAsGroup"], context["fsGroup"]],
            [int(user.group(1)), int(user.group(2)), int(user.group(2))],
        )
        self.assertEqual(
            self.container["securityContext"],
            {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        )

    def test_client_addresses_are_kept(self):
        service = self.objects["Service", "tlspost"]["spec"]
        self.assertEqual(service["externalTrafficPolicy"], "Local")

    def test_autoscaler_scales_this_deployment(self):
        target = self.objects["HorizontalPodAutoscaler", "tlspost"]["spec"]
        self.assertEqual(
            target["scaleTargetRef"],
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "tlspost"},
        )
        self.assertIn("cpu", self.container["resources"]["requests"])

    def test_each_line_is_explained(self):
        page = read("docker", "kubernetes", "README.md")
        for name in self.env:
            if name not in ("TLSPOST_LISTEN_TLS", "TLSPOST_TLS_CERT_FILE",
                            "TLSPOST_TLS_KEY_FILE"):
                self.assertIn(name, page)
        for key in set(self.pod) | set(self.container):
            if key not in ("containers", "securityContext", "volumes", "name",
                           "image", "env", "ports", "volumeMounts",
                           "lifecycle", "resources"):
                self.assertIn(key, page)
