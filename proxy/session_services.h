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
#include "common/smtp/command.h"
#include "common/tls/tls_context.h"
#include "proxy/authentication.h"
#include "proxy/backend_pool.h"
#include "proxy/client_policies.h"
#include "proxy/counters.h"
#include "proxy/handshake_limit.h"
#include "proxy/log.h"
#include "proxy/settings.h"

namespace tlspost {

// One per worker; outlives its sessions.
struct SessionServices {
  io::Loop& loop;
  const Settings& settings;
  BackendPool& pool;
  Log& log;
  Counters& counters;
  const ClientPolicies& policies;
  HandshakeLimit& handshakes;
  // Null: no STARTTLS. A session that is in TLS keeps its own.
  std::shared_ptr<tls::TlsContext> tls;
  // Begins every transaction's id, so that ids of two processes differ.
  std::string instance;
  uint64_t transactions = 0;

  std::string NextId();
};

// "unknown[192.0.2.1]": how the log calls the client at the other end.
std::string LogName(const io::Stream& stream);

// How often a client said each verb, and with what success: Postfix's summary
// at the end of a session.
class CommandTally {
 public:
  void Count(smtp::Verb verb, bool success);
  // "ehlo=2 starttls=1 mail=0/1 commands=3/4"
  std::string Summary() const;

 private:
  struct Entry {
    uint16_t total = 0;
    uint16_t successes = 0;
  };
  // One for each implemented verb, in this order; the last for all others.
  static constexpr size_t kCounted = 14;
  static size_t IndexOf(smtp::Verb verb);
  std::array<Entry, kCounted> entries_;
};

// What one client has shown of itself. Forgotten whole at STARTTLS but for the
// tally and the count of failed AUTHs (RFC 3207 section 4.2).
struct ClientState {
  std::string helo;     // empty: no HELO or EHLO yet
  bool esmtp = false;   // it was EHLO
  uint16_t errors = 0;  // refusals since the session's start
  uint16_t junk = 0;    // commands without use since the last message
  smtp::Verb last_verb = smtp::Verb::kEmpty;
  CommandTally tally;
  // Null until the first AUTH has failed or succeeded: most clients have none.
  std::unique_ptr<Authentication> authentication;

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
