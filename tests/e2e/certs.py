"""Throw-away certificates, made with the openssl command.

A root, an intermediate and, signed by the latter, an RSA and an ECDSA
certificate for mx.test, so that a client that trusts only the root proves that
the whole chain was sent. Further keys are for the tests of start-up errors, and
issue() makes whatever else a test needs.
"""

import datetime
import hashlib
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
[issuing]
database = index.txt
new_certs_dir = .
serial = serial
unique_subject = no
default_md = sha256
policy = anything
[anything]
commonName = supplied
organizationName = optional
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
subjectAltName = {names}
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
_NAMES = "DNS:mx.test"

_RSA = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
_ECDSA = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
# From when to when, counted from today: scanners frown at a short rest.
_AUTHORITY_DAYS = (-1, 90)


class Certificates:
    """A folder with NAME.key, NAME.pem (certificate) and NAME.chain.pem."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tlspost-e2e-certs-")
        open(self.path("index.txt"), "w", encoding="ascii").close()
        self._configure(_NAMES)
        self._make("root", _ECDSA, "authority", days=_AUTHORITY_DAYS)
        self._make(
            "intermediate", _ECDSA, "authority", "root", days=_AUTHORITY_DAYS
        )
        self._make("rsa", _RSA, "server", "intermediate")
        self._make("ecdsa", _ECDSA, "server", "intermediate")
        for name in ("rsa", "ecdsa"):
            self._join_chain(name, "intermediate")
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

    def trust(self, version=None, certificate=None):
        """A client's ssl context, for only that version if one is given.

        With the name of a certificate it has that one to show.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path("root.pem"))
        if version is not None:
            wanted = ssl.TLSVersion[version.replace(".", "_")]
            context.minimum_version = context.maximum_version = wanted
        if certificate is not None:
            context.load_cert_chain(
                self.path(certificate + ".chain.pem"),
                self.path(certificate + ".key"),
            )
        return context

    def issue(
        self,
        name,
        key="ecdsa",
        use="server",
        issuer="intermediate",
        subject=None,
        names=_NAMES,
        days=(-1, 2),
    ):
        """Makes NAME.key, NAME.pem, NAME.chain.pem and NAME.combined.pem.

        use is server, client or authority; without an issuer it signs itself;
        days are from when to when, counted from today. Once made it stays: the
        same name is the same certificate for all tests. Returns the name.
        """
        if os.path.exists(self.path(name + ".combined.pem")):
            return name
        self._configure(names)
        algorithm = {"rsa": _RSA, "ecdsa": _ECDSA}[key]
        self._make(name, algorithm, use, issuer, subject, days)
        self._join_chain(name, issuer)
        os.chmod(self.path(name + ".key"), 0o600)
        os.chmod(self.path(name + ".combined.pem"), 0o600)
        return name

    def staple(self, name, issuer="intermediate"):
        """Path of an OCSP response (DER) that says the certificate is good."""
        path = self.path(name + ".ocsp")
        self._openssl(
            "ocsp",
            "-noverify",
            "-index",
            self.path("index.txt"),
            "-CA",
            self.path(issuer + ".pem"),
            "-rsigner",
            self.path(issuer + ".pem"),
            "-rkey",
            self.path(issuer + ".key"),
            "-issuer",
            self.path(issuer + ".pem"),
            "-cert",
            self.path(name + ".pem"),
            "-ndays",
            "1",
            "-respout",
            path,
        )
        return path

    def rehash(self, folder):
        """Hash links for the certificates in a directory (CApath)."""
        self._openssl("rehash", folder)

    def fingerprint(self, name):
        """SHA-256 of the certificate, as clients print it (hexadecimal)."""
        with open(self.path(name + ".pem"), encoding="ascii") as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        return hashlib.sha256(der).hexdigest()

    def _configure(self, names):
        with open(self.path("openssl.cnf"), "w", encoding="ascii") as file:
            file.write(_CONFIG.format(names=names))

    def _join_chain(self, name, issuer):
        parts = [name + ".pem"] + ([issuer + ".pem"] if issuer else [])
        self._join(name + ".chain.pem", *parts)
        self._join(name + ".combined.pem", name + ".key", *parts)

    def _openssl(self, *arguments):
        openssl, environment = debian.program("openssl")
        result = subprocess.run(
            [openssl] + list(arguments),
            check=False,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        assert result.returncode == 0, (arguments, result.stderr)

    def _make(
        self, name, algorithm, use, issuer=None, subject=None, days=None
    ):
        key, request = self.path(name + ".key"), self.path(name + ".csr")
        self._openssl("genpkey", *algorithm, "-out", key)
        self._openssl(
            "req",
            "-new",
            "-utf8",
            "-config",
            self.path("openssl.cnf"),
            "-key",
            key,
            "-subj",
            subject or "/CN=" + name + ".test",
            "-out",
            request,
        )
        signer = issuer or name
        today = datetime.datetime.now(datetime.timezone.utc)
        start, end = (
            (today + datetime.timedelta(days=each)).strftime("%Y%m%d%H%M%SZ")
            for each in (days or (-1, 2))
        )
        # `openssl ca` because it alone takes any dates, also past ones.
        self._openssl(
            "ca",
            "-batch",
            "-config",
            self.path("openssl.cnf"),
            "-name",
            "issuing",
            "-rand_serial",
            "-notext",
            "-in",
            request,
            *(
                ["-selfsign"]
                if issuer is None
                else ["-cert", self.path(signer + ".pem")]
            ),
            "-keyfile",
            self.path(signer + ".key"),
            "-startdate",
            start,
            "-enddate",
            end,
            "-extensions",
            use,
            "-out",
            self.path(name + ".pem"),
        )

    def _join(self, result, *parts):
        with open(self.path(result), "wb") as file:
            for part in parts:
                with open(self.path(part), "rb") as source:
                    file.write(source.read())
