#include "common/tls/certificate.h"

#include <openssl/pem.h>

#include <iterator>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/openssl_error.h"

namespace tlspost::tls {
namespace {

absl::Status Unusable(std::string_view message) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

absl::Status NotPem(const PemText& pem, std::string_view tool) {
  std::string message =
      pem.title() +
      " is not PEM (it has no complete -----BEGIN ... -----END block)";
  if (pem.is_file) {
    message += "; if it is DER, convert it with: openssl " + std::string(tool) +
               " -inform DER -in " + pem.name + " -out NEWFILE";
  }
  return Unusable(message);
}

BioHandle BioOver(std::string_view text) {
  BioHandle bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  TLSPOST_CHECK(bio != nullptr);
  return bio;
}

bool IsCertificate(const PemBlock& block) {
  return block.label == "CERTIFICATE" || block.label == "X509 CERTIFICATE";
}

bool IsPrivateKey(const PemBlock& block) {
  // "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", ...
  constexpr std::string_view kEnd = "PRIVATE KEY";
  return block.label.size() >= kEnd.size() &&
         block.label.substr(block.label.size() - kEnd.size()) == kEnd;
}

// Called by OpenSSL when a key is encrypted. The default would prompt on the
// terminal, and a server that waits there looks like one that hangs.
int RefusePassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::StatusOr<KeyHandle> ParseKey(OSSL_LIB_CTX* library, const PemText& pem) {
  const std::vector<PemBlock> blocks = SplitPem(pem.text);
  if (blocks.empty()) return NotPem(pem, "pkey");
  for (const PemBlock& block : blocks) {
    if (!IsPrivateKey(block)) continue;
    ClearOpenSslErrors();
    const BioHandle bio = BioOver(block.text);
    bool encrypted = false;
    KeyHandle key(PEM_read_bio_PrivateKey_ex(
        bio.get(), nullptr, &RefusePassphrase, &encrypted, library, nullptr));
    const OpenSslError error = TakeOpenSslError();
    if (key != nullptr) return key;
    if (encrypted) {
      return Unusable("the key in " + pem.name +
                      " is encrypted with a passphrase; remove it with: "
                      "openssl pkey -in " +
                      pem.name + " -out NEWFILE");
    }
    return Unusable("the private key in " + pem.title() +
                    " cannot be decoded (OpenSSL: " + error.reason +
                    "); copy the file anew from its source");
  }
  return Unusable("there is no private key in " + pem.title() +
                  "; add it there, or name its own file as the key file");
}

absl::StatusOr<PemText> CertificatePem(const CertificateSource& source) {
  if (!source.cert_file.empty()) {
    return ReadPemFile("certificate file", source.cert_file);
  }
  return PemText{"certificate", "given as text", source.cert_pem};
}

absl::StatusOr<PemText> KeyPem(const CertificateSource& source,
                               const PemText& cert) {
  if (!source.key_file.empty()) return ReadPemFile("key file", source.key_file);
  if (!source.cert_file.empty() || source.key_pem.empty()) return cert;
  return PemText{"key", "given as text", source.key_pem};
}

absl::Status CheckPair(const Identity& identity, const PemText& cert,
                       const PemText& key) {
  if (X509_check_private_key(identity.leaf.get(), identity.key.get()) == 1) {
    return absl::OkStatus();
  }
  for (const X509Handle& other : identity.chain) {
    if (X509_check_private_key(other.get(), identity.key.get()) == 1) {
      ClearOpenSslErrors();
      return Unusable("the certificate of the key in " + key.name +
                      " is not the first one in " + cert.title() +
                      "; put it first, then the intermediates");
    }
  }
  ClearOpenSslErrors();
  return Unusable("the key in " + key.title() +
                  " does not belong to the certificate in " + cert.title() +
                  "; use the key that the certificate was issued for");
}

}  // namespace

absl::StatusOr<std::vector<X509Handle>> ParseCertificates(OSSL_LIB_CTX* library,
                                                          const PemText& pem) {
  const std::vector<PemBlock> blocks = SplitPem(pem.text);
  if (blocks.empty()) return NotPem(pem, "x509");
  std::vector<X509Handle> certificates;
  for (const PemBlock& block : blocks) {
    if (!IsCertificate(block)) continue;
    ClearOpenSslErrors();
    const BioHandle bio = BioOver(block.text);
    // PEM_read_bio_X509 fills the object it is given, and frees it when it
    // fails: X509_new_ex is how the certificate gets our library context.
    X509* certificate = X509_new_ex(library, nullptr);
    TLSPOST_CHECK(certificate != nullptr);
    if (PEM_read_bio_X509(bio.get(), &certificate, nullptr, nullptr) ==
        nullptr) {
      X509_free(certificate);
      const OpenSslError error = TakeOpenSslError();
      return Unusable("certificate " + std::to_string(certificates.size() + 1) +
                      " in " + pem.title() + " cannot be decoded (OpenSSL: " +
                      error.reason + "); copy the file anew from its source");
    }
    certificates.emplace_back(certificate);
  }
  if (certificates.empty()) {
    return Unusable("there is no certificate in " + pem.title() +
                    "; put the certificate there, then its intermediates");
  }
  return certificates;
}

absl::StatusOr<std::vector<X509Handle>> LoadCertificates(
    OSSL_LIB_CTX* library, const CertificateSource& source) {
  absl::StatusOr<PemText> pem = CertificatePem(source);
  if (!pem.ok()) return pem.status();
  return ParseCertificates(library, *pem);
}

absl::StatusOr<Identity> LoadIdentity(OSSL_LIB_CTX* library,
                                      const CertificateSource& source,
                                      bool strict_key_permissions,
                                      std::vector<std::string>* warnings) {
  absl::StatusOr<PemText> cert = CertificatePem(source);
  if (!cert.ok()) return cert.status();
  auto certificates = ParseCertificates(library, *cert);
  if (!certificates.ok()) return certificates.status();
  absl::StatusOr<PemText> key_pem = KeyPem(source, *cert);
  if (!key_pem.ok()) return key_pem.status();
  absl::StatusOr<KeyHandle> key = ParseKey(library, *key_pem);
  if (!key.ok()) return key.status();

  Identity identity;
  identity.leaf = std::move(certificates->front());
  identity.chain.assign(std::make_move_iterator(certificates->begin() + 1),
                        std::make_move_iterator(certificates->end()));
  identity.key = *std::move(key);
  identity.title = cert->title();
  absl::Status pair = CheckPair(identity, *cert, *key_pem);
  if (!pair.ok()) return pair;
  if (!key_pem->permission_problem.empty()) {
    if (strict_key_permissions) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        key_pem->permission_problem);
    }
    warnings->push_back(key_pem->permission_problem);
  }
  std::string date_problem = DateProblem(identity);
  if (!date_problem.empty()) warnings->push_back(std::move(date_problem));
  return identity;
}

std::string DateProblem(const Identity& identity) {
  const X509* leaf = identity.leaf.get();
  const std::string which = "the certificate in " + identity.title;
  if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
    return which + " has expired; renew it";
  }
  if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) {
    return which + " is not valid yet; check the clock of this machine";
  }
  return "";
}

absl::Status UseIdentity(const Identity& identity, SSL_CTX* context) {
  const X509ViewStack chain(sk_X509_new_null());
  TLSPOST_CHECK(chain != nullptr);
  for (const X509Handle& certificate : identity.chain) {
    TLSPOST_CHECK(sk_X509_push(chain.get(), certificate.get()) > 0);
  }
  ClearOpenSslErrors();
  // Without "override" it refuses a second certificate with the same kind of
  // key, which would silently replace the first.
  if (SSL_CTX_use_cert_and_key(context, identity.leaf.get(), identity.key.get(),
                               chain.get(),
                               /*override=*/0) == 1) {
    return absl::OkStatus();
  }
  const OpenSslError error = TakeOpenSslError();
  if (error.ssl_reason == SSL_R_NOT_REPLACING_CERTIFICATE) {
    return Unusable("the key of " + identity.title +
                    " is of the same kind as that of an earlier certificate; "
                    "give one certificate for each kind (ECDSA, RSA, Ed25519)");
  }
  return Unusable("OpenSSL refuses to use " + identity.title + " (" +
                  error.reason +
                  "); use ECDSA with P-256, or RSA with 2048 bits or more");
}

}  // namespace tlspost::tls
