// Connections that are opened for one client each, who is named by a PROXY
// header ahead of all else: which waiter a connection is for, and what becomes
// of it.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "common/io/endpoint.h"
#include "common/smtp/proxy_header.h"
#include "common/smtp/reply.h"
#include "proxy/backend_pool.h"
#include "proxy/dialing.h"
#include "proxy/grant_op.h"

namespace tlspost {
namespace {

// All zeros for an address that is not known.
smtp::ProxyEndpoint EndpointOf(std::string_view address, uint16_t port) {
  const auto parsed = io::Endpoint::FromIp(address, port);
  sockaddr_storage storage = {};
  if (parsed.ok()) parsed->ToSockaddr(storage);
  smtp::ProxyEndpoint end;
  end.port = port;
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    end.address.assign(reinterpret_cast<const char*>(&v6->sin6_addr), 16);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    end.address.assign(reinterpret_cast<const char*>(&v4->sin_addr), 4);
  }
  return end;
}

}  // namespace

bool BackendPool::IsDialledFor(const GrantOp& waiter) const {
  for (const Dialing* dialing : dialing_) {
    if (dialing->client == waiter.identity() && Counts(*dialing)) return true;
  }
  return false;
}

int BackendPool::WaitersWithoutDial() {
  int count = 0;
  waiting_.ForEach([&](const GrantOp& waiter) {
    if (!IsDialledFor(waiter)) ++count;
  });
  return count;
}

// The first who waits for nothing yet. Where nobody does, the connection is to
// find out what the backend offers.
void BackendPool::ChooseClient(Dialing& dialing) {
  const GrantOp* chosen = nullptr;
  waiting_.ForEach([&](const GrantOp& waiter) {
    if (chosen == nullptr && !IsDialledFor(waiter)) chosen = &waiter;
  });
  if (chosen == nullptr) {
    dialing.header = smtp::EncodeLocalProxyHeader();
    return;
  }
  dialing.client = chosen->identity();
  const tls::TlsEngine* engine = chosen->borrower().tls;
  TlsDescription tls;
  if (engine != nullptr) tls = engine->Describe();
  dialing.header = smtp::EncodeProxyHeader(
      EndpointOf(dialing.client->address, dialing.client->port),
      EndpointOf(dialing.client->dest_address, dialing.client->dest_port),
      engine == nullptr ? nullptr : &tls);
}

BackendPool::GrantOp* BackendPool::FindWaiter(
    const smtp::ClientIdentity& identity) {
  GrantOp* found = nullptr;
  waiting_.ForEach([&](GrantOp& waiter) {
    if (waiter.identity() == identity) found = &waiter;
  });
  return found;
}

// A greeting that refuses is the backend's word on the client that it was told
// of (edge 99), and no fault of the backend. False: nobody was named.
bool BackendPool::TurnAway(const Dialing& dialing, const Backend& backend) {
  if (!dialing.client.has_value() || backend.refusal().empty()) return false;
  GrantOp* waiter = FindWaiter(*dialing.client);
  if (waiter != nullptr) {
    waiter->Complete(absl::PermissionDeniedError(
        smtp::WithoutLeaveTaking(backend.refusal(), "451")));
  }
  return true;
}

void BackendPool::HandOver(std::unique_ptr<Backend> backend) {
  GrantOp* waiter = backend->identity().has_value()
                        ? FindWaiter(*backend->identity())
                        : nullptr;
  if (waiter == nullptr) return Retire(std::move(backend));
  waiter->Complete(std::move(backend));
}

}  // namespace tlspost
