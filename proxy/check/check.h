// `tlspost check`: everything that can be known before serving, said in words.
//
// It reads what a start would read, tries what a start would do and gives it
// back, and asks the backends. It serves nobody, changes nothing and delivers
// no mail. How the backends are asked is in backend_probe.h.

#ifndef TLSPOST_PROXY_CHECK_CHECK_H_
#define TLSPOST_PROXY_CHECK_CHECK_H_

#include <optional>
#include <span>
#include <vector>

#include "proxy/check/finding.h"
#include "proxy/settings.h"
#include "proxy/tls_loader.h"

namespace tlspost {

// `args`: the options of serve, and --json, --strict. Prints to standard
// output. Returns the exit status: 1 if anything fails, or with --strict is a
// warning.
int RunCheck(std::span<const char* const> args);

// --- its parts, in their order ---

// Settings that are wrong by themselves; nothing if there are any.
std::optional<Settings> CheckSettings(std::span<const char* const> args,
                                      std::vector<Finding>& findings);

// Certificates, keys, authorities, and all else that TLS is made of. `loader`
// is for one worker; what it has loaded is in `loaded`.
void CheckCertificates(const Settings& settings, TlsLoader& loader,
                       TlsLoader::Loaded& loaded,
                       std::vector<Finding>& findings);

// Addresses and ports, limits, io_uring, the log's file, the clock.
void CheckMachine(const Settings& settings, std::vector<Finding>& findings);

// The user that it goes on as.
void CheckPrivileges(const Settings& settings, std::vector<Finding>& findings);

// All backends, beside each other; takes as long as the slowest. `tls` is what
// the loader has made for connections to them.
void CheckBackends(const Settings& settings, const WorkerTls& tls,
                   std::vector<Finding>& findings);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHECK_CHECK_H_
