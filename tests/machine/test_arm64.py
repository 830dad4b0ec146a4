"""tlspost for arm64: compiled by Debian's cross compiler, and tried in part.

No such machine is there: the tests of the parsers and of the scanner, which has
a path of its own on x86, run in QEMU; what needs io_uring or a clock does not.
"""

import unittest

import debian_root

_TRIPLET = "aarch64-linux-gnu"
_TOOLS = (
    "g++-" + _TRIPLET,
    "cmake",
    "ninja-build",
    "pkg-config",
    "ccache",
    "qemu-user",
    "file",
)
_LIBRARIES = ("libgtest-dev", "libgmock-dev")

_BUILD = """
cd /build/tlspost
export PKG_CONFIG_LIBDIR=/usr/lib/%(triplet)s/pkgconfig:/usr/share/pkgconfig
cmake --preset gcc -DTLSPOST_WERROR=ON -DTLSPOST_BUILD_MICRO=OFF \\
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \\
  -DCMAKE_CXX_COMPILER=%(triplet)s-g++ -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \\
  -DCMAKE_LIBRARY_ARCHITECTURE=%(triplet)s
cmake --build --preset gcc --target programs base_test smtp_test -- -k 0
"""


def _libraries(root):
    """The development packages that scripts/deps asks for."""
    text = root.run(
        "sed -n '/^build_packages=/,/\"$/p' /build/tlspost/scripts/deps"
    )
    names = text.partition('"')[2].partition('"')[0].split()
    return [name for name in names if name.startswith("lib")]


class Arm64Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = debian_root.need("debootstrap", "unshare", "git")
        if reason:
            raise unittest.SkipTest(reason)

    def test_compiles_without_a_warning_and_parses(self):
        with debian_root.Root("trixie") as root:
            root.take_sources("build/tlspost")
            root.run("dpkg --add-architecture arm64")
            wanted = _libraries(root) + list(_LIBRARIES)
            self.assertIn("libssl-dev", wanted)
            root.install(*_TOOLS, *(name + ":arm64" for name in wanted))
            root.run(_BUILD % {"triplet": _TRIPLET}, timeout=7200)
            binary = "/build/tlspost/build/gcc/proxy/tlspost"
            self.assertIn("ARM aarch64", root.run("file " + binary))
            self.assertIn(
                "tls_cert_file", root.run("qemu-aarch64 %s --help" % binary)
            )
            for name in ("base_test", "smtp_test"):
                said = root.run(
                    "cd /build/tlspost && qemu-aarch64 build/gcc/tests/" + name,
                    timeout=1800,
                )
                self.assertIn("[  PASSED  ]", said)
                self.assertNotIn("[  FAILED  ]", said)
