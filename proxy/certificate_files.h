// Which files hold certificates and keys, from how administrators name them:
// lists of PEM files and Postfix's SNI maps.
//
// Looks into the files only for what kind of thing they hold; whether it is
// any good is for common/tls to say. Errors are one line each.

#ifndef TLSPOST_PROXY_CERTIFICATE_FILES_H_
#define TLSPOST_PROXY_CERTIFICATE_FILES_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/tls_options.h"
#include "proxy/settings.h"

namespace tlspost {

// Each file holds a key and its certificates; or a file with a key alone and
// one with certificates alone stand next to each other and belong together.
absl::StatusOr<std::vector<tls::CertificateSource>> PairPemFiles(
    std::span<const std::string> files);

// Reads a map in the source form of postmap(1) -F: a name, blanks, its files
// parted by commas or blanks; lines that begin with a blank go on with the one
// before. A type in front of the path ("hash:/etc/postfix/sni") is left out:
// the source lies beside what postmap makes of it. Names must be in it once.
// The files it names are appended to `files`, also when it is not accepted.
absl::StatusOr<std::vector<tls::NamedCertificates>> ReadSniMap(
    const std::string& path, std::vector<std::string>& files);

// The files that such a map names, whatever is wrong with them; none when it
// cannot be read.
std::vector<std::string> FilesInSniMap(const std::string& path);

// The path behind such a type.
std::string MapPath(const std::string& text);

// Puts the certificates that the settings name into `options`; `given` is one
// that is in no file. The files are appended to `files`, also when there is an
// error.
absl::Status NameCertificates(const Settings& settings,
                              const tls::CertificateSource& given,
                              tls::ServerTlsOptions& options,
                              std::vector<std::string>& files);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CERTIFICATE_FILES_H_
