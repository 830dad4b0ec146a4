// Which addresses are this machine's own, so that a service that would connect
// to itself is found out before it does. Connects to nothing.

#ifndef TLSPOST_COMMON_IO_OWN_ADDRESS_H_
#define TLSPOST_COMMON_IO_OWN_ADDRESS_H_

#include <vector>

#include "common/io/endpoint.h"
#include "common/io/network.h"

namespace tlspost::io {

// The addresses of all interfaces; none when the kernel does not say.
std::vector<AddressBytes> OwnAddresses();

// Whether a connection to `to` comes to who listens at `listening`, which may
// be all addresses of its kind; `own` are this machine's. Port 0 is none.
bool LeadsTo(const Endpoint& to, const Endpoint& listening,
             const std::vector<AddressBytes>& own);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_OWN_ADDRESS_H_
