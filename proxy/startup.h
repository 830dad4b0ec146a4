// What a start needs to know of addresses and limits: asked by the server when
// it starts, and by the check before.
//
// Looks names up, which blocks. Binds nothing and changes no limit. Errors are
// one line: the setting, what is wrong, the remedy.

#ifndef TLSPOST_PROXY_STARTUP_H_
#define TLSPOST_PROXY_STARTUP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/engine.h"
#include "proxy/backend_target.h"
#include "proxy/settings.h"
#include "proxy/worker.h"

namespace tlspost {

// `workers`, or one for each core.
int WorkerCount(const Settings& settings);

// An address as one of listen, listen_tls and the [[listener]] tables has it.
struct ListenText {
  std::string setting;  // where it stands, for messages
  std::string text;     // HOST:PORT
  bool implicit_tls = false;
  size_t terms = 0;  // see ListenAddress
};
std::vector<ListenText> ListenTextsOf(const Settings& settings);

// Looks `from` up and appends what it stands for to `addresses`, unless one of
// them is there already, which is an error.
absl::Status AddListenAddresses(const ListenText& from,
                                std::vector<ListenAddress>& addresses);

absl::StatusOr<std::vector<BackendAddress>> ResolveBackend(
    const std::string& text);

// An error if a connection to `backend` comes back to one of `listen`: each
// mail would take one connection after the other, until there are none.
absl::Status CheckIsOther(const BackendAddress& backend,
                          const std::vector<ListenAddress>& listen);

// Where the administrator can look; empty without admin_listen. An error, too,
// where others could look uninvited.
absl::StatusOr<std::vector<io::Endpoint>> ResolveAdminListen(
    const Settings& settings);

// The limit of open files, raised as far as the process may.
uint64_t RaiseDescriptorLimit();

// How many clients there is room for when so many files may be open: the whole
// of max_connections, or less, and then `warning` says so. Error: no room.
absl::StatusOr<int> ClientsWithin(uint64_t open_files_limit,
                                  const Settings& settings, size_t listeners,
                                  std::string* warning);

// The loops of a server, over the engine that the settings choose: one for each
// worker, and behind them the administrator's, if there is admin_listen.
absl::StatusOr<io::Loops> CreateServerLoops(const Settings& settings);

// What is to be said of `loops` when a start goes on with another engine than
// the best; empty: nothing.
std::string EngineWarning(const io::Loops& loops);

// `status` with the name of the setting that it is about.
absl::Status InSetting(std::string_view setting, const absl::Status& status);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_STARTUP_H_
