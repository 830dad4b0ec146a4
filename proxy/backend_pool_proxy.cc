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
    const bool is_same = dialing->client == waiter.identity() &&
                         dialing->header == HeaderFor(waiter.borrower());
    if (is_same && Counts(*dialing)) return true;
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
  GrantOp* chosen = nullptr;
  // What a backend that was down says to a client is no word on that client.
  if (!IsProbe(dialing.target)) {
    waiting_.ForEach([&](GrantOp& waiter) {
      if (chosen == nullptr && !IsDialledFor(waiter)) chosen = &waiter;
    });
  }
  if (chosen == nullptr) {
    dialing.header = smtp::EncodeLocalProxyHeader();
    return;
  }
  waiting_.EndTurn(*chosen);
  dialing.client = chosen->identity();
  dialing.header = HeaderFor(chosen->borrower());
}

std::string BackendPool::HeaderFor(const Borrower& borrower) {
  const smtp::ClientIdentity& client = borrower.identity;
  TlsDescription tls;
  if (borrower.tls != nullptr) tls = borrower.tls->Describe();
  return smtp::EncodeProxyHeader(
      EndpointOf(client.address, client.port),
      EndpointOf(client.dest_address, client.dest_port),
      borrower.tls == nullptr ? nullptr : &tls);
}

// The waiter who is that client, and of whom `header` still tells the truth: a
// client may have started TLS since.
BackendPool::GrantOp* BackendPool::FindWaiter(
    const smtp::ClientIdentity& identity, std::string_view header) {
  GrantOp* found = nullptr;
  waiting_.ForEach([&](GrantOp& waiter) {
    const bool is_same =
        waiter.identity() == identity && HeaderFor(waiter.borrower()) == header;
    if (is_same) found = &waiter;
  });
  return found;
}

// A greeting that refuses is the backend's word on the client that it was told
// of (edge 99), and no fault of the backend. False: nobody was named.
bool BackendPool::TurnAway(const Dialing& dialing, const Backend& backend) {
  if (!dialing.client.has_value() || backend.refusal().empty()) return false;
  GrantOp* waiter = FindWaiter(*dialing.client, dialing.header);
  if (waiter != nullptr) {
    waiter->Complete(absl::PermissionDeniedError(
        smtp::WithoutLeaveTaking(backend.refusal(), "451")));
  }
  return true;
}

void BackendPool::HandOver(std::unique_ptr<Backend> backend) {
  GrantOp* waiter = backend->identity().has_value()
                        ? FindWaiter(*backend->identity(), backend->announced())
                        : nullptr;
  if (waiter == nullptr) return Retire(std::move(backend));
  waiter->Complete(std::move(backend));
}

}  // namespace tlspost
