#include "common/tls/tls_describe.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <vector>

#include "common/base/spare_string.h"
#include "common/tls/openssl_handles.h"

namespace tlspost::tls {
namespace {

// A client may list hundreds; a log line holds a few.
constexpr int kMaxNamesShown = 12;

std::string GroupOf(const EVP_PKEY* key) {
  char name[64];
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name, sizeof(name), &size) != 1) return "";
  return std::string(name, size);
}

std::string NameOfNid(int nid) {
  const char* name = nid == NID_undef ? nullptr : OBJ_nid2sn(nid);
  return name == nullptr ? "" : name;
}

void FillKeyExchange(SSL* ssl, TlsDescription& out) {
  EVP_PKEY* raw = nullptr;
  int kind = NID_undef;
  KeyHandle key;
  if (SSL_get_peer_tmp_key(ssl, &raw) == 1) {
    key.reset(raw);
    kind = EVP_PKEY_get_base_id(raw);
  }
  if (kind == EVP_PKEY_EC) {
    out.key_exchange = "ECDHE";
    out.key_exchange_group = GroupOf(key.get());
  } else if (kind == EVP_PKEY_DH) {
    out.key_exchange = "DHE";
    out.key_exchange_bits = EVP_PKEY_get_bits(key.get());
  } else if (kind == EVP_PKEY_X25519 || kind == EVP_PKEY_X448) {
    out.key_exchange = NameOfNid(kind);
  } else {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
    // A hybrid such as X25519MLKEM768 has no key type of its own, and the
    // client's side of it no peer key: the group's name is all there is.
    const char* group = SSL_get0_group_name(ssl);
    if (group != nullptr) out.key_exchange = group;
#endif
  }
}

TlsSignature SignatureOf(const X509* certificate, bool digest_known,
                         int digest) {
  TlsSignature out;
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return out;
  const int kind = EVP_PKEY_get_base_id(key);
  if (kind == EVP_PKEY_RSA) {
    // RFC 8446 section 4.2.3: RSA keys sign the handshake with PSS only.
    out.algorithm = "RSA-PSS";
    out.bits = EVP_PKEY_get_bits(key);
  } else if (kind == EVP_PKEY_EC) {
    out.algorithm = "ECDSA";
    out.curve = GroupOf(key);
  } else {
    out.algorithm = NameOfNid(kind);
  }
  // Ed25519 has no digest of its own: the number is then NID_undef.
  if (digest_known) out.digest = NameOfNid(digest);
  return out;
}

// Nothing is signed when a session is resumed; and before TLS 1.3 Postfix
// leaves these fields out.
void FillSignatures(SSL* ssl, TlsDescription& out) {
  const bool server = SSL_is_server(ssl) == 1;
  TlsSignature& ours = server ? out.server_signature : out.client_signature;
  TlsSignature& theirs = server ? out.client_signature : out.server_signature;
  int digest = NID_undef;
  const bool signed_by_us = SSL_get_signature_nid(ssl, &digest) == 1;
  const X509* own = SSL_get_certificate(ssl);
  if (own != nullptr && signed_by_us) ours = SignatureOf(own, true, digest);
  const X509* peer = SSL_get0_peer_certificate(ssl);
  if (peer != nullptr) {
    const bool known = SSL_get_peer_signature_nid(ssl, &digest) == 1;
    theirs = SignatureOf(peer, known, digest);
  }
}

std::string CommonName(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return "";
  const ASN1_STRING* value =
      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return "";
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

// A session is resumed without a look at the certificate's dates.
bool IsInDate(const X509* certificate) {
  return X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0 &&
         X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0;
}

bool ChainIsTrusted(const SSL* ssl) {
  switch (SSL_get_verify_result(ssl)) {
    case X509_V_OK:
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return true;
    default:
      return false;
  }
}

// Looked at anew, because a session is resumed without a look at the name.
bool HasExpectedName(SSL* ssl, X509* peer) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
  const char* host = X509_VERIFY_PARAM_get0_host(expected, 0);
  if (host != nullptr) return X509_check_host(peer, host, 0, 0, nullptr) == 1;
  char* address = X509_VERIFY_PARAM_get1_ip_asc(expected);
  if (address == nullptr) return false;
  const bool found = X509_check_ip_asc(peer, address, 0) == 1;
  OPENSSL_free(address);
  return found;
}

void FillPeerCertificate(SSL* ssl, TlsDescription& out) {
  const bool server = SSL_is_server(ssl) == 1;
  const bool asked =
      !server || (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
  X509* peer = SSL_get0_peer_certificate(ssl);
  if (peer == nullptr) {
    out.peer_certificate =
        asked ? PeerCertificate::kNotPresented : PeerCertificate::kNotRequested;
    return;
  }
  out.peer_cn = CommonName(X509_get_subject_name(peer));
  out.peer_issuer_cn = CommonName(X509_get_issuer_name(peer));
  if (!ChainIsTrusted(ssl) || !IsInDate(peer)) {
    out.peer_certificate = PeerCertificate::kUntrusted;
  } else if (!server && HasExpectedName(ssl, peer)) {
    out.peer_certificate = PeerCertificate::kVerified;
  } else {
    out.peer_certificate = PeerCertificate::kTrusted;
  }
}

}  // namespace

TlsDescription DescribeConnection(SSL* ssl) {
  TlsDescription out;
  out.protocol = SSL_get_version(ssl);
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  if (cipher != nullptr) {
    out.cipher = SpareCopy(SSL_CIPHER_get_name(cipher));
    const char* iana = SSL_CIPHER_standard_name(cipher);
    if (iana != nullptr) out.iana_cipher = SpareCopy(iana);
    out.used_bits = SSL_CIPHER_get_bits(cipher, &out.algorithm_bits);
  }
  out.reused = SSL_session_reused(ssl) == 1;
  const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (sni != nullptr) out.sni = sni;
  FillPeerCertificate(ssl, out);
  if (SSL_version(ssl) >= TLS1_3_VERSION) {
    FillKeyExchange(ssl, out);
    if (!out.reused) FillSignatures(ssl, out);
  }
  return out;
}

std::string DescribeOffer(SSL* ssl) {
  if (SSL_is_server(ssl) != 1) return "";
  std::string text;
  const STACK_OF(SSL_CIPHER)* ciphers = SSL_get_client_ciphers(ssl);
  const int count = ciphers == nullptr ? 0 : sk_SSL_CIPHER_num(ciphers);
  for (int i = 0; i < count && i < kMaxNamesShown; ++i) {
    text += i == 0 ? "ciphers " : ":";
    text += SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));
  }
  if (count > kMaxNamesShown) text += ":...";
  // NULL asks for the number of groups alone.
  const int group_count = static_cast<int>(SSL_get1_groups(ssl, nullptr));
  if (group_count <= 0) return text;
  std::vector<int> groups(static_cast<size_t>(group_count));
  SSL_get1_groups(ssl, groups.data());
  text += text.empty() ? "groups " : " and groups ";
  for (int i = 0; i < group_count && i < kMaxNamesShown; ++i) {
    if (i > 0) text += ":";
    const char* name = SSL_group_to_name(ssl, groups[static_cast<size_t>(i)]);
    text += name == nullptr ? "unknown" : name;
  }
  return text;
}

}  // namespace tlspost::tls
