"""The Debian package: built, looked at, installed, started, upgraded, removed.

In minimal systems of each Debian release that is supported. No systemd runs
there: the service is started as its unit says, by the same words.
"""

import glob
import os
import re
import shutil
import unittest

import debian_root
import unit_file

# What lintian of Debian 12 remarks and that of 13 no more: systemd is all that
# the package starts the service by.
_KNOWN_REMARKS = ("package-supports-alternative-init-but-no-init.d-script",)

_BUILD = """
cd /build/tlspost
apt-get build-dep -q -y --no-install-recommends ./
export PATH=/usr/lib/ccache:$PATH
dpkg-buildpackage -us -uc -b
"""

# A later version of the same: with a new file, and nothing compiled anew.
_NEXT_VERSION = """
mkdir /next
dpkg-deb -R /package.deb /next/tree
sed -i 's/^Version: .*/Version: 0.1.0+next/' /next/tree/DEBIAN/control
echo next > /next/tree/usr/share/doc/tlspost/next
dpkg-deb -b /next/tree /next/tlspost.deb
rm -r /next/tree
"""

_FUNCTIONS = """
start() {
  install -d -o tlspost -g tlspost /run/tlspost /var/log/tlspost
  "$@" %(start)s &
  pid=$!
  for wait in $(seq 100); do
    ! tlspost healthcheck --config=/etc/tlspost/tlspost.toml 2>/dev/null || return 0
    kill -0 $pid
    sleep 0.2
  done
  tlspost healthcheck --config=/etc/tlspost/tlspost.toml
}
reload() {
  %(reload)s
}
stop() {
  kill -TERM $pid
  wait $pid
}
"""


class PackageCase:
    """The tests, for one release; they stand in the order of a life."""

    suite = None

    @classmethod
    def setUpClass(cls):
        reason = debian_root.need("debootstrap", "unshare", "ip", "git")
        if reason:
            raise unittest.SkipTest(reason)
        cls.root = None
        cls.package = cls.build()
        cls.root = debian_root.Root(cls.suite)
        shutil.copy(cls.package, cls.root.file("package.deb"))
        cls.root.run(_NEXT_VERSION)
        cls.root.run(
            "apt-get update -q && apt-get install -q -y "
            "--no-install-recommends /package.deb openssl",
            timeout=1800,
        )

    @classmethod
    def tearDownClass(cls):
        if cls.root is not None:
            cls.root.__exit__()

    @classmethod
    def build(cls):
        """The .deb, and in cls.lintian what lintian says of it."""
        out = os.path.join(debian_root.CACHE, "packages", cls.suite)
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        with debian_root.Root(cls.suite) as root:
            root.install("build-essential", "ccache", "lintian", "man-db")
            root.take_sources("build/tlspost")
            root.run(_BUILD, timeout=7200)
            cls.lintian = root.run(
                "cd /build && lintian --allow-root --display-info "
                "--display-level +=classification --tag-display-limit 0 "
                "tlspost_*.changes || true"
            )
            cls.manuals = root.run(
                "cd /build/tlspost/debian/tlspost/usr/share/man && "
                "for page in man8/tlspost.8.gz man5/tlspost.toml.5.gz; do "
                "LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l "
                "-Tutf8 -Z ./$page 2>&1 >/dev/null; done"
            )
            for path in glob.glob(root.file("build/*.deb")):
                shutil.copy(path, out)
        (package,) = glob.glob(os.path.join(out, "tlspost_*.deb"))
        return package

    def unit(self):
        return unit_file.read(self.read("lib/systemd/system/tlspost.service"))

    def script(self, text):
        unit = self.unit()
        return (
            _FUNCTIONS
            % {
                "start": unit_file.command_of(unit),
                "reload": unit_file.command_of(unit, "ExecReload"),
            }
            + text
        )

    def read(self, path):
        with open(self.root.file(path), encoding="utf-8") as file:
            return file.read()

    # In their order.

    def test_1_lintian_finds_nothing(self):
        # It has looked at all: what it classifies is no fault.
        self.assertIn("C: tlspost: ctrl-script", self.lintian)
        found = [
            line
            for line in self.lintian.splitlines()
            if re.match(r"[EWI]: ", line)
            and not any(known in line for known in _KNOWN_REMARKS)
        ]
        self.assertEqual(found, [])

    def test_1_manual_pages_are_well_formed(self):
        self.assertEqual(self.manuals.strip(), "")
        page = self.root.run("tlspost --print-man-settings")
        self.assertIn("tls_cert_file", page)

    def test_2_unit_is_sound_and_locked_in(self):
        self.root.run("systemd-analyze verify --man=no tlspost.service")
        self.root.run("systemd-analyze verify --man=no tlspost.socket")
        text = self.root.run(
            "systemd-analyze security --offline=true --no-pager "
            "/lib/systemd/system/tlspost.service"
        )
        score = re.search(r"exposure level for \S+: ([\d.]+)", text)
        self.assertIsNotNone(score, text[-500:])
        self.assertLessEqual(float(score.group(1)), 2.0)

    def test_2_what_is_enabled(self):
        wants = self.root.file("etc/systemd/system")
        self.assertTrue(
            os.path.lexists(
                os.path.join(wants, "multi-user.target.wants/tlspost.service")
            )
        )
        self.assertFalse(
            os.path.lexists(
                os.path.join(wants, "sockets.target.wants/tlspost.socket")
            )
        )

    def test_3_starts_as_it_comes(self):
        """As the unit's user, with the key that group ssl-cert may read."""
        said = self.root.run(
            self.script(
                """
                start
                grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs):' /proc/$pid/status
                openssl s_client -starttls smtp -connect 127.0.0.1:2525 \\
                    -brief </dev/null 2>&1
                reload
                echo 'hostname = "reloaded.test"' >>/etc/tlspost/tlspost.toml
                reload
                sed -i '$d' /etc/tlspost/tlspost.toml
                echo 'listne = ["127.0.0.1:2526"]' >>/etc/tlspost/tlspost.toml
                ! reload
                sed -i '$d' /etc/tlspost/tlspost.toml
                stop
                """
            ),
            network=False,
        )
        self.assertRegex(said, r"Protocol version: TLSv1\.3")
        # Once it listens it needs none any more.
        self.assertRegex(said, r"CapEff:\s0000000000000000\n")
        self.assertRegex(said, r"NoNewPrivs:\s1\n")
        self.assertNotRegex(said, r"Uid:\s0\s")
        self.assertIn("listening on 127.0.0.1:2525", said)
        self.assertIn(
            "reload: certificates reloaded, no setting has changed", said
        )
        self.assertIn("reload: in force: hostname", said)
        self.assertRegex(said, r"reload: .*listne")
        self.assertIn("stopped", said)

    def test_3_starts_on_systemds_socket(self):
        """By the program that stands for a socket unit, at its address."""
        unit = unit_file.read(self.read("lib/systemd/system/tlspost.socket"))
        (address,) = unit["Socket"]["ListenStream"]
        said = self.root.run(
            self.script(
                """
                start systemd-socket-activate -l %s
                openssl s_client -starttls smtp -connect %s \\
                    -brief </dev/null 2>&1
                stop
                """
                % (address, address)
            ),
            network=False,
        )
        self.assertIn("Listening on %s as 3" % address, said)
        self.assertRegex(said, r"Protocol version: TLSv1\.3")
        self.assertIn("stopped", said)

    def test_4_upgrade_keeps_settings_and_the_running_service(self):
        with open(self.root.file("etc/tlspost/tlspost.toml"), "a") as file:
            file.write('hostname = "edited.test"\n')
        said = self.root.run(
            self.script(
                """
                start
                dpkg -i /next/tlspost.deb
                tlspost healthcheck --config=/etc/tlspost/tlspost.toml
                stop
                start
                bash -c 'exec 3<>/dev/tcp/127.0.0.1/2525; head -n 1 <&3'
                stop
                """
            ),
            network=False,
        )
        self.assertEqual(said.count("healthy: "), 3, said)
        self.assertIn("220 edited.test", said)
        self.assertTrue(
            os.path.exists(self.root.file("usr/share/doc/tlspost/next"))
        )
        self.assertIn("edited.test", self.read("etc/tlspost/tlspost.toml"))

    def test_5_remove_keeps_settings_and_purge_leaves_nothing(self):
        with open(self.root.file("var/log/tlspost/tlspost.log"), "w"):
            pass
        self.root.run("dpkg --remove tlspost")
        self.assertFalse(os.path.exists(self.root.file("usr/sbin/tlspost")))
        self.assertIn("edited.test", self.read("etc/tlspost/tlspost.toml"))
        self.root.run("dpkg --purge tlspost")
        left = self.root.run(
            "find /etc /usr /var/lib /var/log -name '*tlspost*' "
            "! -path '*/apt/*'"
        )
        self.assertEqual(left.split(), [])


class BookwormTest(PackageCase, unittest.TestCase):
    suite = "bookworm"


class TrixieTest(PackageCase, unittest.TestCase):
    suite = "trixie"
