// SenderTable: who sends to us, and with what TLS: one worker's table, by the
// sender's network and HELO name.
//
// Its size is bounded: who was not seen for the longest time goes first, and
// one network has few names, so that a client that invents them pushes nobody
// out. Knows nothing of sessions; tls_report.h sums the workers' tables up.

#ifndef TLSPOST_PROXY_SENDER_TABLE_H_
#define TLSPOST_PROXY_SENDER_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "common/io/endpoint.h"
#include "common/io/network.h"
#include "common/io/time.h"
#include "proxy/fixed_text.h"
#include "proxy/label_sets.h"

namespace tlspost {

// The network that a report calls one sender: an IPv4 /24, or an IPv6 /64.
io::AddressBytes SenderNetworkOf(const io::Endpoint& client);
// "192.0.2.0/24", "2001:db8::/64"; "local" for a Unix socket.
std::string FormatSenderNetwork(const io::AddressBytes& network);

struct Sender {
  static constexpr size_t kMaxHeloOctets = 64;
  using ByTls = std::array<uint32_t, kTlsUseLabels.size()>;  // by TlsUse

  io::AddressBytes network{};
  FixedText<kMaxHeloOctets> helo;  // raw; empty: none was said
  // Ended ones. A session that got into TLS counts for that only.
  ByTls sessions{};
  ByTls messages{};  // accepted
  // When a session of that kind ended last; since 1970, 0: never.
  std::array<int64_t, kTlsUseLabels.size()> last_seen_s{};
  // Sessions that ended because no TLS came about.
  uint32_t failed_handshakes = 0;
  int64_t last_failed_s = 0;

  // What the whole of another worker's entry adds to this one.
  void Add(const Sender& other);
  int64_t last_s() const;
  uint32_t all_sessions() const;
  uint32_t all_messages() const;
};

class SenderTable {
 public:
  // A fifth of a KiB each.
  static constexpr size_t kMaxSenders = 2048;
  // Of one network; further ones are counted together under kOtherNames.
  static constexpr int kMaxNames = 16;
  static constexpr std::string_view kOtherNames = "*";

  explicit SenderTable(size_t max_senders = kMaxSenders)
      : max_senders_(max_senders) {}

  // One session that has ended.
  struct Ended {
    const io::Endpoint& client;
    std::string_view helo;
    TlsUse tls = TlsUse::kNone;
    bool handshake_failed = false;
    uint32_t messages = 0;
  };
  void Note(const Ended& session, io::WallTime now);

  // Who was seen last is in front.
  std::vector<Sender> All() const {
    return std::vector<Sender>(senders_.begin(), senders_.end());
  }
  size_t size() const { return senders_.size(); }
  // Senders that had to go.
  int64_t forgotten() const { return forgotten_; }

 private:
  using Key = std::pair<io::AddressBytes, std::string>;
  using Place = std::list<Sender>::iterator;

  Sender& Find(const io::AddressBytes& network, std::string_view helo);
  void ForgetLast();

  const size_t max_senders_;
  std::list<Sender> senders_;
  std::unordered_map<Key, Place, absl::Hash<Key>> places_;
  std::unordered_map<io::AddressBytes, int, absl::Hash<io::AddressBytes>>
      names_;  // of each network
  int64_t forgotten_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SENDER_TABLE_H_
