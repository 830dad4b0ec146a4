// FairQueue: those who wait, in the order in which they are to be served:
// clients take turns, and each client's own come in the order of their arrival.
//
// So one client with a hundred sessions delays another by one of them, and not
// by all. Nobody is served here: the owner serves First() and says EndTurn. All
// steps but ForEach cost the same however many wait. What waits is the
// caller's; the memory here is one entry for each client that waits.

#ifndef TLSPOST_PROXY_FAIR_QUEUE_H_
#define TLSPOST_PROXY_FAIR_QUEUE_H_

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "common/base/check.h"
#include "common/base/intrusive_list.h"
#include "common/io/network.h"

namespace tlspost {

// T derives from FairQueue<T>::Node, and from no other ListNode<T>.
template <typename T>
class FairQueue {
  struct Client : ListNode<Client> {
    explicit Client(const io::AddressBytes& its_key) : key(its_key) {}

    const io::AddressBytes key;
    IntrusiveList<T> waiting;  // never empty
  };

 public:
  class Node : public ListNode<T> {
   public:
    bool waits() const { return client_ != nullptr; }

   private:
    friend class FairQueue;
    Client* client_ = nullptr;
  };

  FairQueue() = default;
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // `element` waits for the client `key` from now on.
  void Push(T& element, const io::AddressBytes& key) {
    Node& node = element;
    TLSPOST_REQUIRE(!node.waits());
    std::unique_ptr<Client>& client = clients_[key];
    if (client == nullptr) {
      client = std::make_unique<Client>(key);
      turns_.PushBack(*client);
    }
    client->waiting.PushBack(element);
    node.client_ = client.get();
    ++size_;
  }

  // It waits no more.
  void Remove(T& element) {
    Node& node = element;
    TLSPOST_REQUIRE(node.waits());
    Client& client = *node.client_;
    node.client_ = nullptr;
    node.ListNode<T>::Unlink();
    --size_;
    if (!client.waiting.empty()) return;
    // The key is read while its owner goes.
    const io::AddressBytes key = client.key;
    clients_.erase(key);
  }

  // Whose turn it is. Requires that somebody waits.
  T& First() { return turns_.front().waiting.front(); }

  // The client of `element` has had its turn, and is the last in line now.
  void EndTurn(T& element) {
    Node& node = element;
    TLSPOST_REQUIRE(node.waits());
    Client& client = *node.client_;
    client.ListNode<Client>::Unlink();
    turns_.PushBack(client);
  }

  // Client by client, in the order of their turns.
  template <typename Visit>
  void ForEach(const Visit& visit) {
    turns_.ForEach([&](Client& client) { client.waiting.ForEach(visit); });
  }

 private:
  std::unordered_map<io::AddressBytes, std::unique_ptr<Client>,
                     absl::Hash<io::AddressBytes>>
      clients_;
  IntrusiveList<Client> turns_;  // whose turn is next is in front
  size_t size_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_FAIR_QUEUE_H_
