// The throw-away certificate is one that TLS accepts.

#include "common/tls/self_signed.h"

#include <gtest/gtest.h>

#include "tests/unit/tls/engine_pair.h"

namespace tlspost::tls {
namespace {

TEST(SelfSigned, IsAcceptedByAClientThatTrustsIt) {
  const SelfSigned own = GenerateSelfSigned("mx.example.org");
  ServerTlsOptions server;
  server.certificates.push_back({"", "", own.cert_pem, own.key_pem});
  ClientTlsOptions client;
  client.ca_pem = own.cert_pem;
  client.verify = true;
  EnginePair pair(ClientContext(client), ServerContext(server));
  pair.client.engine.SetServerName("mx.example.org");
  EXPECT_TRUE(pair.Connect());
  EXPECT_EQ(pair.client.engine.Describe().peer_certificate,
            PeerCertificate::kVerified);
  EXPECT_EQ(pair.client.engine.Describe().peer_cn, "mx.example.org");
}

TEST(SelfSigned, DoesNotTakeACommaForASecondName) {
  const SelfSigned own = GenerateSelfSigned("a.example,DNS:b.example");
  ServerTlsOptions server;
  server.certificates.push_back({"", "", own.cert_pem, own.key_pem});
  ClientTlsOptions client;
  client.ca_pem = own.cert_pem;
  client.verify = true;
  EnginePair pair(ClientContext(client), ServerContext(server));
  pair.client.engine.SetServerName("b.example");
  EXPECT_FALSE(pair.Connect());
}

}  // namespace
}  // namespace tlspost::tls
