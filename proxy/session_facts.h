// What an administrator is told of one session that is open: plain values, no
// behaviour.

#ifndef TLSPOST_PROXY_SESSION_FACTS_H_
#define TLSPOST_PROXY_SESSION_FACTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "common/io/time.h"
#include "proxy/label_sets.h"

namespace tlspost {

struct SessionFacts {
  std::string client;        // ADDRESS:PORT
  std::string client_name;   // what DNS calls it; empty: nothing is known
  std::string helo;          // raw; empty: none yet
  std::string_view state;    // "idle", "handshake" or "command"
  std::string_view command;  // the last one, upper case; empty: none yet
  TlsUse tls = TlsUse::kNone;
  std::string cipher;
  io::Duration age{};
  uint32_t transactions = 0;  // begun: MAIL was accepted
  uint32_t messages = 0;      // accepted
  uint16_t errors = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SESSION_FACTS_H_
