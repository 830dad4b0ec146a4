// What all sessions of one worker use, and what is known of one client.

#ifndef TLSPOST_PROXY_SESSION_SERVICES_H_
#define TLSPOST_PROXY_SESSION_SERVICES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/io/loop.h"
#include "common/io/stream.h"
#include "common/io/wait_queue.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/command.h"
#include "common/tls/tls_context.h"
#include "proxy/authentication.h"
#include "proxy/backend_pool.h"
#include "proxy/bound_backend.h"
#include "proxy/client_channel.h"
#include "proxy/client_limits.h"
#include "proxy/client_names.h"
#include "proxy/client_policies.h"
#include "proxy/counters.h"
#include "proxy/generation.h"
#include "proxy/handshake_limit.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/worker_records.h"

namespace tlspost {

// One for each listening address of a worker, as the settings have it: a reload
// makes new ones, and each session keeps the one that it began with.
struct SessionServices {
  io::Loop& loop;
  const Settings& settings;
  BackendPool& pool;
  Log& log;
  Counters& counters;
  WorkerRecords& records;
  const ClientPolicies& policies;
  HandshakeLimit& handshakes;
  // Null: no STARTTLS. A session that is in TLS keeps its own.
  std::shared_ptr<tls::TlsContext> tls;
  // Begins every transaction's id, so that ids of two processes differ.
  std::string instance;
  // Of the worker: how many it has had, and as it has last seen itself.
  uint64_t& transactions;
  const bool& overloaded;
  const bool& draining;
  io::WaitQueue& delays;         // replies that are late on purpose
  ClientNames* names = nullptr;  // null: there are none
  ClientChannel::Terms channel{};
  // What the settings and policies above belong to.
  std::shared_ptr<const Generation> generation = nullptr;

  std::string NextId();
};

// The answer to VRFY, as disable_vrfy_command wants it.
const smtp::Reply& VrfyReply(const Settings& settings);

// What the log says of a BDAT that no command can follow.
inline constexpr std::string_view kUnknownChunkSize =
    "a BDAT whose size is not certain";

// "mail.example.org[192.0.2.1]", "unknown[192.0.2.1]": how the log calls the
// client at the other end. A spare string.
std::string LogName(const io::Stream& stream);

// How often a client said each verb, and with what success: Postfix's summary
// at the end of a session.
class CommandTally {
 public:
  void Count(smtp::Verb verb, bool success);
  int Successes(smtp::Verb verb) const {
    return entries_[IndexOf(verb)].successes;
  }
  // Its place in the summary, and in kCommandLabels.
  static size_t IndexOf(smtp::Verb verb);
  // "ehlo=2 starttls=1 mail=0/1 commands=3/4"
  std::string Summary() const;

 private:
  struct Entry {
    uint16_t total = 0;
    uint16_t successes = 0;
  };
  // One for each implemented verb, in this order; the last for all others.
  static constexpr size_t kCounted = 14;
  std::array<Entry, kCounted> entries_;
};

// What one client has shown of itself. Forgotten whole at STARTTLS but for what
// is counted (RFC 3207 section 4.2).
struct ClientState {
  std::string helo;                // empty: no HELO or EHLO yet
  bool esmtp : 1 = false;          // it was EHLO
  bool unwelcome : 1 = false;      // over client_error_rate_limit: it has to go
  bool farewell_said : 1 = false;  // it knows why it has to go
  static_assert(static_cast<int>(smtp::Verb::kUnknown) < 32);
  smtp::Verb last_verb : 5 = smtp::Verb::kEmpty;
  smtp::OptionSet offered = 0;  // what the reply to it has offered
  uint16_t errors = 0;          // refusals since the last message
  uint16_t junk = 0;            // commands without use since the last message
  uint16_t messages = 0;        // accepted; stops at the last number
  CommandTally tally;
  ClientLimits::Visit visit;  // what all its sessions do together
  // Null until the first AUTH has failed or succeeded: most clients have none.
  std::unique_ptr<Authentication> authentication;
  // pool_mode = session: the connection it has since its first MAIL. Null
  // until then, and in the other mode.
  std::unique_ptr<BoundBackend> bound;

  bool greeted() const { return !helo.empty(); }
  bool authenticated() const {
    return authentication != nullptr && authentication->succeeded();
  }
  Authentication& NeedAuthentication() {
    if (authentication == nullptr) {
      authentication = std::make_unique<Authentication>();
    }
    return *authentication;
  }
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SESSION_SERVICES_H_
