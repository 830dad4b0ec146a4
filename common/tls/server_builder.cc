#include "common/tls/server_builder.h"

#include <openssl/x509v3.h>

#include <unordered_set>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate_describe.h"
#include "common/tls/client_hello.h"
#include "common/tls/ssl_modes.h"
#include "common/tls/trust.h"

namespace tlspost::tls {
namespace {

// What a server writes are short replies: smaller records need a smaller
// buffer. A client sends messages, in records as large as they may be.
constexpr long kMaxSendFragment = 4096;

// RFC 7672 section 8.1: a name that we do not know is no reason to refuse. OK
// (rather than NOACK) also keeps the name in the session, for resumption.
int AcceptAnyName(SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; }

// Puts what is wrong into words that say where.
absl::Status InPolicy(const TlsPolicy& policy, size_t index,
                      const absl::Status& status) {
  const std::string title = policy.title.empty()
                                ? "TLS policy " + std::to_string(index + 1)
                                : policy.title;
  return MakeStatus(status.code(),
                    title + ": " + std::string(MessageOf(status)));
}

}  // namespace

absl::StatusOr<ServerParts> ServerBuilder::Build() {
  if (options_.certificates.empty()) {
    return Invalid("a TLS server needs a certificate; name its file");
  }
  absl::Status status = MakeTerms();
  if (!status.ok()) return status;
  auto first = LoadSet(options_.certificates);
  if (!first.ok()) return first.status();
  parts_.context = *std::move(first);
  status = LoadTrust();
  if (!status.ok()) return status;
  status = LoadNamed();
  if (!status.ok()) return status;
  status = LoadStaples();
  if (!status.ok()) return status;
  ForgetRepeatedWarnings();
  return std::move(parts_);
}

SslContextHandle ServerBuilder::NewContext() const {
  SslContextHandle context(
      SSL_CTX_new_ex(library_, nullptr, TLS_server_method()));
  TLSPOST_CHECK(context != nullptr);
  SSL_CTX_set_app_data(context.get(), app_data_);
  return context;
}

absl::Status ServerBuilder::MakeTerms() {
  if (options_.policies.size() > ServerTlsOptions::kMaxPolicies) {
    return Invalid("there are " + std::to_string(options_.policies.size()) +
                   " TLS policies; more than " +
                   std::to_string(ServerTlsOptions::kMaxPolicies) +
                   " are not possible: join some");
  }
  const SslContextHandle fresh = NewContext();
  auto terms = TermsOf(options_.policy, TlsRole::kServer, fresh.get());
  if (!terms.ok()) return terms.status();
  parts_.terms = std::make_unique<ServerTerms>(
      options_.policy, *std::move(terms),
      FingerprintOfTrust({options_.ca_file, options_.ca_path, ""}));
  for (size_t i = 0; i < options_.policies.size(); ++i) {
    const TlsPolicy& policy = options_.policies[i];
    for (const std::string& name : policy.server_names) {
      const std::string problem = ServerNamePatternProblem(name);
      if (!problem.empty()) return InPolicy(policy, i, Invalid(problem));
    }
    auto other = TermsOf(policy, TlsRole::kServer, fresh.get());
    if (!other.ok()) return InPolicy(policy, i, other.status());
    parts_.terms->AddPolicy(policy, *std::move(other));
  }
  return absl::OkStatus();
}

absl::StatusOr<SslContextHandle> ServerBuilder::LoadSet(
    const std::vector<CertificateSource>& sources) {
  SslContextHandle context = NewContext();
  SSL_CTX* raw = context.get();
  SetCommonModes(raw);
  TLSPOST_CHECK(SSL_CTX_set_max_send_fragment(raw, kMaxSendFragment) == 1);
  SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // RFC 8446 section 8: early data can be replayed, and mail is not
  // idempotent. A client that sends some is answered with a full handshake.
  SSL_CTX_set_max_early_data(raw, 0);
  SSL_CTX_set_client_hello_cb(raw, &OnClientHello, nullptr);
  SSL_CTX_set_tlsext_servername_callback(raw, &AcceptAnyName);
  absl::Status status = parts_.terms->ApplyDefaults(raw);
  if (!status.ok()) return status;
  for (const CertificateSource& source : sources) {
    absl::StatusOr<Identity> identity = LoadIdentity(
        library_, source, options_.strict_key_permissions, &parts_.warnings);
    if (!identity.ok()) return identity.status();
    status = UseIdentity(*identity, raw);
    if (!status.ok()) return status;
    leaves_.push_back(identity->leaf.get());
    CertificateFacts& facts = parts_.certificates.emplace_back(
        DescribeCertificate(identity->leaf.get()));
    facts.date_problem = DateProblem(*identity);
  }
  return context;
}

absl::Status ServerBuilder::LoadNamed() {
  for (const NamedCertificates& named : options_.named_certificates) {
    const std::string problem = ServerNamePatternProblem(named.name);
    if (!problem.empty()) return Invalid(problem);
    const std::string name = NormalServerName(named.name);
    if (named.certificates.empty()) {
      return Invalid(
          "server name \"" + name +
          "\" has no certificate; name its file, or remove the entry");
    }
    auto context = NamedContext(named);
    if (!context.ok()) return context.status();
    if (!parts_.terms->AddName(name, *context)) {
      return Invalid("server name \"" + name +
                     "\" is there twice; remove one of the entries");
    }
    WarnOfOtherName(name, *context);
  }
  return absl::OkStatus();
}

absl::StatusOr<SSL_CTX*> ServerBuilder::NamedContext(
    const NamedCertificates& named) {
  for (const auto& [sources, context] : sets_) {
    if (sources == named.certificates) return context;
  }
  auto loaded = LoadSet(named.certificates);
  if (!loaded.ok()) return loaded.status();
  SSL_CTX* context = loaded->get();
  // Client certificates are judged by the SSL_CTX that serves.
  SSL_CTX_set1_cert_store(context,
                          SSL_CTX_get_cert_store(parts_.context.get()));
  parts_.named_contexts.push_back(*std::move(loaded));
  sets_.emplace_back(named.certificates, context);
  return context;
}

void ServerBuilder::WarnOfOtherName(const std::string& name, SSL_CTX* context) {
  // What a pattern stands for, a certificate may list one by one.
  if (name.front() == '.') return;
  if (SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST) != 1) return;
  do {
    X509* leaf = SSL_CTX_get0_certificate(context);
    if (X509_check_host(leaf, name.data(), name.size(), 0, nullptr) != 1) {
      parts_.warnings.push_back("a certificate that is served as " + name +
                                " is not made out to that name; clients that "
                                "check names will refuse it");
    }
  } while (SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT) == 1);
}

absl::Status ServerBuilder::LoadTrust() {
  if (!parts_.terms->asks_for_certificates()) return absl::OkStatus();
  const TrustSources trust = {options_.ca_file, options_.ca_path, ""};
  auto count =
      AddTrust(trust, library_, parts_.context.get(), &parts_.warnings);
  if (!count.ok()) return count.status();
  parts_.trusted_authorities = *count;
  return absl::OkStatus();
}

absl::Status ServerBuilder::LoadStaples() {
  if (options_.ocsp_response_files.empty()) return absl::OkStatus();
  parts_.staples = std::make_unique<OcspStaples>();
  for (const std::string& path : options_.ocsp_response_files) {
    absl::Status status =
        parts_.staples->AddFile(path, leaves_, &parts_.warnings);
    if (!status.ok()) return status;
  }
  parts_.staples->ServeIn(parts_.context.get());
  for (const SslContextHandle& context : parts_.named_contexts) {
    parts_.staples->ServeIn(context.get());
  }
  return absl::OkStatus();
}

// A file that is named in two places is warned of once.
void ServerBuilder::ForgetRepeatedWarnings() {
  std::unordered_set<std::string> seen;
  std::vector<std::string> once;
  for (std::string& warning : parts_.warnings) {
    if (seen.insert(warning).second) once.push_back(std::move(warning));
  }
  parts_.warnings = std::move(once);
}

}  // namespace tlspost::tls
