"""A mail client, run in a network of its own as a program:

    mailer.py HOST PORT SUBJECT [--implicit] [--authority=FILE] [--pause]

Sends one message by TLS and prints the certificate's fingerprint. --pause:
prints "half" in mid-message and goes on after a line on standard input.
"""

import argparse
import hashlib
import smtplib
import ssl
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("subject")
    parser.add_argument("--implicit", action="store_true")
    parser.add_argument("--authority")
    parser.add_argument("--pause", action="store_true")
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.authority)
    if options.authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.implicit:
        client = smtplib.SMTP_SSL(
            options.host, options.port, timeout=60, context=context
        )
    else:
        client = smtplib.SMTP(options.host, options.port, timeout=60)
        client.ehlo("client.test")
        client.starttls(context=context)
    client.ehlo("client.test")
    certificate = client.sock.getpeercert(binary_form=True)
    print("certificate", hashlib.sha256(certificate).hexdigest(), flush=True)
    text = "Subject: %s\r\n\r\nfirst half\r\n" % options.subject
    for line, wanted in (
        ("MAIL FROM:<sender@client.test>", 250),
        ("RCPT TO:<user@example.test>", 250),
        ("DATA", 354),
    ):
        code, reply = client.docmd(line)
        if code != wanted:
            sys.exit("%s: %d %s" % (line, code, reply.decode()))
    client.send(text)
    if options.pause:
        print("half", flush=True)
        sys.stdin.readline()
    client.send("second half\r\n.\r\n")
    code, reply = client.getreply()
    print(code, reply.decode(), flush=True)
    if code != 250:
        sys.exit(1)
    client.close()


if __name__ == "__main__":
    main()
