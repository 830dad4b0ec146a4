// What a worker counts: plain integers of its own thread, summed when read.
//
// One line per counter, and one per row of counters that have labels; these
// lists are the only declaration.

#ifndef TLSPOST_PROXY_COUNTERS_H_
#define TLSPOST_PROXY_COUNTERS_H_

#include <array>
#include <cstdint>

#include "proxy/counter_rows.h"
#include "proxy/label_sets.h"

namespace tlspost {

// COUNTER(name, what it counts)
#define TLSPOST_COUNTERS(COUNTER)                                              \
  COUNTER(sessions, "client sessions begun")                                   \
  COUNTER(sessions_refused, "clients answered 421 at once: too many")          \
  COUNTER(health_checks, "connections that are a balancer's own (LOCAL)")      \
  COUNTER(clients_refused, "clients answered 421 at once: a limit of theirs")  \
  COUNTER(accept_pauses, "times that descriptors ran out")                     \
  COUNTER(stress_periods, "times that overload mode began")                    \
  COUNTER(rate_refusals, "commands refused by a rate per client")              \
  COUNTER(replies_delayed, "replies sent late to clients with many errors")    \
  COUNTER(messages_too_slow, "messages given up: data_timeout, min_data_rate") \
  COUNTER(mail_loops, "messages refused: too many Received headers")           \
  COUNTER(handshakes, "TLS handshakes completed")                              \
  COUNTER(handshakes_resumed, "handshakes that resumed a session")             \
  COUNTER(handshakes_failed, "TLS handshakes that failed")                     \
  COUNTER(handshakes_refused, "clients refused: too many handshakes")          \
  COUNTER(starttls_injections, "clients that sent plaintext behind STARTTLS")  \
  COUNTER(auth_succeeded, "clients authenticated by the backend")              \
  COUNTER(auth_failed, "AUTH commands that failed")                            \
  COUNTER(transactions, "mails that a client began with MAIL")                 \
  COUNTER(messages, "messages accepted by the backend")                        \
  COUNTER(message_recipients, "recipients of the messages accepted")           \
  COUNTER(message_octets, "octets of the messages accepted, as received")      \
  COUNTER(messages_failed, "messages that ended in a 4xx or 5xx")              \
  COUNTER(outcomes_unknown, "backends lost between final dot and reply")       \
  COUNTER(smuggling_attempts, "messages with a bare CR, bare LF or NUL")       \
  COUNTER(leases, "backend connections lent to a transaction")                 \
  COUNTER(leases_reused, "connections lent that had served before")            \
  COUNTER(leases_refused, "transactions that got no backend connection")       \
  COUNTER(lease_retries, "MAIL sent again over another connection")            \
  COUNTER(backend_connects, "backend connections opened")                      \
  COUNTER(backend_connect_failures, "backend connections that did not open")   \
  COUNTER(backend_handshakes, "TLS handshakes with the backend completed")     \
  COUNTER(backend_handshakes_failed, "TLS handshakes with it that failed")     \
  COUNTER(backend_stale, "idle connections found dead or talking unasked")     \
  COUNTER(backend_dirty, "connections closed because a reply was unread")      \
  COUNTER(xclients, "identities sent to a backend")                            \
  COUNTER(xclients_refused, "identities a backend refused")                    \
  COUNTER(xforwards, "transactions introduced by XFORWARD")                    \
  COUNTER(proxy_headers, "backend connections begun with a PROXY header")      \
  COUNTER(proxy_headers_refused, "connections closed for want of a header")    \
  COUNTER(client_names_found, "clients whose name DNS has confirmed")          \
  COUNTER(client_names_late, "clients whose name was not known in time")       \
  COUNTER(early_talkers, "clients refused: they did not await our greeting")   \
  COUNTER(backend_farewells, "backends that answered a command with 421")      \
  COUNTER(tls_reloads, "times that certificates were loaded again")            \
  COUNTER(tls_reload_failures, "times that loading them again failed")

// ROWS(name, first label, its values, second label, its values, what)
#define TLSPOST_COUNTER_ROWS(ROWS)                                      \
  ROWS(handshake_versions, "version", kTlsVersionLabels, "", kNoLabels, \
       "TLS handshakes completed, by TLS version")                      \
  ROWS(handshake_ciphers, "cipher", kTlsCipherLabels, "", kNoLabels,    \
       "TLS handshakes completed, by cipher")                           \
  ROWS(handshake_groups, "group", kTlsGroupLabels, "", kNoLabels,       \
       "TLS handshakes completed, by key exchange")                     \
  ROWS(handshake_failures, "reason", kTlsFailureLabels, "", kNoLabels,  \
       "TLS handshakes that failed, by reason")                         \
  ROWS(tls_alerts, "direction", kAlertDirectionLabels, "alert",         \
       kTlsAlertLabels, "TLS alerts from clients and to them")          \
  ROWS(messages_by_tls, "tls", kTlsUseLabels, "", kNoLabels,            \
       "messages accepted, by the TLS version that they came with")     \
  ROWS(client_commands, "command", kCommandLabels, "result",            \
       kCommandResultLabels, "commands of clients, by our answer")      \
  ROWS(client_replies, "class", kReplyClassLabels, "", kNoLabels,       \
       "replies to clients")                                            \
  ROWS(backend_replies, "command", kBackendStepLabels, "class",         \
       kReplyClassLabels, "replies of backends, by what they answer")   \
  ROWS(limits_hit, "limit", kLimitLabels, "", kNoLabels,                \
       "times that a limit was reached, by the setting that sets it")

struct Counters {
#define TLSPOST_DECLARE_COUNTER(name, text) int64_t name = 0;
  TLSPOST_COUNTERS(TLSPOST_DECLARE_COUNTER)
#undef TLSPOST_DECLARE_COUNTER

#define TLSPOST_DECLARE_ROWS(name, label, values, label2, values2, text) \
  CounterRows<values.size(), values2.size()> name;
  TLSPOST_COUNTER_ROWS(TLSPOST_DECLARE_ROWS)
#undef TLSPOST_DECLARE_ROWS

  // By Phase.
  std::array<DurationHistogram, kPhaseLabels.size()> phases;

  void Observe(Phase phase, io::Duration duration) {
    phases[static_cast<size_t>(phase)].Observe(duration);
  }

  Counters& operator+=(const Counters& other) {
#define TLSPOST_ADD_COUNTER(name, text) name += other.name;
    TLSPOST_COUNTERS(TLSPOST_ADD_COUNTER)
#undef TLSPOST_ADD_COUNTER
#define TLSPOST_ADD_ROWS(name, label, values, label2, values2, text) \
  name += other.name;
    TLSPOST_COUNTER_ROWS(TLSPOST_ADD_ROWS)
#undef TLSPOST_ADD_ROWS
    for (size_t i = 0; i < phases.size(); ++i) phases[i] += other.phases[i];
    return *this;
  }
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_COUNTERS_H_
