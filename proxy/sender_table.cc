// Finding, counting and forgetting senders.

#include "proxy/sender_table.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

constexpr std::array<uint8_t, 12> kMappedIpv4 = {0, 0, 0, 0, 0,    0,
                                                 0, 0, 0, 0, 0xff, 0xff};

bool IsIpv4(const io::AddressBytes& network) {
  return std::equal(kMappedIpv4.begin(), kMappedIpv4.end(), network.begin());
}

void AddAll(Sender::ByTls& to, const Sender::ByTls& from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

}  // namespace

io::AddressBytes SenderNetworkOf(const io::Endpoint& client) {
  io::AddressBytes network = io::ClientBytesOf(client);
  if (IsIpv4(network)) network.back() = 0;
  return network;
}

std::string FormatSenderNetwork(const io::AddressBytes& network) {
  if (IsIpv4(network)) {
    return absl::StrFormat("%d.%d.%d.0/24", network[12], network[13],
                           network[14]);
  }
  if (network == io::AddressBytes()) return "local";
  std::string text;
  for (size_t i = 0; i < 8; i += 2) {
    absl::StrAppendFormat(&text, "%x:", network[i] * 256 + network[i + 1]);
  }
  const auto address = io::Endpoint::FromIp(text + ":", 0);
  return (address.ok() ? address->Address() : text + ":") + "/64";
}

void Sender::Add(const Sender& other) {
  AddAll(sessions, other.sessions);
  AddAll(messages, other.messages);
  for (size_t i = 0; i < last_seen_s.size(); ++i) {
    last_seen_s[i] = std::max(last_seen_s[i], other.last_seen_s[i]);
  }
  failed_handshakes += other.failed_handshakes;
  last_failed_s = std::max(last_failed_s, other.last_failed_s);
}

int64_t Sender::last_s() const {
  return std::max(last_failed_s,
                  *std::max_element(last_seen_s.begin(), last_seen_s.end()));
}

uint32_t Sender::all_sessions() const {
  return std::accumulate(sessions.begin(), sessions.end(), 0U);
}

uint32_t Sender::all_messages() const {
  return std::accumulate(messages.begin(), messages.end(), 0U);
}

void SenderTable::Note(const Ended& session, io::WallTime now) {
  Sender& sender = Find(SenderNetworkOf(session.client),
                        session.helo.substr(0, Sender::kMaxHeloOctets));
  const int64_t now_s =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch())
          .count();
  if (session.handshake_failed) {
    ++sender.failed_handshakes;
    sender.last_failed_s = now_s;
    return;
  }
  const auto tls = static_cast<size_t>(session.tls);
  ++sender.sessions[tls];
  sender.messages[tls] += session.messages;
  sender.last_seen_s[tls] = now_s;
}

// Its entry, which is in front of the others now.
Sender& SenderTable::Find(const io::AddressBytes& network,
                          std::string_view helo) {
  Key key(network, helo);
  auto found = places_.find(key);
  if (found == places_.end()) {
    const auto names = names_.find(network);
    const bool too_many = names != names_.end() && names->second >= kMaxNames;
    if (too_many) {
      key.second = kOtherNames;
      found = places_.find(key);
    }
  }
  if (found != places_.end()) {
    senders_.splice(senders_.begin(), senders_, found->second);
    return senders_.front();
  }
  if (senders_.size() >= max_senders_) ForgetLast();
  Sender& sender = senders_.emplace_front();
  sender.network = network;
  sender.helo = FixedText<Sender::kMaxHeloOctets>(key.second);
  places_.emplace(std::move(key), senders_.begin());
  ++names_[network];
  return sender;
}

void SenderTable::ForgetLast() {
  const Sender& last = senders_.back();
  const auto names = names_.find(last.network);
  if (--names->second == 0) names_.erase(names);
  places_.erase(Key(last.network, last.helo.view()));
  senders_.pop_back();
  ++forgotten_;
}

}  // namespace tlspost
