// ListenSockets: the listening sockets of the process, and which of them each
// worker accepts from.
//
// They are bound here, before anything changes, so that a start or a reload can
// still fail; a worker gets descriptors of its own. Sockets that somebody else
// has made (systemd, or the tlspost before this one) are used in place of new
// ones: clients that wait in them are nobody's loss. Accepts nothing.

#ifndef TLSPOST_PROXY_LISTEN_SOCKETS_H_
#define TLSPOST_PROXY_LISTEN_SOCKETS_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/descriptor.h"
#include "common/io/endpoint.h"
#include "proxy/worker.h"

namespace tlspost {

class ListenSockets {
 private:
  struct Place;

 public:
  // A set of addresses, all of them bound.
  class [[nodiscard]] Plan {
   public:
    Plan();
    Plan(Plan&&) noexcept;
    Plan& operator=(Plan&&) noexcept;
    // What is new in it is closed, unless it was put into force.
    ~Plan();

    // With the ports that the kernel has chosen.
    std::vector<ListenAddress> addresses() const;

   private:
    friend class ListenSockets;
    std::vector<std::shared_ptr<Place>> places_;
  };

  explicit ListenSockets(size_t workers);
  ~ListenSockets();

  // Sockets that are used when an address is theirs. `shared`: who has made
  // them keeps them too. Error: one is no listening TCP socket. Before Bind.
  absl::Status Adopt(std::vector<io::Descriptor> sockets, bool shared);

  struct Wanted {
    ListenAddress address;
    std::string setting;  // where it stands, for messages
  };
  // Binds what `wanted` has and is not bound yet; nothing else changes. Error:
  // one plain line.
  absl::StatusOr<Plan> Bind(const std::vector<Wanted>& wanted);

  // The adopted socket that is bound to `endpoint`, for the caller; none
  // without one.
  io::Descriptor Claim(const io::Endpoint& endpoint);
  // Closes what was adopted and nobody has claimed.
  void DropUnclaimed();
  // What was adopted and nobody has asked for so far.
  std::vector<io::Endpoint> Unclaimed() const;

  // Puts a plan into force: what each worker listens on from now on. The
  // sockets that were bound for it are the workers' to close.
  std::vector<std::vector<ListenAddress>> Use(Plan plan);

  // All sockets in force, for another process. They stay ours.
  std::vector<io::Descriptor> Copies() const;
  // Whether somebody else has a descriptor of any of them.
  bool is_shared() const;

  // Lets go of all sockets: what the workers close is closed then.
  void Close();

 private:
  struct Given {
    io::Descriptor socket;
    io::Endpoint endpoint;
    bool shared = false;
  };

  // All with the mutex locked.
  std::vector<std::shared_ptr<Place>> FindBound(
      const std::vector<Wanted>& wanted) const;
  absl::Status CheckFree(const io::Endpoint& endpoint) const;
  absl::StatusOr<std::shared_ptr<Place>> Open(const ListenAddress& wanted);
  absl::Status BindNew(Place& place);
  absl::Status MakeCopies(Place& place);

  const size_t workers_;
  mutable std::mutex mutex_;
  // Guarded by the mutex.
  std::vector<Given> given_;
  std::vector<std::shared_ptr<Place>> places_;
  size_t last_number_ = 0;
  bool closed_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LISTEN_SOCKETS_H_
