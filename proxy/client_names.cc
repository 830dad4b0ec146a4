// The cache: one entry for each address.

#include "proxy/client_names.h"

#include <utility>

#include "absl/status/status.h"

namespace tlspost {
namespace {

ClientNames::Name MakeUnknown() {
  auto name = std::make_shared<io::PeerName>();
  name->name_found = name->reverse_found = io::NameFound::kLater;
  return name;
}

}  // namespace

ClientNames::ClientNames(io::Loop& loop, io::NameResolver* resolver,
                         size_t max_addresses)
    : loop_(loop),
      resolver_(resolver),
      max_addresses_(max_addresses),
      unknown_(MakeUnknown()) {}

ClientNames::~ClientNames() {
  if (resolver_ != nullptr) resolver_->Forget(loop_);
}

void ClientNames::Begin(const io::Endpoint& address) {
  const io::AddressBytes key = io::BytesOf(address);
  const bool known = interrupted_ || Find(key) != nullptr;
  if (known || !MakeRoom()) return;
  entries_.emplace(key, std::make_unique<Entry>(loop_, key));
  resolver_->Resolve(loop_, address,
                     [this, key](io::NameResolver::Answer answer) {
                       Learn(key, std::move(answer));
                     });
}

Task<ClientNames::Name> ClientNames::Lookup(io::Endpoint address,
                                            io::Time deadline) {
  const io::AddressBytes key = io::BytesOf(address);
  Begin(address);
  Entry* entry = Find(key);
  if (entry != nullptr && entry->name == nullptr && !interrupted_) {
    const absl::Status woken = co_await entry->waiting.Wait(deadline);
    // The entry may have given way to others before we run.
    entry = woken.ok() ? Find(key) : nullptr;
  }
  if (entry == nullptr || entry->name == nullptr) co_return unknown_;
  co_return entry->name;
}

void ClientNames::Interrupt() {
  interrupted_ = true;
  for (const auto& [key, entry] : entries_) {
    entry->waiting.WakeAll(absl::AbortedError("interrupted"));
  }
}

// The entry of an address that is known or being asked about; it counts as
// used.
ClientNames::Entry* ClientNames::Find(const io::AddressBytes& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  Entry& entry = *found->second;
  if (entry.name == nullptr) return &entry;
  if (entry.expires <= loop_.Now()) {
    entries_.erase(found);
    return nullptr;
  }
  entry.Unlink();
  known_.PushBack(entry);
  return &entry;
}

// False: every place is taken by a question that nobody has answered yet.
bool ClientNames::MakeRoom() {
  if (entries_.size() < max_addresses_) return true;
  if (known_.empty()) return false;
  const io::AddressBytes oldest = known_.front().key;
  entries_.erase(oldest);
  return true;
}

void ClientNames::Learn(const io::AddressBytes& key,
                        io::NameResolver::Answer answer) {
  Entry& entry = *entries_.at(key);
  entry.name = std::make_shared<const io::PeerName>(std::move(answer.name));
  entry.expires = loop_.Now() + answer.good_for;
  known_.PushBack(entry);
  entry.waiting.WakeAll(absl::OkStatus());
}

}  // namespace tlspost
