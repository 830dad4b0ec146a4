#include "common/tls/server_terms.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/tls/openssl_error.h"

namespace tlspost::tls {
namespace {

// A missing or untrusted client certificate never ends the handshake: what to
// do about it is decided in SMTP, with words (and SSL_get_verify_result keeps
// the truth).
int AcceptAnyClient(int, X509_STORE_CTX*) { return 1; }

// OpenSSL resumes a session only under the id it was made with: a session
// never gets around what a full handshake would be held to, nor shows the
// certificates of one name to a client that asks for another.
template <typename Part>
std::array<uint8_t, 2 * sizeof(Part)> SessionId(const Part& policy,
                                                const Part& certificates) {
  static_assert(2 * sizeof(Part) <= SSL_MAX_SID_CTX_LENGTH);
  std::array<uint8_t, 2 * sizeof(Part)> id;
  std::copy(policy.begin(), policy.end(), id.begin());
  std::copy(certificates.begin(), certificates.end(),
            id.begin() + sizeof(Part));
  return id;
}

}  // namespace

ServerTerms::ServerTerms(const TlsPolicy& policy, PolicyTerms terms,
                         std::string trust)
    : trust_(std::move(trust)),
      default_policy_(MakePolicy(policy, std::move(terms))),
      default_certificates_part_(PartOf("")) {}

void ServerTerms::AddPolicy(const TlsPolicy& policy, PolicyTerms terms) {
  TLSPOST_CHECK(policies_.size() < ServerTlsOptions::kMaxPolicies);
  policies_.push_back(MakePolicy(policy, std::move(terms)));
}

bool ServerTerms::AddName(const std::string& name, SSL_CTX* context) {
  // The name and not the certificates: those are renewed, and sessions from
  // before are still good.
  return certificates_.Add(name, Certificates{context, PartOf(name)});
}

ServerTerms::Policy ServerTerms::MakePolicy(const TlsPolicy& policy,
                                            PolicyTerms terms) const {
  Policy made;
  for (const std::string& name : policy.server_names) {
    made.server_names.push_back(NormalServerName(name));
  }
  made.ask_client_certificate = policy.ask_client_certificate;
  // A session that is resumed is trusted as it was at first: where certificates
  // are asked for, other authorities mean another session.
  made.session_id_part =
      PartOf(std::to_string(terms.min_version) + " " +
             std::to_string(terms.max_version) + " " + terms.ciphers + " " +
             terms.ciphersuites +
             (policy.ask_client_certificate ? " ccert " + trust_ : ""));
  made.terms = std::move(terms);
  return made;
}

ServerTerms::SessionIdPart ServerTerms::PartOf(std::string_view text) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  SessionIdPart part;
  TLSPOST_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), nullptr,
                           EVP_sha256(), nullptr) == 1);
  std::copy_n(digest.begin(), part.size(), part.begin());
  return part;
}

int ServerTerms::VerifyMode(const Policy& policy) {
  return policy.ask_client_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
}

absl::Status ServerTerms::ApplyDefaults(SSL_CTX* context) const {
  const Policy& policy = default_policy_;
  absl::Status status = ApplyTerms(policy.terms, context);
  if (!status.ok()) return status;
  SSL_CTX_set_verify(context, VerifyMode(policy), &AcceptAnyClient);
  const auto id = SessionId(policy.session_id_part, default_certificates_part_);
  TLSPOST_CHECK(SSL_CTX_set_session_id_context(
                    context, id.data(), static_cast<unsigned>(id.size())) == 1);
  return absl::OkStatus();
}

const ServerTerms::Policy* ServerTerms::Choose(std::string_view server_name,
                                               uint32_t candidates) const {
  const auto has_name = [server_name](const std::string& pattern) {
    return ServerNameMatches(pattern, server_name);
  };
  for (size_t i = 0; i < policies_.size(); ++i) {
    if ((candidates >> i & 1) == 0) continue;
    const std::vector<std::string>& names = policies_[i].server_names;
    const bool any_name = names.empty();
    if (any_name || std::any_of(names.begin(), names.end(), has_name)) {
      return &policies_[i];
    }
  }
  return nullptr;
}

bool ServerTerms::Apply(std::string_view server_name, TlsWire& wire,
                        SSL* ssl) const {
  const std::string name = NormalServerName(server_name);
  const Policy* policy = Choose(name, wire.policy_candidates);
  const Certificates* certificates = certificates_.Find(name);
  if (policy == nullptr && certificates == nullptr) return true;
  // The certificates first: with them come the security level and the
  // signatures of the SSL_CTX they are in.
  if (certificates != nullptr &&
      SSL_set_SSL_CTX(ssl, certificates->context) == nullptr) {
    return false;
  }
  if (policy != nullptr) {
    if (!ApplyTerms(policy->terms, ssl).ok()) return false;
    SSL_set_verify(ssl, VerifyMode(*policy), &AcceptAnyClient);
    wire.minimum_version = static_cast<uint16_t>(policy->terms.min_version);
    wire.applied_policy = static_cast<int8_t>(policy - policies_.data());
  }
  const Policy& held = policy != nullptr ? *policy : default_policy_;
  const auto id =
      SessionId(held.session_id_part, certificates != nullptr
                                          ? certificates->session_id_part
                                          : default_certificates_part_);
  return SSL_set_session_id_context(ssl, id.data(),
                                    static_cast<unsigned>(id.size())) == 1;
}

bool ServerTerms::asks_for_certificates() const {
  const auto asks = [](const Policy& p) { return p.ask_client_certificate; };
  return asks(default_policy_) ||
         std::any_of(policies_.begin(), policies_.end(), asks);
}

}  // namespace tlspost::tls
