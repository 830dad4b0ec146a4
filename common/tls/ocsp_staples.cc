#include "common/tls/ocsp_staples.h"

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/pem_file.h"

namespace tlspost::tls {
namespace {

using ResponseHandle =
    std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;

// A response names a certificate by its serial number and hashes of its
// issuer's name and key. The key is known only where the issuer is in the
// chain; no authority gives a serial number twice under one name.
bool IsAbout(OCSP_SINGLERESP* single, const X509* leaf) {
  ASN1_OCTET_STRING* issuer_hash = nullptr;
  ASN1_OBJECT* algorithm = nullptr;
  ASN1_INTEGER* serial = nullptr;
  // The type is not const, but nothing is changed.
  auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
  if (OCSP_id_get0_info(&issuer_hash, &algorithm, nullptr, &serial, id) != 1) {
    return false;
  }
  if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0) return false;
  const EVP_MD* digest = EVP_get_digestbyobj(algorithm);
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned size = 0;
  if (digest == nullptr || X509_NAME_digest(X509_get_issuer_name(leaf), digest,
                                            hash.data(), &size) != 1) {
    return false;
  }
  const ASN1_OCTET_STRING* own = issuer_hash;
  return ASN1_STRING_length(own) == static_cast<int>(size) &&
         std::equal(hash.begin(), hash.begin() + size,
                    ASN1_STRING_get0_data(own));
}

}  // namespace

struct OcspStaples::Staple {
  std::string der;
  std::shared_ptr<OCSP_BASICRESP> basic;
  OCSP_SINGLERESP* single = nullptr;  // in `basic`, about one certificate
};

OcspStaples::OcspStaples() = default;
OcspStaples::~OcspStaples() = default;

absl::Status OcspStaples::AddFile(const std::string& path,
                                  const std::vector<X509*>& leaves,
                                  std::vector<std::string>* warnings) {
  absl::StatusOr<PemText> file = ReadPemFile("OCSP response file", path);
  if (!file.ok()) return file.status();
  auto staple = std::make_shared<Staple>();
  staple->der = std::move(file->text);
  const auto* at = reinterpret_cast<const unsigned char*>(staple->der.data());
  const ResponseHandle response(
      d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(staple->der.size())));
  if (response == nullptr) {
    return Invalid(
        file->title() +
        " is not an OCSP response in DER; write one with: openssl ocsp "
        "-respout FILE");
  }
  const int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return Invalid(file->title() + " says that the authority had no answer (" +
                   OCSP_response_status_str(status) + "); ask it again");
  }
  staple->basic.reset(OCSP_response_get1_basic(response.get()),
                      &OCSP_BASICRESP_free);
  if (staple->basic == nullptr) {
    return Invalid(file->title() +
                   " holds a kind of OCSP response that is not known here; ask "
                   "for a basic one (RFC 6960)");
  }
  const size_t before = staples_.size();
  for (int i = 0; i < OCSP_resp_count(staple->basic.get()); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(staple->basic.get(), i);
    for (const X509* leaf : leaves) {
      if (!IsAbout(single, leaf)) continue;
      auto about_leaf = std::make_shared<Staple>(*staple);
      about_leaf->single = single;
      const std::string problem = ProblemOf(*about_leaf);
      if (!problem.empty()) {
        warnings->push_back(file->title() + " " + problem);
      }
      if (!staples_.emplace(leaf, std::move(about_leaf)).second) {
        return Invalid(
            file->title() +
            " is about the same certificate as one before it; remove "
            "one of them");
      }
    }
  }
  if (staples_.size() == before) {
    warnings->push_back(file->title() +
                        " is about none of the certificates, so it is not "
                        "handed out; get one for the certificate in use");
  }
  return absl::OkStatus();
}

// Why it is of no use now; "" if it is.
std::string OcspStaples::ProblemOf(const Staple& staple) {
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* until = nullptr;
  int reason = 0;
  const int status =
      OCSP_single_get0_status(staple.single, &reason, nullptr, &from, &until);
  if (status == V_OCSP_CERTSTATUS_REVOKED) {
    return "says that the certificate is revoked; get a new certificate";
  }
  if (status != V_OCSP_CERTSTATUS_GOOD) {
    return "says that the authority does not know the certificate; ask it "
           "again";
  }
  // Without a time, newer information is there at any time.
  if (until != nullptr && X509_cmp_current_time(until) < 0) {
    return "has expired, so it is not handed out; renew it";
  }
  if (X509_cmp_current_time(from) > 0) {
    return "is not valid yet, so it is not handed out; check the clock of this "
           "machine";
  }
  return "";
}

void OcspStaples::ServeIn(SSL_CTX* context) {
  SSL_CTX_set_tlsext_status_cb(context, &OnStatusRequest);
  SSL_CTX_set_tlsext_status_arg(context, this);
}

int OcspStaples::OnStatusRequest(SSL* ssl, void* staples) {
  const auto& all = static_cast<OcspStaples*>(staples)->staples_;
  const auto found = all.find(SSL_get_certificate(ssl));
  if (found == all.end()) return SSL_TLSEXT_ERR_NOACK;
  const Staple& staple = *found->second;
  if (!ProblemOf(staple).empty()) return SSL_TLSEXT_ERR_NOACK;
  void* copy = OPENSSL_memdup(staple.der.data(), staple.der.size());
  TLSPOST_CHECK(copy != nullptr);
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, staple.der.size());
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace tlspost::tls
