#include "tests/unit/tls/engine_pair.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace tlspost::tls {

std::shared_ptr<TlsContext> ServerContext(ServerTlsOptions options) {
  if (options.certificates.empty()) {
    options.certificates.push_back(SourceOf(SharedIdentity(KeyKind::kP256)));
  }
  return TlsContext::CreateServer(options).value();
}

std::shared_ptr<TlsContext> ClientContext(ClientTlsOptions options) {
  return TlsContext::CreateClient(options).value();
}

void End::Feed(size_t most) {
  if (engine.input_left() > 0) return;
  const size_t size = std::min(most, arrived.size());
  fed = std::make_unique<char[]>(size);
  std::memcpy(fed.get(), arrived.data(), size);
  arrived.erase(0, size);
  engine.SetInput(std::string_view(fed.get(), size));
}

Step End::Advance() {
  if (!engine.established()) {
    last = engine.Handshake();
    if (last != Step::kDone) return last;
  }
  std::string block(read_capacity, '\0');
  size_t got = 0;
  while ((last = engine.Read(block.data(), block.size(), &got)) ==
         Step::kDone) {
    TLSPOST_CHECK(got > 0);
    plaintext.append(block, 0, got);
  }
  return last;
}

bool EnginePair::Move(End& from, End& to, size_t* sent, size_t cut_at,
                      size_t most) {
  if (from.engine.has_output()) {
    to.arrived += from.engine.TakeOutput();
  }
  if (to.arrived.empty()) return false;
  size_t size = std::min(most, to.arrived.size());
  if (*sent < cut_at) size = std::min(size, cut_at - *sent);
  *sent += size;
  to.Feed(size);
  to.Advance();
  return true;
}

void EnginePair::Pump(size_t most) {
  if (client.last == Step::kWantRead) client.Advance();
  bool moved = true;
  while (moved) {
    moved = Move(client, server, &client_sent, cut_client_at, most);
    moved |= Move(server, client, &server_sent, cut_server_at, most);
    const bool over =
        client.last == Step::kFailed && server.last == Step::kFailed;
    if (over) break;
  }
}

bool EnginePair::Connect(size_t most) {
  Pump(most);
  return client.engine.established() && server.engine.established();
}

bool Send(EnginePair& pair, End& from, std::string_view text) {
  while (true) {
    size_t taken = 0;
    const Step step = from.engine.Write(text, &taken);
    text.remove_prefix(taken);
    pair.Pump();
    if (step == Step::kDone) return text.empty();
    if (step != Step::kWantWrite) return false;
  }
}

}  // namespace tlspost::tls
