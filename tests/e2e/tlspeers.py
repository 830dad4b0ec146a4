"""TLS clients of other libraries: OpenSSL, GnuTLS, Node and Python.

deliver() sends one message through tlspost as a Visit says and returns what
the client's own library reports of the handshake, as a Report. Whether that is
what tlspost says too is for the tests to compare.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import typing
import unittest

import debian
import dialogue
import smtpclient
import util

SENDER, RECIPIENT = "peer@sender.test", "peer@recipient.test"
BODY = b"Subject: from a peer\r\n\r\nA line.\r\n"
_ENVELOPE = (
    ("mail from:<%s>" % SENDER, "250"),
    ("rcpt to:<%s>" % RECIPIENT, "250"),
    ("data", "354"),
)


@dataclasses.dataclass(frozen=True)
class Visit:
    """How a client comes."""

    peer: str  # a key of PEERS
    version: str  # TLSv1.2 or TLSv1.3
    resumed: bool
    certificate: typing.Optional[str]  # name of one of Certificates
    sni: typing.Optional[str]
    implicit: bool  # TLS from the first octet, else STARTTLS
    # Signatures that the client takes: of what kind the server's key may be.
    key: typing.Optional[str] = None  # rsa, ecdsa or None for both

    @property
    def helo(self):
        return self.peer + ".test"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a client says of its handshake."""

    protocol: str
    cipher: str  # OpenSSL's name
    reused: bool
    fingerprint: typing.Optional[str]  # SHA-256; None: the client does not say


_PEM = rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----"


def _fingerprint(pem):
    """SHA-256 of the first certificate in that text."""
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(pem[: pem.index(end) + len(end)])
    return hashlib.sha256(der).hexdigest()


def _tool(name, *packages):
    try:
        return debian.program(name, *packages)
    except util.Skip as reason:
        raise unittest.SkipTest(
            "%s is not installed, and: %s" % (name, reason)
        ) from None


# --- OpenSSL's command ------------------------------------------------------


def s_client_command(visit, port, certificates, *more):
    """(command, environment) for that visit."""
    openssl, environment = _tool("openssl")
    command = [openssl, "s_client", "-connect", "127.0.0.1:%d" % port]
    if not visit.implicit:
        command += ["-starttls", "smtp", "-name", visit.helo]
    command += [
        "-" + visit.version.lower().replace(".", "_").replace("v", ""),
        "-CAfile",
        certificates.path("root.pem"),
        "-verify_return_error",
    ]
    command += ["-servername", visit.sni] if visit.sni else ["-noservername"]
    if visit.certificate:
        command += [
            "-cert",
            certificates.path(visit.certificate + ".pem"),
            "-cert_chain",
            certificates.path("intermediate.pem"),
            "-key",
            certificates.path(visit.certificate + ".key"),
        ]
    if visit.key:
        command += [
            "-sigalgs",
            {
                "rsa": "RSA-PSS+SHA256:RSA+SHA256",
                "ecdsa": "ECDSA+SHA256",
            }[visit.key],
        ]
    return command + list(more), environment


def _type_message(talk, visit, deliver=True):
    """The SMTP part, in a program that shows what comes as it comes."""
    if visit.implicit:
        talk.expect(rb"^220 ")
    for line, code in (("ehlo " + visit.helo, "250"),) + (
        _ENVELOPE if deliver else ()
    ):
        talk.say(line.encode() + b"\r\n")
        talk.expect(rb"^" + code.encode() + rb" [^\n]*\n")
    if deliver:
        talk.say(smtpclient.dot_stuff(BODY) + b".\r\n")
        talk.expect(rb"^250 [^\n]*\n")
    talk.say(b"quit\r\n")
    talk.expect(rb"^221 ")


def _s_client_session(visit, port, certificates, deliver, *more):
    """One connection of s_client; its Report.

    Typed in lower case: a line that begins with R or Q would be taken for a
    command of s_client's own.
    """
    command, environment = s_client_command(visit, port, certificates, *more)
    talk = dialogue.Dialogue(command, environment)
    try:
        certificate = talk.expect(_PEM).group().decode()
        match = talk.expect(
            rb"^(New|Reused), (TLSv1\.\d), Cipher is (\S+)\r?$"
        )
        _type_message(talk, visit, deliver)
    finally:
        errors = talk.end()
    assert "verify error" not in errors, errors
    return Report(
        match.group(2).decode(),
        match.group(3).decode(),
        match.group(1) == b"Reused",
        _fingerprint(certificate),
    )


def _openssl(visit, port, certificates):
    if not visit.resumed:
        return _s_client_session(visit, port, certificates, True)
    with tempfile.TemporaryDirectory(prefix="tlspost-e2e-") as folder:
        path = os.path.join(folder, "session")
        _s_client_session(visit, port, certificates, False, "-sess_out", path)
        return _s_client_session(
            visit, port, certificates, True, "-sess_in", path
        )


# --- GnuTLS -----------------------------------------------------------------

_GNUTLS_CIPHERS = {
    "AES-128-GCM": ("AES128-GCM", "AES_128_GCM", "SHA256"),
    "AES-256-GCM": ("AES256-GCM", "AES_256_GCM", "SHA384"),
    "CHACHA20-POLY1305": ("CHACHA20-POLY1305", "CHACHA20_POLY1305", "SHA256"),
}


def _gnutls_cipher(version, description):
    """OpenSSL's name for what gnutls-cli calls a description.

    (TLS1.2-X.509)-(ECDHE-SECP256R1)-(ECDSA-SHA256)-(AES-128-GCM).
    """
    parts = re.findall(r"\(([^()]*)\)", description)
    short, suite, digest = _GNUTLS_CIPHERS[parts[-1]]
    if version == "TLSv1.3":
        return "TLS_%s_%s" % (suite, digest)
    signature = "ECDSA" if "ECDSA" in parts[2] else "RSA"
    name = "%s-%s-%s" % (parts[1].partition("-")[0], signature, short)
    return name + ("" if short.startswith("CHACHA") else "-" + digest)


def _gnutls(visit, port, certificates):
    path, environment = _tool("gnutls-cli", "gnutls-bin")
    priority = "NORMAL:-VERS-ALL:+VERS-" + visit.version.replace("v", "")
    if visit.key:
        priority += (
            ":-SIGN-ALL:"
            + {
                "rsa": "+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256",
                "ecdsa": "+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256",
            }[visit.key]
        )
    command = [
        path,
        "--port=%d" % port,
        "--priority=" + priority,
        "--x509cafile=" + certificates.path("root.pem"),
        "--verify-hostname=mx.test"
        if visit.sni in (None, "mx.test") or "stranger" in visit.sni
        else "--verify-hostname=" + visit.sni,
        "--sni-hostname=" + visit.sni if visit.sni else "--disable-sni",
    ]
    if not visit.implicit:
        command.append("--starttls-proto=smtp")
    if visit.resumed:
        command += ["--resume", "--waitresumption"]
    if visit.certificate:
        command += [
            "--x509certfile="
            + certificates.path(visit.certificate + ".chain.pem"),
            "--x509keyfile=" + certificates.path(visit.certificate + ".key"),
        ]
    with tempfile.TemporaryDirectory(prefix="tlspost-e2e-") as folder:
        saved = os.path.join(folder, "chain.pem")
        talk = dialogue.Dialogue(
            command + ["--save-cert=" + saved, "127.0.0.1"], environment
        )
        try:
            description = talk.expect(rb"^- Description: (.*)$").group(1)
            if visit.resumed:
                # It leaves the signature out when it comes again: nothing is
                # signed. The cipher is that of the session, the same one.
                talk.expect(rb"^- Connecting again")
                talk.expect(rb"^\*\*\* This is a resumed session")
            talk.expect(rb"^- Simple Client Mode:")
            _type_message(talk, visit)
        finally:
            talk.end()
        fingerprint = _fingerprint(util.read_text(saved))
    return Report(
        visit.version,
        _gnutls_cipher(visit.version, description.decode()),
        visit.resumed,
        fingerprint,
    )


# --- Node -------------------------------------------------------------------


def _node(visit, port, certificates):
    # Debian's does not run unpacked: parts of it are looked for in /usr.
    path = shutil.which("node")
    if path is None:
        raise unittest.SkipTest("node is missing: apt-get install nodejs")

    def text(name):
        return util.read_text(certificates.path(name))

    wanted = {
        "port": port,
        "implicit": visit.implicit,
        # Node takes an empty name for "no SNI".
        "servername": visit.sni or "",
        "version": visit.version,
        "ca": text("root.pem"),
        "resume": visit.resumed,
        "lines": _ENVELOPE,
        "body": (smtpclient.dot_stuff(BODY) + b".\r\n").decode(),
    }
    if visit.key:
        wanted["sigalgs"] = {
            "rsa": "RSA-PSS+SHA256:RSA+SHA256",
            "ecdsa": "ECDSA+SHA256",
        }[visit.key]
    if visit.certificate:
        wanted["cert"] = text(visit.certificate + ".chain.pem")
        wanted["key"] = text(visit.certificate + ".key")
    result = subprocess.run(
        [path, os.path.join(util.HERE, "tlspeer.js"), json.dumps(wanted)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    fingerprint = said["fingerprint"]
    return Report(
        said["protocol"],
        said["cipher"],
        said["reused"],
        fingerprint and fingerprint.replace(":", "").lower(),
    )


# --- Python -----------------------------------------------------------------


def python_context(visit, certificates):
    context = certificates.trust(visit.version, visit.certificate)
    context.check_hostname = False
    if visit.key and visit.version == "TLSv1.2":
        context.set_ciphers("ECDHE+AESGCM+a" + visit.key.upper())
    return context


def python_session(visit, port, certificates, context=None, session=None):
    """A smtpclient.Client after EHLO under TLS."""
    client = smtpclient.Client(port, greet=not visit.implicit)
    context = context or python_context(visit, certificates)
    try:
        if visit.implicit:
            client.handshake(context, visit.sni, session)
            client.greeting = client.reply()
        else:
            client.ehlo(visit.helo)
            client.starttls(context, visit.sni, session)
        client.ehlo(visit.helo)
    except BaseException:
        client.close()
        raise
    return client


def python_report(client):
    der = client.tls.getpeercert(binary_form=True)
    return Report(
        client.tls.version(),
        client.tls.cipher()[0],
        client.tls.session_reused,
        hashlib.sha256(der).hexdigest(),
    )


def _python(visit, port, certificates):
    context = python_context(visit, certificates)
    session = None
    if visit.resumed:
        first = python_session(visit, port, certificates, context)
        session = first.tls.session
        first.quit()
    client = python_session(visit, port, certificates, context, session)
    try:
        report = python_report(client)
        client.deliver(SENDER, [RECIPIENT], BODY)
        client.quit()
    finally:
        client.close()
    return report


PEERS = {
    "openssl": _openssl,
    "gnutls": _gnutls,
    "node": _node,
    "python": _python,
}


def deliver(visit, port, certificates):
    """The visit's one message is delivered; what the client reports."""
    return PEERS[visit.peer](visit, port, certificates)
