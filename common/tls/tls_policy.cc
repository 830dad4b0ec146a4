#include "common/tls/tls_policy.h"

#include <string_view>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/openssl_error.h"
#include "common/tls/openssl_handles.h"

namespace tlspost::tls {
namespace {

// AES-128-GCM first: it is the cheapest per byte, and the server chooses.
constexpr char kCiphersuites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
    "TLS_CHACHA20_POLY1305_SHA256";

// RFC 9325 section 4.1: forward secrecy only. The CBC suites at the end are
// for old mailers, whose other choice would be plaintext.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE+AES:!aNULL:!eNULL";

// What a device from the days of TLS 1.0 may know besides: RSA key exchange.
constexpr char kOldCiphers[] = ":kRSA+AES";

// The first list is for OpenSSL 3.5 and newer, older ones reject it. `*` marks
// the groups for which a client of ours sends a key share; as X25519 is among
// them, no server needs to ask again. P-256 must be there: without it a P-256
// certificate cannot be used with TLS 1.2.
constexpr const char* kGroups[] = {
    "*X25519MLKEM768:*X25519:P-256:P-384",
    "X25519:P-256:P-384",
};

// What certificates of today sign with; a short list saves time in each
// handshake.
constexpr char kSignatures[] =
    "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed448:"
    "RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

// RFC 5246 section 7.4.1.4.1: what a TLS 1.2 client means that names none.
constexpr char kOldSignatures[] = ":ECDSA+SHA1:RSA+SHA1";

// TLS 1.0 and 1.1 sign with SHA-1 (and MD5), which OpenSSL 3 allows at this
// level only.
constexpr int kOldSecurityLevel = 0;

// OpenSSL has each call twice.
int SetSecurityLevel(SSL_CTX* to, int level) {
  SSL_CTX_set_security_level(to, level);
  return 1;
}
int SetSecurityLevel(SSL* to, int level) {
  SSL_set_security_level(to, level);
  return 1;
}
int SetCiphers(SSL_CTX* to, const char* list) {
  return SSL_CTX_set_cipher_list(to, list);
}
int SetCiphers(SSL* to, const char* list) {
  return SSL_set_cipher_list(to, list);
}
int SetCiphersuites(SSL_CTX* to, const char* list) {
  return SSL_CTX_set_ciphersuites(to, list);
}
int SetCiphersuites(SSL* to, const char* list) {
  return SSL_set_ciphersuites(to, list);
}
long SetGroups(SSL_CTX* to, const char* list) {
  return SSL_CTX_set1_groups_list(to, list);
}
long SetGroups(SSL* to, const char* list) {
  return SSL_set1_groups_list(to, list);
}
long SetSignatures(SSL_CTX* to, const char* list) {
  return SSL_CTX_set1_sigalgs_list(to, list);
}
long SetSignatures(SSL* to, const char* list) {
  return SSL_set1_sigalgs_list(to, list);
}
long SetVersions(SSL_CTX* to, int minimum, int maximum) {
  return SSL_CTX_set_min_proto_version(to, minimum) &
         SSL_CTX_set_max_proto_version(to, maximum);
}
long SetVersions(SSL* to, int minimum, int maximum) {
  return SSL_set_min_proto_version(to, minimum) &
         SSL_set_max_proto_version(to, maximum);
}

absl::Status Bad(std::string_view message) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

// `what` is the setting's name, which the administrator looks for.
absl::Status Rejected(std::string_view what, const std::string& value) {
  return Bad(std::string(what) + ": OpenSSL does not accept \"" + value +
             "\" (" + TakeOpenSslError().reason + "); correct the list");
}

template <typename Target>
absl::Status Apply(const PolicyTerms& terms, Target* to) {
  ClearOpenSslErrors();
  // First the level: a list of ciphers may set its own (@SECLEVEL=1).
  SetSecurityLevel(to, terms.security_level);
  if (SetCiphers(to, terms.ciphers.c_str()) != 1) {
    return Rejected("tls_cipherlist", terms.ciphers);
  }
  if (SetCiphersuites(to, terms.ciphersuites.c_str()) != 1) {
    return Rejected("tls_ciphersuites", terms.ciphersuites);
  }
  if (SetGroups(to, terms.groups.c_str()) != 1) {
    return Rejected("tls_eecdh_auto_curves", terms.groups);
  }
  if (!terms.signatures.empty() &&
      SetSignatures(to, terms.signatures.c_str()) != 1) {
    return Rejected("signature algorithms", terms.signatures);
  }
  if (SetVersions(to, terms.min_version, terms.max_version) != 1) {
    return Rejected("tls_protocols", "");
  }
  return absl::OkStatus();
}

std::string DefaultGroups(SSL_CTX* scratch) {
  for (const char* list : kGroups) {
    ClearOpenSslErrors();
    if (SetGroups(scratch, list) == 1) return list;
  }
  return kGroups[1];
}

}  // namespace

absl::StatusOr<PolicyTerms> TermsOf(const TlsPolicy& policy, TlsRole role,
                                    SSL_CTX* fresh) {
  if (policy.max_version < policy.min_version) {
    return Bad(
        "the highest TLS version is below the lowest one; correct one of the "
        "two");
  }
  const bool old = policy.min_version < TlsVersion::kTls12;
  PolicyTerms terms;
  terms.min_version = static_cast<int>(policy.min_version);
  terms.max_version = static_cast<int>(policy.max_version);
  terms.security_level =
      old ? kOldSecurityLevel : SSL_CTX_get_security_level(fresh);
  terms.ciphers = policy.ciphers;
  if (terms.ciphers.empty()) {
    terms.ciphers = old ? std::string(kCiphers) + kOldCiphers : kCiphers;
  }
  terms.ciphersuites =
      policy.ciphersuites.empty() ? kCiphersuites : policy.ciphersuites;
  terms.groups = policy.groups.empty() ? DefaultGroups(fresh) : policy.groups;
  if (role == TlsRole::kServer) {
    terms.signatures =
        old ? std::string(kSignatures) + kOldSignatures : kSignatures;
  }
  const SslHandle trial(SSL_new(fresh));
  TLSPOST_CHECK(trial != nullptr);
  absl::Status accepted = ApplyTerms(terms, trial.get());
  if (!accepted.ok()) return accepted;
  return terms;
}

absl::Status ApplyTerms(const PolicyTerms& terms, SSL_CTX* context) {
  return Apply(terms, context);
}

absl::Status ApplyTerms(const PolicyTerms& terms, SSL* ssl) {
  return Apply(terms, ssl);
}

}  // namespace tlspost::tls
