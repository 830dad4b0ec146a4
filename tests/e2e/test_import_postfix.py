"""`tlspost import-postfix` reads main.cf as Postfix does, and what it prints
loads."""

import json
import os
import subprocess
import tempfile

import case
import debian
import postfix_software
import proxy
import util

# Everything that values can do, in parameters that postconf knows and that
# have no counterpart, so that the import prints their values.
_SYNTAX = """\
# A comment
myhostname = mx.example.org
smtpd_tls_session_cache_database = one,
    two
# in between
\tthree
smtpd_tls_dcert_file = $myhostname
smtpd_tls_dkey_file = ${myhostname}:${smtpd_tls_dcert_file}
smtpd_tls_dh1024_param_file = $(myhostname)/x
smtp_tls_eccert_file =
smtpd_tls_fingerprint_digest = ${smtpd_tls_dcert_file?yes}
smtp_tls_session_cache_database = ${smtp_tls_eccert_file:no}
smtp_tls_policy_maps = ${myhostname?{is $myhostname}:{is not}}
smtp_tls_cert_file = ${{$myhostname} == {mx.example.org} ? {same} : {other}}
smtp_tls_key_file = ${{$myhostname} != {mx.example.org} ? {same} : {other}}
smtp_tls_dcert_file = btree:${data_directory}/scache
  smtp_tls_dkey_file   =   goes on
smtp_tls_exclude_ciphers   =   around   it
lmtp_tls_CAfile = 1
lmtp_tls_CAfile = 2
"""


class ImportPostfixTest(case.Case):
    def write(self, text, name="main.cf"):
        folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        path = os.path.join(folder, name)
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(os.unlink, path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def imported(self, path):
        result = proxy.run("import-postfix", path)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def software(self):
        try:
            return postfix_software.locate()
        except util.Skip as reason:
            self.skipTest(str(reason))

    def test_values_are_those_of_postconf(self):
        path = self.write(_SYNTAX)
        software = self.software()
        shown = self.imported(path)
        compared = 0
        for line in _SYNTAX.splitlines():
            name = line.split("=")[0].strip()
            if line[0] in "#\t " or name == "myhostname":
                continue
            with self.subTest(name):
                result = subprocess.run(
                    [
                        os.path.join(software.commands, "postconf"),
                        "-x",
                        "-h",
                        "-c",
                        os.path.dirname(path),
                        name,
                    ],
                    env=software.environment,
                    capture_output=True,
                    text=True,
                    check=True,
                    timeout=30,
                )
                value = " ".join(result.stdout.split())
                ours = [
                    " ".join(each.split())
                    for each in shown.splitlines()
                    if each.startswith("#   %s = " % name)
                ]
                self.assertEqual(len(ours), 1, shown)
                self.assertTrue(
                    ours[0].startswith("# %s = %s: " % (name, value))
                    or (not value and ours[0].startswith("# %s = : " % name)),
                    (ours[0], value),
                )
                compared += 1
        self.assertGreater(compared, 12)

    def test_debian(self):
        """The main.cf of Debian's package, and check with what comes of it."""
        tree = debian.unpack("postfix")
        text = ""
        for name in ("main.cf.debian", "main.cf.tls"):
            with open(
                tree.path("usr/share/postfix", name), encoding="utf-8"
            ) as file:
                text += file.read()
        text += (
            "myhostname = mx.example.org\n"
            "mydestination = $myhostname, localhost\n"
            "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n"
            "inet_interfaces = all\ninet_protocols = all\n"
        )
        settings = self.imported(self.write(text))
        for line in (
            'hostname = "mx.example.org"  # myhostname',
            'tls_cert_file = "/etc/ssl/certs/ssl-cert-snakeoil.pem"',
            'tls_key_file = "/etc/ssl/private/ssl-cert-snakeoil.key"',
            'tls_security_level = "may"',
            'backend_tls_security_level = "may"',
            'listen = ["0.0.0.0:25", "[::]:25"]',
        ):
            self.assertIn("\n" + line, settings)
        # Debian 12 names the folder, Debian 13 the file.
        self.assertRegex(
            settings,
            '\nbackend_tls_(CApath = "/etc/ssl/certs"|'
            'CAfile = "/etc/ssl/certs/ca-certificates.crt")',
        )
        self.assertIn(
            "smtp_tls_session_cache_database = "
            "btree:/var/lib/postfix/smtp_scache: ",
            settings,
        )
        path = self.write(settings, "tlspost.toml")
        result = proxy.run(
            "check", "--json", "--config=" + path, timeout=120
        )
        findings = json.loads(result.stdout)["findings"]
        self.assertIn(
            ("OK", "settings", path + ": understood"),
            [(each["verdict"], each["thing"], each["text"]) for each in findings],
        )
        self.assertEqual(
            [
                each
                for each in findings
                if each["area"] == "settings" and each["verdict"] != "OK"
            ],
            [],
        )

    def test_what_is_served_with_it(self):
        """A main.cf that works gives settings that work."""
        backend = util.free_port()
        path = self.write(
            "myhostname = mx.test\n"
            "smtpd_tls_cert_file = %s\n"
            "smtpd_tls_key_file = %s\n"
            "smtpd_tls_security_level = encrypt\n"
            "smtpd_tls_mandatory_protocols = >=TLSv1.3\n"
            % (
                self.certificates.path("rsa.chain.pem"),
                self.certificates.path("rsa.key"),
            )
        )
        config = self.write(self.imported(path), "tlspost.toml")
        port = util.free_port()
        running = self.launch(
            [
                "--config=" + config,
                "--listen=127.0.0.1:%d" % port,
                "--backend=127.0.0.1:%d" % backend,
                "--peername_lookup=no",
            ],
            port,
        )
        client = self.tls_session(running, version="TLSv1.3")
        self.assertIn("mx.test", client.greeting.text)
        plain = self.plain_session(running)
        self.assert_reply(plain.command("MAIL FROM:<a@b.test>"), 530)

    def test_wrong_calls(self):
        for arguments, word in (
            ([], "takes one file"),
            (["--help-me"], "takes one file"),
            (["/nowhere/main.cf"], "/nowhere/main.cf cannot be read"),
        ):
            result = proxy.run("import-postfix", *arguments)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(word, result.stderr)
            self.assertEqual(result.stdout, "")
