#include "proxy/client_identity.h"

#include "common/base/spare_string.h"

namespace tlspost {

smtp::ClientIdentity IdentityOf(const ClientChannel& client,
                                const ClientState& state) {
  smtp::ClientIdentity identity;
  const io::Stream& transport = client.stream().transport();
  const io::Endpoint& local = transport.local();
  identity.address = transport.peer().Address();
  identity.port = transport.peer().port();
  const io::PeerName* name = transport.peer_name();
  if (name != nullptr) {
    identity.name = SpareCopy(name->name);
    identity.reverse_name = SpareCopy(name->reverse_name);
    identity.name_later = name->name_found == io::NameFound::kLater;
    identity.reverse_name_later = name->reverse_found == io::NameFound::kLater;
  }
  identity.helo = SpareCopy(state.helo);
  identity.esmtp = state.esmtp;
  identity.dest_address = local.Address();
  identity.dest_port = local.port();
  return identity;
}

}  // namespace tlspost
