// What a Server is about to put into force. Private to Server.

#ifndef TLSPOST_PROXY_SERVER_DRAFT_H_
#define TLSPOST_PROXY_SERVER_DRAFT_H_

#include <optional>
#include <string>
#include <vector>

#include "proxy/backend_target.h"
#include "proxy/listen_sockets.h"
#include "proxy/server.h"
#include "proxy/settings.h"

namespace tlspost {

// Everything that can fail has been done; dropping it changes nothing.
struct Server::Draft {
  std::optional<Settings> settings;
  std::vector<BackendAddress> backends;
  ListenSockets::Plan sockets;
  std::vector<std::string> warnings;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_DRAFT_H_
