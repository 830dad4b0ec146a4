// A TLS client of Node's for tlspeers.py: prints as JSON what it knows of the
// handshake, delivers one message and, asked to, comes back with its session
// first. Its argument is JSON: {port, implicit, servername, version, sigalgs,
// ca, cert, key, resume, lines, body}. Decides nothing about what is right.

'use strict';
const net = require('net');
const tls = require('tls');

const wanted = JSON.parse(process.argv[2]);

function lineReader(socket) {
  let text = '';
  let waiting = null;
  let ended = false;
  const look = () => {
    if (waiting === null) return;
    const match = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.exec(text);
    if (match) {
      text = text.slice(match[0].length);
      const resolve = waiting.resolve;
      waiting = null;
      resolve(match[0]);
    } else if (ended) {
      waiting.reject(new Error('the server closed; unread: ' + text));
    }
  };
  socket.on('data', (data) => { text += data; look(); });
  socket.on('end', () => { ended = true; look(); });
  return () => new Promise((resolve, reject) => {
    waiting = {resolve, reject};
    look();
  });
}

async function expect(read, code) {
  const reply = await read();
  if (!reply.split('\n').at(-2).startsWith(code)) {
    throw new Error('wanted ' + code + ', got ' + reply);
  }
}

function secure(socket, session) {
  return new Promise((resolve, reject) => {
    const stream = tls.connect({
      socket,
      servername: wanted.servername,
      minVersion: wanted.version,
      maxVersion: wanted.version,
      sigalgs: wanted.sigalgs,
      ca: wanted.ca,
      cert: wanted.cert,
      key: wanted.key,
      session,
      checkServerIdentity: () => undefined,
    });
    stream.ticket = new Promise((ticket) => stream.on('session', ticket));
    stream.on('secureConnect', () => resolve(stream));
    stream.on('error', reject);
  });
}

async function connect(session) {
  const socket = net.connect(wanted.port, '127.0.0.1');
  if (!wanted.implicit) {
    const read = lineReader(socket);
    await expect(read, '220');
    for (const [line, code] of [['EHLO node.test', '250'], ['STARTTLS', '220']]) {
      socket.write(line + '\r\n');
      await expect(read, code);
    }
    socket.removeAllListeners('data');
    socket.removeAllListeners('end');
  }
  const stream = await secure(socket, session);
  const read = lineReader(stream);
  if (wanted.implicit) await expect(read, '220');
  stream.write('EHLO node.test\r\n');
  await expect(read, '250');
  return {stream, read};
}

async function quit(client) {
  client.stream.write('QUIT\r\n');
  await expect(client.read, '221');
  client.stream.end();
}

async function main() {
  let session;
  if (wanted.resume) {
    const first = await connect(undefined);
    session = await first.stream.ticket;
    await quit(first);
  }
  const client = await connect(session);
  const certificate = client.stream.getPeerX509Certificate();
  process.stdout.write(JSON.stringify({
    protocol: client.stream.getProtocol(),
    cipher: client.stream.getCipher().name,
    reused: client.stream.isSessionReused(),
    fingerprint: certificate ? certificate.fingerprint256 : null,
  }));
  for (const [line, code] of wanted.lines) {
    client.stream.write(line + '\r\n');
    await expect(client.read, code);
  }
  client.stream.write(wanted.body);
  await expect(client.read, '250');
  await quit(client);
}

main().catch((error) => {
  console.error(String(error.stack));
  process.exit(1);
});
