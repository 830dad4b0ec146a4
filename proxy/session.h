// Session: one client from greeting to close (RFC 5321, RFC 3207).
//
// Run is the conversation; a Transaction is the loan of a backend connection
// in the middle of it. Nothing the client said before TLS has effect after it.
// session.cc is the course of the talk, session_commands.cc what is answered at
// once, session_chunks.cc BDAT out of place, session_tls.cc the way into TLS,
// session_facts.cc what others are told of it, session_log.cc what the log says
// of its end.

#ifndef TLSPOST_PROXY_SESSION_H_
#define TLSPOST_PROXY_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/stream.h"
#include "common/smtp/command.h"
#include "proxy/client_channel.h"
#include "proxy/session_facts.h"
#include "proxy/session_services.h"

namespace tlspost {

class Session : public ListNode<Session> {
 public:
  // `services` outlives the session. `implicit_tls`: the client begins with a
  // TLS handshake, as on port 465. `visit` is its place among ClientLimits.
  Session(SessionServices& services, std::unique_ptr<io::Stream> stream,
          bool implicit_tls, ClientLimits::Visit visit);

  // The whole conversation, to the end of the connection.
  Task<void> Run();

  // The service shuts down: the client hears 421 as soon as it is in no
  // transaction, or as soon as it has had one.
  enum class Leaving : uint8_t { kNow, kBehindMail };
  void Drain(Leaving when);
  // Overload mode has begun: an idle client has less time from now on.
  void Hurry();
  // What an administrator is told of it now.
  SessionFacts Facts() const;

  // The connection is closed now; Run comes to its end.
  void Abort() { client_.stream().transport().Close(); }

 private:
  // What a command makes of the session.
  enum class Next : uint8_t {
    kGoOn,      // it is answered
    kStartTls,  // the rest has to be awaited
    kMail,      // likewise; the line is put back
    kAuth,      // likewise
    kBdat,      // likewise
    kWait,      // there is no command: send what is to be said, then wait
    kQuit,      // our last word is said
  };

  Task<absl::Status> Converse();
  Task<absl::Status> BeginWithTls();
  Task<absl::Status> StartTls();
  Task<absl::Status> Transact();
  Task<absl::Status> Authenticate();
  Task<absl::Status> RefuseChunk();
  Task<void> Leave(absl::Status why);

  void Greet();
  void NoteHandshakeLimit();
  void CountTlsSession();
  Next Proceed();
  absl::Status Hear(absl::StatusOr<io::Chunk>&& received);
  Next Answer(const smtp::Command& command);
  Next AnswerHello(const smtp::Command& command);
  Next AnswerStartTls();
  Next AnswerMail(const smtp::Command& command);
  Next AnswerAuth(const smtp::Command& command);
  Next AnswerVrfy();
  const smtp::Reply& WhyNoChunk() const;
  Next Refuse(smtp::Verb verb, const smtp::Reply& reply);
  Next RefuseRate(smtp::Verb verb, std::string_view reply);
  Next Accept(smtp::Verb verb, const smtp::Reply& reply);
  void Say(std::string_view reply);
  void Say(const smtp::Reply& reply) { Say(reply.text()); }
  void SayGoodbye(const smtp::Reply& reply);
  bool TakesLeave();

  bool in_tls() const;
  bool failed_handshake() const;
  bool offers_tls() const;
  bool needs_tls() const;
  bool has_required_certificate() const;
  bool may_authenticate() const;
  const smtp::EhloCapabilities& Capabilities() const;
  smtp::EhloCapabilities Offered() const;
  std::string Mechanisms() const;
  std::string Peer() const { return LogName(client_.stream().transport()); }
  // Wraps after 49 days, and so do differences, which are right till then.
  static uint32_t MillisecondsOf(io::Time time);
  void LogEnd(const absl::Status& why) const;
  void LogDisconnect();
  void CountAlerts();
  void NoteSender(std::string_view helo);

  SessionServices& services_;
  ClientChannel client_;
  ClientState state_;
  io::Time deadline_;       // for the client's next command
  bool heard_ : 1 = false;  // the client has sent something
  bool idle_ : 1 = false;   // waiting for the next command
  bool draining_ : 1 = false;
  bool leaves_behind_mail_ : 1 = false;
  bool had_mail_ : 1 = false;
  const bool implicit_tls_ : 1;
  const TlsSecurityLevel level_ : 8;
  const uint32_t started_ms_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SESSION_H_
