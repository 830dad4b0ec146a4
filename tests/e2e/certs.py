"""Throw-away certificates, made with the openssl command.

A root, an intermediate and, signed by the latter, an RSA and an ECDSA
certificate for mx.test, so that a client that trusts only the root proves that
the whole chain was sent. Further keys are for the tests of start-up errors.
"""

import os
import shutil
import ssl
import subprocess
import tempfile

import debian

_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = tlspost end-to-end tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:mx.test
"""

_RSA = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
_ECDSA = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


class Certificates:
    """A folder with NAME.key, NAME.pem (certificate) and NAME.chain.pem."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tlspost-e2e-certs-")
        with open(self.path("openssl.cnf"), "w", encoding="ascii") as file:
            file.write(_CONFIG)
        self._make("root", _ECDSA, "authority")
        self._make("intermediate", _ECDSA, "authority", "root")
        self._make("rsa", _RSA, "server", "intermediate")
        self._make("ecdsa", _ECDSA, "server", "intermediate")
        for name in ("rsa", "ecdsa"):
            self._join(name + ".chain.pem", name + ".pem", "intermediate.pem")
            self._join(
                name + ".combined.pem",
                name + ".key",
                name + ".pem",
                "intermediate.pem",
            )
        self._openssl("genpkey", *_RSA, "-out", self.path("other.key"))
        self._openssl(
            "pkey",
            "-in",
            self.path("rsa.key"),
            "-aes-128-cbc",
            "-passout",
            "pass:secret",
            "-out",
            self.path("encrypted.key"),
        )
        with open(self.path("garbage.pem"), "w", encoding="ascii") as file:
            file.write("this is no PEM file\n")
        shutil.copy(self.path("rsa.key"), self.path("world-readable.key"))
        for name in os.listdir(self.folder):
            os.chmod(self.path(name), 0o600)
        os.chmod(self.path("world-readable.key"), 0o644)

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def trust(self, version=None):
        """A client's ssl context, for only that version if one is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path("root.pem"))
        if version is not None:
            wanted = ssl.TLSVersion[version.replace(".", "_")]
            context.minimum_version = context.maximum_version = wanted
        return context

    def _openssl(self, *arguments):
        openssl, environment = debian.program("openssl")
        subprocess.run(
            [openssl] + list(arguments),
            check=True,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    def _make(self, name, algorithm, extensions, issuer=None):
        key, request = self.path(name + ".key"), self.path(name + ".csr")
        self._openssl("genpkey", *algorithm, "-out", key)
        self._openssl(
            "req",
            "-new",
            "-config",
            self.path("openssl.cnf"),
            "-key",
            key,
            "-subj",
            "/CN=" + name + ".test",
            "-out",
            request,
        )
        signing = (
            ["-signkey", key]
            if issuer is None
            else [
                "-CA",
                self.path(issuer + ".pem"),
                "-CAkey",
                self.path(issuer + ".key"),
                "-CAcreateserial",
            ]
        )
        self._openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-days",
            "2",
            *signing,
            "-extfile",
            self.path("openssl.cnf"),
            "-extensions",
            extensions,
            "-out",
            self.path(name + ".pem"),
        )

    def _join(self, result, *parts):
        with open(self.path(result), "wb") as file:
            for part in parts:
                with open(self.path(part), "rb") as source:
                    file.write(source.read())
