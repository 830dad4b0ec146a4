#include "common/tls/certificate_check.h"

#include <openssl/asn1.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate.h"
#include "common/tls/certificate_describe.h"
#include "common/tls/openssl_error.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/trust.h"

namespace tlspost::tls {
namespace {

using StoreHandle = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StoreContextHandle =
    std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

constexpr int64_t kDay = 86400;
constexpr int64_t kWeek = 7 * kDay;

std::string Print(const X509_NAME* name) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  TLSPOST_CHECK(bio != nullptr);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string SubjectOf(const X509* certificate) {
  return Print(X509_get_subject_name(certificate));
}

// What to do about an error of OpenSSL's. `at` is the certificate at fault.
std::string RemedyFor(int error, const X509* at) {
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "put the certificate of its issuer (" +
             Print(X509_get_issuer_name(at)) +
             ") behind it in the file; if that is an authority of your own, "
             "name it in the environment: SSL_CERT_FILE=FILE";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "renew it";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "check the clock of this machine";
    case X509_V_ERR_INVALID_PURPOSE:
      return "have one issued for servers (extendedKeyUsage = serverAuth)";
    case X509_V_ERR_INVALID_CA:
      return "its issuer in the file is no authority; use the chain that the "
             "authority gave you";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "clients that check certificates (MTA-STS) will refuse it; have "
             "one issued by a public authority, or name your own one in the "
             "environment: SSL_CERT_FILE=FILE";
    default:
      return "see openssl-verification-options(1)";
  }
}

ChainVerdict VerifyChain(const std::vector<X509Handle>& certificates) {
  const StoreHandle store(X509_STORE_new());
  const StoreContextHandle context(X509_STORE_CTX_new());
  const X509ViewStack untrusted(sk_X509_new_null());
  TLSPOST_CHECK(store != nullptr && context != nullptr && untrusted != nullptr);
  for (const X509Handle& certificate : certificates) {
    TLSPOST_CHECK(sk_X509_push(untrusted.get(), certificate.get()) > 0);
  }
  // A system without authorities is no error: then nobody is trusted.
  X509_STORE_set_default_paths(store.get());
  X509_VERIFY_PARAM_set_purpose(X509_STORE_get0_param(store.get()),
                                X509_PURPOSE_SSL_SERVER);
  X509* leaf = certificates.front().get();
  TLSPOST_CHECK(X509_STORE_CTX_init(context.get(), store.get(), leaf,
                                    untrusted.get()) == 1);
  ChainVerdict verdict;
  const bool good = X509_verify_cert(context.get()) == 1;
  ClearOpenSslErrors();
  if (good) return verdict;
  verdict.error = X509_STORE_CTX_get_error(context.get());
  verdict.reason = X509_verify_cert_error_string(verdict.error);
  verdict.depth = X509_STORE_CTX_get_error_depth(context.get());
  const X509* at = X509_STORE_CTX_get_current_cert(context.get());
  if (at == nullptr) at = leaf;
  verdict.subject = SubjectOf(at);
  verdict.remedy = RemedyFor(verdict.error, at);
  verdict.is_self_made =
      verdict.error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
      verdict.error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
  return verdict;
}

bool IsIssuedBy(const X509Handle& certificate, const X509Handle& issuer) {
  return X509_check_issued(issuer.get(), certificate.get()) == X509_V_OK;
}

// RFC 8446 section 4.4.2: each certificate should certify the one before it.
// OpenSSL sorts them by itself, other libraries do not.
std::vector<std::string> FindOrderProblems(
    const std::vector<X509Handle>& certificates) {
  std::vector<std::string> problems;
  for (size_t i = 1; i < certificates.size(); ++i) {
    if (IsIssuedBy(certificates[i - 1], certificates[i])) continue;
    const bool issued_any = std::any_of(
        certificates.begin(), certificates.end(), [&](const X509Handle& other) {
          return other != certificates[i] && IsIssuedBy(other, certificates[i]);
        });
    const std::string which = "certificate " + std::to_string(i + 1) + " (" +
                              SubjectOf(certificates[i].get()) + ")";
    problems.push_back(
        issued_any
            ? which +
                  " is not the issuer of the one before it; put each "
                  "certificate directly behind the one that it has issued"
            : which + " has issued none of the others; take it out");
  }
  return problems;
}

int64_t SecondsBetween(const ASN1_TIME* from, const ASN1_TIME* to) {
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, from, to) != 1) return 0;
  return days * kDay + seconds;
}

void InspectDates(const X509* leaf, CertificateReport& report) {
  const int64_t left =
      report.facts.not_after_s - static_cast<int64_t>(std::time(nullptr));
  const int64_t life =
      SecondsBetween(X509_get0_notBefore(leaf), X509_get0_notAfter(leaf));
  report.days_left = left >= 0 ? left / kDay : -((kDay - 1 - left) / kDay);
  report.ends_soon = left < kWeek && left < life / 3;
}

}  // namespace

CertificateReport InspectCertificate(
    const CertificateSource& source,
    const std::vector<std::string>& asked_names, bool strict_key_permissions) {
  CertificateReport report;
  const auto identity =
      LoadIdentity(nullptr, source, strict_key_permissions, &report.warnings);
  report.usable = identity.status();
  auto certificates = LoadCertificates(nullptr, source);
  report.readable = certificates.status();
  if (!certificates.ok()) return report;

  X509* leaf = certificates->front().get();
  report.facts = DescribeCertificate(leaf);
  if (identity.ok()) report.facts.date_problem = DateProblem(*identity);
  // It is part of the verdict on the chain.
  std::erase(report.warnings, report.facts.date_problem);
  report.chain = VerifyChain(*certificates);
  report.intermediates = certificates->size() - 1;
  report.order_problems = FindOrderProblems(*certificates);
  report.names = DnsNames(leaf);
  for (const std::string& name : asked_names) {
    if (X509_check_host(leaf, name.data(), name.size(), 0, nullptr) != 1) {
      report.foreign_names.push_back(name);
    }
  }
  InspectDates(leaf, report);
  return report;
}

absl::StatusOr<AuthoritiesReport> InspectAuthorities(
    const std::string& ca_file, const std::string& ca_path) {
  const SslContextHandle context(SSL_CTX_new(TLS_server_method()));
  TLSPOST_CHECK(context != nullptr);
  AuthoritiesReport report;
  const absl::StatusOr<size_t> count = AddTrust(
      {ca_file, ca_path, ""}, nullptr, context.get(), &report.warnings);
  if (!count.ok()) return count.status();
  report.in_file = *count;
  if (!ca_path.empty()) report.in_directory = CountHashLinks(ca_path);
  return report;
}

}  // namespace tlspost::tls
