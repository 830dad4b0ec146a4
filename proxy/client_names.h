// ClientNames: the names that DNS has for a worker's clients, as far as they
// are known.
//
// A bounded cache before an io::NameResolver: clients of one address wait for
// one question, and nobody waits beyond the own deadline. Never says anything
// to a client.

#ifndef TLSPOST_PROXY_CLIENT_NAMES_H_
#define TLSPOST_PROXY_CLIENT_NAMES_H_

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/name_resolver.h"
#include "common/io/network.h"
#include "common/io/wait_queue.h"

namespace tlspost {

class ClientNames {
 public:
  // Addresses in the cache, those that are being asked about included.
  static constexpr size_t kMaxAddresses = 8192;

  using Name = std::shared_ptr<const io::PeerName>;

  // Without a resolver there are no names. It outlives this.
  ClientNames(io::Loop& loop, io::NameResolver* resolver,
              size_t max_addresses = kMaxAddresses);
  ~ClientNames();
  ClientNames(const ClientNames&) = delete;
  ClientNames& operator=(const ClientNames&) = delete;

  bool enabled() const { return resolver_ != nullptr; }

  // Asks about `address`, unless that is known or under way.
  void Begin(const io::Endpoint& address);

  // What is known at `deadline` or before; never null. Not known in time is
  // like DNS that does not answer.
  Task<Name> Lookup(io::Endpoint address, io::Time deadline);

  // Nobody waits any longer; what is not known now is not known.
  void Interrupt();

  size_t size() const { return entries_.size(); }

 private:
  struct Entry : ListNode<Entry> {
    Entry(io::Loop& loop, const io::AddressBytes& its_key)
        : key(its_key), waiting(loop) {}
    const io::AddressBytes key;
    Name name;  // null: being asked
    io::Time expires{};
    io::WaitQueue waiting;
  };

  Entry* Find(const io::AddressBytes& key);
  bool MakeRoom();
  void Learn(const io::AddressBytes& key, io::NameResolver::Answer answer);

  io::Loop& loop_;
  io::NameResolver* const resolver_;
  const size_t max_addresses_;
  const Name unknown_;  // what nobody knows in time
  std::unordered_map<io::AddressBytes, std::unique_ptr<Entry>,
                     absl::Hash<io::AddressBytes>>
      entries_;
  IntrusiveList<Entry> known_;  // with a name; used longest ago comes first
  bool interrupted_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_NAMES_H_
