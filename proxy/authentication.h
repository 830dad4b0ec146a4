// Authentication: what AUTH has made of a session.
//
// Before success it only counts failed tries. After it, it holds the backend
// connection that heard the credentials and lends it to this client's
// transactions, one after the other: to no other client's, and these get no
// other connection. The connection ends with the session. Knows nothing of the
// exchange itself, and keeps no credentials but the user's name.

#ifndef TLSPOST_PROXY_AUTHENTICATION_H_
#define TLSPOST_PROXY_AUTHENTICATION_H_

#include <string>
#include <string_view>

#include "proxy/backend_pool.h"
#include "proxy/bound_backend.h"

namespace tlspost {

class Authentication {
 public:
  // --- tries ---
  void NoteFailure() { ++failures_; }
  int failures() const { return failures_; }

  // --- success ---
  // `lease` is at a boundary. The name may be unknown: "".
  void Succeed(Lease lease, std::string method, std::string user_name);
  // The client has authenticated; stays so when the connection is lost.
  bool succeeded() const { return !method_.empty(); }
  const std::string& method() const { return method_; }
  const std::string& user_name() const { return user_name_; }
  // "sasl_method=PLAIN, sasl_username=x, " as in Postfix's line.
  std::string LogFields() const;

  // The connection, for one transaction. It comes back by itself.
  Lease Lend();
  // It is gone, and with it the authentication: the session must end.
  bool lost() const { return succeeded() && !own_.bound(); }
  // The client was told so in the backend's own words.
  void NoteFarewell() { farewell_said_ = true; }
  bool farewell_said() const { return farewell_said_; }

  // Forgets success, as RFC 3207 section 4.2 asks at STARTTLS. The connection
  // is closed; the failures still count.
  void Forget();

 private:
  BoundBackend own_;
  std::string method_;
  std::string user_name_;
  int failures_ = 0;
  bool farewell_said_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_AUTHENTICATION_H_
