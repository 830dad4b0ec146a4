// What a load balancer may send first: a PROXY header is one at no fewer octets
// than it has, whatever follows does not change it, and what we encode is read
// as it was meant.

#include <string>

#include "common/smtp/proxy_header.h"
#include "common/smtp/proxy_protocol.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

using State = smtp::ProxyDecoding::State;

void DecodeStepByStep(std::string_view octets) {
  const smtp::ProxyDecoding whole = smtp::DecodeProxyHeader(octets);
  Expect(whole.octets <= octets.size(), "it is within what was received");
  Expect(whole.state != State::kMalformed || !whole.fault.empty(),
         "a fault has words");
  const size_t longest = smtp::kMaxProxyV2Octets;
  Expect(whole.state != State::kNeedMore || octets.size() < longest,
         "no header is endless");
  for (size_t size = 0; size < octets.size(); ++size) {
    const smtp::ProxyDecoding part =
        smtp::DecodeProxyHeader(octets.substr(0, size));
    if (part.state == State::kNeedMore) continue;
    Expect(part.state == whole.state, "more octets make it nothing else");
    Expect(part.octets == whole.octets && part.header == whole.header,
           "what follows the header is not part of it");
    return;
  }
}

void Encode(std::string_view octets) {
  FuzzInput input(octets);
  smtp::ProxyEndpoint client;
  smtp::ProxyEndpoint server;
  client.address = input.Octet() % 2 == 0 ? std::string("\xc0\0\2\1", 4)
                                          : std::string(16, '\1');
  client.port = input.Number16();
  server.address = input.Octet() % 2 == 0 ? std::string("\xc6\x33\x64\1", 4)
                                          : std::string(16, '\2');
  server.port = input.Number16();
  TlsDescription tls;
  tls.cipher = input.Piece(255);
  tls.sni = input.Piece(255);
  const std::string header = smtp::EncodeProxyHeader(client, server, &tls);
  const smtp::ProxyDecoding read = smtp::DecodeProxyHeader(header + "220 x");
  Expect(read.state == State::kHeader && read.octets == header.size(),
         "what we encode can be read");
  Expect(read.header.source_port == client.port &&
             read.header.destination_port == server.port,
         "and means the same");
}

}  // namespace

void ProxyHeader(std::string_view octets) {
  DecodeStepByStep(octets);
  Encode(octets);
}

}  // namespace tlspost::fuzz
