// AuthExchange: one AUTH command, from the client to a backend and back, until
// the backend's last word on it (RFC 4954).
//
// Challenges and responses pass line by line as they are. The connection that
// hears them never serves another client, whatever comes of it: after success
// it is the session's own, else it is closed. Credentials stay in this object,
// which wipes them: they are in no log line, no error and no reply of ours.

#ifndef TLSPOST_PROXY_AUTH_EXCHANGE_H_
#define TLSPOST_PROXY_AUTH_EXCHANGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/task.h"
#include "common/smtp/auth.h"
#include "common/smtp/reply.h"
#include "common/smtp/xclient.h"
#include "proxy/backend_pool.h"
#include "proxy/client_channel.h"
#include "proxy/session_services.h"

namespace tlspost {

class AuthExchange {
 public:
  // Challenges of one exchange. The longest mechanisms in use (GSSAPI, SCRAM,
  // NTLM) need two to four.
  static constexpr size_t kMaxSteps = 16;

  // The response in `arguments` is copied.
  AuthExchange(SessionServices& services, ClientChannel& client,
               ClientState& state, smtp::AuthArguments arguments);
  ~AuthExchange();
  AuthExchange(const AuthExchange&) = delete;
  AuthExchange& operator=(const AuthExchange&) = delete;

  // OK: AUTH is answered, with success or not. An error: the client is lost,
  // or is to be left after what is pending was sent.
  Task<absl::Status> Run();

 private:
  Task<absl::Status> Converse();
  Task<absl::StatusOr<BackendReply>> Begin();
  Task<absl::StatusOr<BackendReply>> Ask();
  Task<absl::Status> HearResponse();
  Task<absl::Status> ExpectSilence();
  bool TakeResponse();

  void Conclude(BackendReply reply);
  void Succeed();
  void Refuse(const smtp::Reply& reply);
  void Fail(std::string reply);
  void LoseBackend(const absl::Status& why);
  void Answer(std::string_view reply, bool success);
  void LogFailure(std::string_view reply) const;

  SessionServices& services_;
  ClientChannel& client_;
  ClientState& state_;
  const smtp::ClientIdentity identity_;
  const std::string mechanism_;
  const io::Time deadline_;  // for all that the client has to say
  Lease lease_;
  std::string pool_refusal_;  // there is no connection, because of this
  std::string wire_;          // for the backend: AUTH, later the last response
  std::vector<std::string> responses_;
  bool answered_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_AUTH_EXCHANGE_H_
