// TlsLoader: from settings and files to one TLS context for each worker, at
// the start and at every reload.
//
// Loads all or nothing: what is in use stays until everything new is good. It
// never decides when to load (tls_reloader.h).

#ifndef TLSPOST_PROXY_TLS_LOADER_H_
#define TLSPOST_PROXY_TLS_LOADER_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/ticket_keys.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_library.h"
#include "proxy/settings.h"

namespace tlspost {

// What one worker does TLS with.
struct WorkerTls {
  std::shared_ptr<tls::TlsContext> clients;  // null: no TLS for clients
  std::shared_ptr<tls::TlsContext> backend;  // null: no TLS to the backend
};

class TlsLoader {
 public:
  struct Loaded {
    std::vector<WorkerTls> workers;
    std::vector<std::string> warnings;
    // All files that this was made of.
    std::vector<std::string> files;
  };

  TlsLoader(Settings settings, size_t workers);

  // A certificate that is in no file, for the demo.
  void UseCertificate(std::string cert_pem, std::string key_pem);

  // An error is one line that names the file and the remedy. At the start a
  // certificate that has expired is served with a warning, since any is better
  // than none; later it is an error, unless it was in use before: it would
  // replace a better one. Keys of session
  // tickets live on from one load to the next, unless their file says else.
  // loaded.files holds what was to be read also then.
  absl::Status Load(Loaded& loaded);

  // The same with other settings, which hold for later loads too if all is
  // good.
  absl::Status LoadWith(const Settings& settings, Loaded& loaded);

  // New keys of our own for session tickets; does nothing if they come from a
  // file.
  void RotateTicketKeys();

 private:
  bool WantsClientTls() const;
  absl::Status LoadClientTls(Loaded& loaded);
  absl::Status LoadBackendTls(Loaded& loaded) const;
  absl::Status AddCertificates(tls::ServerTlsOptions& options,
                               Loaded& loaded) const;
  absl::Status RefuseBadRenewal(const Loaded& loaded) const;
  void NoteInUse(const Loaded& loaded);
  absl::StatusOr<std::vector<tls::TicketKey>> ReadTicketKeys(
      Loaded& loaded) const;

  Settings settings_;
  const size_t workers_;
  tls::CertificateSource given_;
  const std::shared_ptr<tls::TicketKeys> ticket_keys_;
  std::vector<std::shared_ptr<tls::TlsLibrary>> libraries_;  // of each worker
  // Fingerprints of the certificates that were loaded last; none at the start.
  std::set<std::string> in_use_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_LOADER_H_
