// On what terms a client may speak TLS, and to whom other terms apply: the
// [[tls_policy]] tables of the settings file.
//
// Plain values and their checks; what is made of them is in tls_loader.h and
// client_policies.h. Does no I/O.

#ifndef TLSPOST_PROXY_TLS_TERMS_H_
#define TLSPOST_PROXY_TLS_TERMS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tls/tls_options.h"

namespace tlspost {

enum class TlsSecurityLevel : uint8_t { kNone, kMay, kEncrypt };

// The settings that a [[tls_policy]] may change, under their own names.
#define TLSPOST_TLS_TERMS(TERM)              \
  TERM(TlsSecurityLevel, tls_security_level) \
  TERM(std::string, tls_protocols)           \
  TERM(std::string, tls_cipherlist)          \
  TERM(std::string, tls_ciphersuites)        \
  TERM(std::string, tls_eecdh_auto_curves)   \
  TERM(bool, tls_ask_ccert)                  \
  TERM(bool, tls_req_ccert)

struct TlsTerms {
#define TLSPOST_DECLARE_TERM(type, name) type name{};
  TLSPOST_TLS_TERMS(TLSPOST_DECLARE_TERM)
#undef TLSPOST_DECLARE_TERM

  bool operator==(const TlsTerms&) const = default;
};

// Whether a [[tls_policy]] may change the setting called `name`.
bool IsTlsTerm(std::string_view name);

// One [[tls_policy]]: the first one that has the client and the name applies.
struct TlsPolicyRule {
  std::vector<std::string> clients;  // networks; empty: all clients
  std::vector<std::string> sni;      // empty: any name, and none
  // What the table changes: names and values as they stand there.
  std::vector<std::pair<std::string, std::string>> changes;
  TlsTerms terms;     // what comes of it; settings it leaves out are global
  std::string place;  // "tlspost.toml:12:1", for messages

  bool operator==(const TlsPolicyRule&) const = default;
};

struct TlsVersionRange {
  tls::TlsVersion lowest = tls::TlsVersion::kTls12;
  tls::TlsVersion highest = tls::TlsVersion::kTls13;
};

// Reads a list of versions as Postfix writes it: ">=TLSv1.2, <=TLSv1.3",
// "!SSLv3, !TLSv1, !TLSv1.1" or "TLSv1.2, TLSv1.3".
absl::StatusOr<TlsVersionRange> ParseTlsProtocols(std::string_view text);

// A list of groups, parted by blanks, commas or colons, as OpenSSL takes it.
std::string GroupList(std::string_view text);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_TERMS_H_
