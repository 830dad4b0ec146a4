// SinkMta: a mail server that takes everything and delivers nothing.
//
// It is the backend of `tlspost demo`, and of the simulated world, where it
// misbehaves on request. It keeps identity as Postfix does (sink_identity.h).
// It is as tolerant of line ends as old servers are, so that a proxy that lets
// a smuggled end pass is found out.

#ifndef TLSPOST_PROXY_DEMO_SINK_MTA_H_
#define TLSPOST_PROXY_DEMO_SINK_MTA_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"
#include "common/tls/tls_context.h"

namespace tlspost {

class SinkMta {
 public:
  enum class Xclient { kNone, kMany, kOnce };

  struct Options {
    Xclient xclient = Xclient::kMany;
    // What it lists behind XCLIENT, and all it takes there. After an XCLIENT
    // without HELO it wants EHLO, and the first one must have ADDR, and PORT
    // if that is listed and `xclient_needs_port`, which Postfix does not ask.
    std::string xclient_attributes =
        "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";
    bool xclient_needs_port = true;
    // Its answer to who may not say it.
    std::string xclient_denial = "550 5.7.0 Error: insufficient authorization";
    bool xforward = false;
    bool proxy_header = false;  // each connection begins with one, version 2
    bool pipelining = true;
    bool enhanced_status_codes = true;
    bool chunking = true;  // CHUNKING and BINARYMIME
    // More words for its EHLO list, each "250-WORD\r\n".
    std::string ehlo_lines;
    std::shared_ptr<tls::TlsContext> tls;  // null: no STARTTLS
    // The mechanisms it offers, of PLAIN, LOGIN and X-STEPS; "": no AUTH.
    std::string auth;
    std::map<std::string, std::string> passwords;  // by user name
  };

  // A message as it came over the wire, dots still stuffed, its end left out;
  // or, by BDAT, as it is.
  struct Message {
    int connection = 0;  // numbered from 0
    std::string sender;
    std::vector<std::string> recipients;
    std::string data;
    // What XCLIENT, XFORWARD or the PROXY header said, by upper-case attribute
    // name; "" for [UNAVAILABLE].
    std::map<std::string, std::string> client;
    std::string helo;            // of EHLO, or of XCLIENT if that was later
    bool tls = false;            // it came under TLS
    std::string user;            // authenticated on this connection; "": nobody
    std::string auth_parameter;  // of MAIL; "": none
  };

  // Something a connection is about to answer.
  struct Event {
    int connection = 0;
    // "CONNECT", "EHLO", ..., "DATA", "." for the end, "RESPONSE" to a
    // challenge of AUTH, "LINE" for one of a message, "CHUNK" for a part of a
    // chunk, "BDAT" when it is whole.
    std::string_view verb;
    std::string_view line;
  };
  // What it does instead of its normal answer.
  struct Misdeed {
    std::string reply;     // said as it is; empty: nothing is said
    bool close = false;    // and then closes
    io::Duration delay{};  // before any of it
    bool normal = false;   // after the delay it answers as usual
  };
  using Mischief = std::function<std::optional<Misdeed>(const Event&)>;

  SinkMta(io::Loop& loop, Options options);
  ~SinkMta();

  absl::Status Listen(const io::Endpoint& endpoint);
  io::Endpoint local() const { return listener_->local(); }

  void set_on_message(std::function<void(const Message&)> on_message) {
    on_message_ = std::move(on_message);
  }
  // Without `hears_lines` it is not asked at each "LINE" of a message, which
  // then goes faster.
  void set_mischief(Mischief mischief, bool hears_lines = true) {
    mischief_ = std::move(mischief);
    hears_lines_ = hears_lines;
  }

  // Stops to listen and closes all connections; await Stopped() afterwards.
  void Stop();
  Task<bool> Stopped(io::Time deadline) { return tasks_.Drained(deadline); }
  bool stopped() const { return tasks_.size() == 0; }

  int connections() const { return connections_; }

 private:
  class Conversation;

  Task<void> AcceptAll();
  Task<void> Serve(std::unique_ptr<io::Stream> stream);

  io::Loop& loop_;
  const Options options_;
  std::unique_ptr<io::Listener> listener_;
  std::function<void(const Message&)> on_message_;
  Mischief mischief_;
  bool hears_lines_ = false;
  int connections_ = 0;
  IntrusiveList<Conversation> open_;
  io::TaskGroup tasks_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_SINK_MTA_H_
