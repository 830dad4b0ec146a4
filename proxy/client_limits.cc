// The table of clients.

#include "proxy/client_limits.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "common/base/check.h"
#include "common/base/intrusive_list.h"

namespace tlspost {
namespace {

// An arrival takes away so many entries that are of no more use, so that no
// lock is held for long.
constexpr int kForgottenAtOnce = 4;

}  // namespace

// In its shard's list while it has no connection.
struct ClientLimits::Client : ListNode<Client> {
  Client(Shard& its_shard, const io::AddressBytes& its_key, io::Time now)
      : shard(its_shard), key(its_key), unit_began(now) {}

  Shard& shard;
  const io::AddressBytes key;
  io::Time unit_began;
  int connections = 0;
  int handshakes = 0;
  std::array<int, kClientEvents> counts{};
};

struct ClientLimits::Shard {
  ClientLimits* limits = nullptr;
  mutable std::mutex mutex;
  std::unordered_map<io::AddressBytes, std::unique_ptr<Client>,
                     absl::Hash<io::AddressBytes>>
      clients;
  IntrusiveList<Client> gone;  // who left first is in front
  size_t gone_count = 0;
  size_t connections = 0;

  void ForgetFirst() {
    --gone_count;
    // The key is read while its owner goes.
    const io::AddressBytes key = gone.PopFront().key;
    clients.erase(key);
  }
};

ClientLimits::Options ClientLimits::OptionsOf(const Settings& settings) {
  Options options;
  options.connections = settings.client_connection_count_limit;
  options.handshakes = settings.client_tls_handshake_limit;
  options.rates = {settings.client_connection_rate_limit,
                   settings.client_message_rate_limit,
                   settings.client_recipient_rate_limit,
                   settings.client_new_tls_session_rate_limit,
                   settings.client_auth_rate_limit,
                   settings.client_error_rate_limit};
  options.time_unit = settings.anvil_rate_time_unit;
  options.exceptions =
      *io::ParseNetworks(settings.client_event_limit_exceptions);
  return options;
}

ClientLimits::ClientLimits(Options options)
    : max_remembered_(options.max_remembered),
      shards_(std::make_unique<std::array<Shard, kShards>>()) {
  for (Shard& shard : *shards_) shard.limits = this;
  SetOptions(std::move(options));
}

void ClientLimits::SetOptions(Options options) {
  connections_limit_ = options.connections;
  handshakes_limit_ = options.handshakes;
  time_unit_ = options.time_unit.count();
  bool remembers = false;
  for (size_t i = 0; i < kClientEvents; ++i) {
    rates_[i] = options.rates[i];
    remembers = remembers || options.rates[i] > 0;
  }
  remembers_ = remembers;
  auto exceptions = std::make_shared<const std::vector<io::Network>>(
      std::move(options.exceptions));
  const std::lock_guard<std::mutex> lock(exceptions_mutex_);
  exceptions_.swap(exceptions);
}

bool ClientLimits::IsException(const io::Endpoint& client) const {
  std::shared_ptr<const std::vector<io::Network>> exceptions;
  {
    const std::lock_guard<std::mutex> lock(exceptions_mutex_);
    exceptions = exceptions_;
  }
  return io::AnyContains(*exceptions, client);
}

ClientLimits::~ClientLimits() { TLSPOST_CHECK(connections() == 0); }

ClientLimits::Shard& ClientLimits::ShardOf(const io::AddressBytes& key) const {
  return (*shards_)[absl::Hash<io::AddressBytes>()(key) % kShards];
}

bool ClientLimits::IsOver(const Client& client, io::Time now) const {
  // The clocks of two workers may differ by a turn.
  return now - client.unit_began >=
         io::Duration(time_unit_.load(std::memory_order_relaxed));
}

int& ClientLimits::CountOf(Client& client, ClientEvent event,
                           io::Time now) const {
  if (IsOver(client, now)) {
    client.counts.fill(0);
    client.unit_began = now;
  }
  return client.counts[static_cast<size_t>(event)];
}

int ClientLimits::OverLimit(ClientEvent event, int count) const {
  const int limit = Limit(event);
  return limit > 0 && count > limit ? count : 0;
}

ClientLimits::Arrival ClientLimits::Connect(const io::Endpoint& client,
                                            io::Time now) {
  if (IsException(client)) return {};
  const io::AddressBytes key = io::ClientBytesOf(client);
  Shard& shard = ShardOf(key);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  for (int i = 0; i < kForgottenAtOnce && shard.gone_count > 0; ++i) {
    if (!IsOver(shard.gone.front(), now)) break;
    shard.ForgetFirst();
  }
  std::unique_ptr<Client>& entry = shard.clients[key];
  if (entry == nullptr) entry = std::make_unique<Client>(shard, key, now);
  if (entry->linked()) {
    entry->Unlink();
    --shard.gone_count;
  }
  ++shard.connections;
  ++entry->connections;
  int& arrivals = CountOf(*entry, ClientEvent::kConnection, now);
  if (arrivals < std::numeric_limits<int>::max()) ++arrivals;
  Arrival arrival{Visit(*entry)};
  const int errors = CountOf(*entry, ClientEvent::kError, now);
  const int connections_limit = connections_limit_;
  if (connections_limit > 0 && entry->connections > connections_limit) {
    arrival.verdict = Verdict::kTooManyConnections;
    arrival.count = entry->connections;
  } else if (OverLimit(ClientEvent::kConnection, arrivals) > 0) {
    arrival.verdict = Verdict::kTooOften;
    arrival.count = arrivals;
  } else if (OverLimit(ClientEvent::kError, errors) > 0) {
    arrival.verdict = Verdict::kTooManyErrors;
    arrival.count = errors;
  }
  return arrival;
}

void ClientLimits::Leave(Client& client) {
  Shard& shard = client.shard;
  const ClientLimits& limits = *shard.limits;
  const std::lock_guard<std::mutex> lock(shard.mutex);
  TLSPOST_CHECK(client.connections > 0);
  --shard.connections;
  if (--client.connections > 0) return;
  TLSPOST_CHECK(client.handshakes == 0);
  shard.gone.PushBack(client);
  ++shard.gone_count;
  const size_t most = limits.remembers_ ? limits.max_remembered_ / kShards : 0;
  if (shard.gone_count > most) shard.ForgetFirst();
}

int ClientLimits::Visit::Count(ClientEvent event, io::Time now) {
  if (client_ == nullptr) return 0;
  Shard& shard = client_->shard;
  const ClientLimits& limits = *shard.limits;
  if (limits.Limit(event) == 0) return 0;
  const std::lock_guard<std::mutex> lock(shard.mutex);
  int& count = limits.CountOf(*client_, event, now);
  if (count < std::numeric_limits<int>::max()) ++count;
  return limits.OverLimit(event, count);
}

int ClientLimits::Visit::CountNext(ClientEvent event, io::Time now) const {
  if (client_ == nullptr) return 0;
  Shard& shard = client_->shard;
  const ClientLimits& limits = *shard.limits;
  if (limits.Limit(event) == 0) return 0;
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const int count = limits.CountOf(*client_, event, now);
  return count == std::numeric_limits<int>::max()
             ? count
             : limits.OverLimit(event, count + 1);
}

bool ClientLimits::Visit::BeginHandshake() {
  if (client_ == nullptr) return true;
  Shard& shard = client_->shard;
  const int limit = shard.limits->handshakes_limit_;
  const std::lock_guard<std::mutex> lock(shard.mutex);
  if (limit > 0 && client_->handshakes >= limit) return false;
  ++client_->handshakes;
  return true;
}

void ClientLimits::Visit::EndHandshake() {
  if (client_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(client_->shard.mutex);
  TLSPOST_CHECK(client_->handshakes > 0);
  --client_->handshakes;
}

size_t ClientLimits::connections() const {
  size_t sum = 0;
  for (const Shard& shard : *shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    sum += shard.connections;
  }
  return sum;
}

size_t ClientLimits::size() const {
  size_t sum = 0;
  for (const Shard& shard : *shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    sum += shard.clients.size();
  }
  return sum;
}

}  // namespace tlspost
