// BackendProbe: asks one mail server, over connections of its own, for all that
// it will be asked for later, and some things that nobody should get from it.
//
// It delivers nothing. Transactions end in RSET before DATA, and connections in
// QUIT, but for one: whether a bare LF ends a message cannot be seen without
// one. That message is for postmaster, whom every server takes (RFC 5321
// 4.5.1), and has so many Received headers that it is refused as one that goes
// round in a circle (RFC 5321 6.3) if the server takes its bare LFs for an end;
// if not, it is left without an end, and such a message is not delivered (RFC
// 5321 4.1.1.4).
//
// Number of commands and time are bounded. It knows nothing of what other
// backends said.

#ifndef TLSPOST_PROXY_CHECK_BACKEND_PROBE_H_
#define TLSPOST_PROXY_CHECK_BACKEND_PROBE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/task.h"
#include "common/io/loop.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/xclient.h"
#include "common/tls/tls_context.h"
#include "proxy/backend.h"
#include "proxy/backend_target.h"
#include "proxy/check/finding.h"
#include "proxy/settings.h"

namespace tlspost {

struct ProbeOptions {
  // For connections to it; null: plaintext.
  std::shared_ptr<tls::TlsContext> tls;
  // Whether clients can come from IPv6 addresses.
  bool has_ipv6_clients = false;
};

class BackendProbe {
 public:
  // `settings` outlive the probe.
  BackendProbe(io::Loop& loop, const Settings& settings,
               const BackendAddress& address, ProbeOptions options);

  // Once.
  Task<void> Run();

  const std::vector<Finding>& findings() const { return findings_; }

 private:
  using Connection = std::unique_ptr<Backend>;

  // --- connections ---
  // Greeted, and under TLS if that is what the settings want. With identity by
  // PROXY header it is that of `client`; null: nobody's.
  Task<absl::StatusOr<Connection>> Open(const smtp::ClientIdentity* client);
  Task<absl::Status> Prepare(Backend& backend,
                             const smtp::ClientIdentity* client,
                             io::Time deadline);
  Task<absl::Status> StartTls(Backend& backend, io::Time deadline);
  Task<void> Quit(Connection connection);
  Task<absl::StatusOr<BackendReply>> Ask(Backend& backend,
                                         std::string_view command);

  // --- what is asked ---
  Task<absl::Status> Talk(Backend& backend);
  Task<absl::Status> ListOffers(Backend& backend);
  Task<absl::Status> TryXclient(Backend& backend);
  Task<absl::Status> TrySecondXclient(Backend& backend);
  Task<absl::Status> TryRelay(Backend& backend, bool as_client);
  Task<absl::Status> TryErrors(Backend& backend);
  Task<absl::Status> TryJunk(Backend& backend);
  Task<void> TryProxyClient();
  Task<void> TryIpv6Client();
  Task<void> TryBareLineFeeds();
  Task<absl::Status> SendBareLineFeeds(Backend& backend);

  void JudgeRelay(const std::vector<BackendReply>& replies, bool as_client);
  void WarnOfErrorLimit(std::string_view what, int errors);
  void JudgeIdentity(const smtp::EhloCapabilities& offers);
  bool UsesXclient(const smtp::EhloCapabilities& offers) const;
  std::string Shown(const BackendReply& reply) const;
  io::Time ReplyDeadline() const;

  io::Loop& loop_;
  const Settings& settings_;
  const BackendTarget target_;
  const ProbeOptions options_;
  std::vector<Finding> findings_;
  AreaFindings found_;
  const std::string thing_;
  smtp::EhloCapabilities offers_;
  // It serves one client after the other on a connection.
  bool is_shared_ = true;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHECK_BACKEND_PROBE_H_
