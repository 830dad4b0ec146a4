// Introducer: tells backends who a client is, in the way that the settings ask
// for and each backend takes.
//
// Promise 2 of the design needs it: a connection serves a client only after the
// backend has taken that client's identity, whole. It knows what a backend
// says to that, and which connections can carry a further client. It lends
// nothing and closes nothing.

#ifndef TLSPOST_PROXY_INTRODUCER_H_
#define TLSPOST_PROXY_INTRODUCER_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/io/loop.h"
#include "common/smtp/xclient.h"
#include "common/tls/tls_engine.h"
#include "proxy/backend.h"
#include "proxy/backend_notes.h"
#include "proxy/backend_target.h"
#include "proxy/counters.h"
#include "proxy/log.h"
#include "proxy/settings.h"

namespace tlspost {

// Who asks for a connection, and what a backend can be told of it. Refers to
// what the caller keeps until it has got the connection.
struct Borrower {
  const smtp::ClientIdentity& identity;
  // The transaction's id; "": it is for no transaction.
  std::string_view transaction;
  const tls::TlsEngine* tls;  // the client's; null in plaintext
};

class Introducer {
 public:
  enum class Outcome {
    kDone,
    kTryAnother,  // this connection is of no use; another may be
    kRefused,     // the client is not to be served; why is in `refusal`
  };

  // All references outlive it.
  Introducer(io::Loop& loop, std::shared_ptr<const Settings> settings,
             BackendNotes& notes, Log& log, Counters& counters);

  // For what is asked from now on, also of who is being introduced.
  void UseSettings(std::shared_ptr<const Settings> settings) {
    settings_ = std::move(settings);
  }

  // Each connection is opened for one client, who is named before the greeting.
  bool opens_per_client() const {
    return settings_->backend_identity == BackendIdentity::kProxy;
  }
  // Whether the backend may be told of this client, after what it has heard
  // on this connection.
  bool MayCarry(const Backend& backend,
                const smtp::ClientIdentity& identity) const;
  // Whether it carries this client's identity already.
  bool Carries(const Backend& backend,
               const smtp::ClientIdentity& identity) const;
  // Whether it can carry a client that nobody has seen yet.
  bool MayCarryAnyone(const Backend& backend) const;

  // Afterwards the connection carries the borrower's identity, or must be
  // closed. With kRefused `refusal` is the reply that the client gets, whole.
  Task<Outcome> Introduce(Backend& backend, const Borrower& borrower,
                          std::string& refusal);
  // The same for a connection that has been this client's before.
  Task<Outcome> IntroduceAgain(Backend& backend, const Borrower& borrower,
                               std::string& refusal);

 private:
  bool TakesXclient(const Backend& backend) const;
  Task<Outcome> SayXforward(Backend& backend, const Borrower& borrower,
                            std::string& refusal);
  Task<Outcome> SayXclient(Backend& backend,
                           const smtp::ClientIdentity& identity,
                           std::string& refusal);
  Outcome HearRefusal(Backend& backend, const BackendReply& reply,
                      bool was_used, const smtp::ClientIdentity& identity,
                      std::string& refusal);
  Task<Outcome> LearnReuse(Backend& backend,
                           const smtp::ClientIdentity& identity, bool was_used,
                           std::string& refusal);
  void NoteReuse(Backend& backend, IdentityReuse reuse);
  // Says once that the backend takes us for every client.
  void NoteNoIdentity(const Backend& backend);
  Outcome RefuseForWantOf(std::string_view command, std::string_view setting,
                          const Backend& backend, std::string& refusal);
  void LogMisconfigured(const Backend& backend,
                        const smtp::ClientIdentity& identity,
                        const BackendReply& reply);
  io::Time ReplyDeadline() const;

  io::Loop& loop_;
  std::shared_ptr<const Settings> settings_;
  BackendNotes& notes_;
  Log& log_;
  Counters& counters_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_INTRODUCER_H_
