"""One message in a queue of Postfix, read from its file byte for byte."""

import re


class Message:
    """What a queue file holds."""

    def __init__(self, queue_id, sender, recipients, attributes, content):
        self.queue_id = queue_id
        self.sender = sender
        self.recipients = recipients
        self.attributes = attributes
        self.content = content

    def __repr__(self):
        return "Message(%s, from %s, to %s, client %s)" % (
            self.queue_id,
            self.sender,
            self.recipients,
            self.client,
        )

    @property
    def client(self):
        """name[address] as Postfix knows the client."""
        return "%s[%s]" % (
            self.attributes.get("log_client_name"),
            self.attributes.get("log_client_address"),
        )

    @property
    def helo(self):
        return self.attributes.get("log_helo_name")

    @property
    def protocol(self):
        return self.attributes.get("log_protocol_name")

    def received(self, index):
        """The index-th Received header field, with its newlines."""
        return self._split()[0][index]

    def received_count(self):
        return len(self._split()[0])

    def below(self, headers):
        """The content below that many header fields at the top."""
        rest = self.content
        for _ in range(headers):
            match = _FIELD.match(rest)
            rest = rest[match.end() :]
        return rest

    def _split(self):
        fields, rest = [], self.content
        while True:
            match = _FIELD.match(rest)
            if not match or not match.group().lower().startswith(b"received:"):
                return fields, rest
            fields.append(match.group().decode("latin-1"))
            rest = rest[match.end() :]


_FIELD = re.compile(rb"[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*")


def parse_queue_file(queue_id, data):
    """Reads Postfix's record format: type, length in 7-bit groups, bytes.

    Message lines are N records, their leading parts L records (a long line is
    split), so that the content comes out byte for byte; lines end in LF.
    """
    sender, recipients, attributes, content = None, [], {}, []
    position, in_message = 0, False
    while position < len(data):
        kind = chr(data[position])
        position += 1
        length = shift = 0
        while True:
            octet = data[position]
            position += 1
            length |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                break
        value = data[position : position + length]
        position += length
        if kind == "E":
            return Message(
                queue_id, sender, recipients, attributes, b"".join(content)
            )
        if kind == "p" and int(value) > 0:
            position = int(value)
        elif kind == "M":
            in_message = True
        elif kind == "X":
            in_message = False
        elif in_message and kind in "NL":
            content.append(value + (b"\n" if kind == "N" else b""))
        elif kind == "S":
            sender = value.decode("utf-8", "surrogateescape")
        elif kind == "R":
            recipients.append(value.decode("utf-8", "surrogateescape"))
        elif kind == "A":
            name, _, text = value.decode("utf-8", "surrogateescape").partition(
                "="
            )
            attributes[name] = text
    raise ValueError("queue file %s has no end record" % queue_id)
