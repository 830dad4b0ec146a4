// Which tables may apply to which client.

#include "proxy/client_policies.h"

#include <gtest/gtest.h>

#include <string_view>

#include "proxy/settings.h"

namespace tlspost {
namespace {

io::Endpoint PeerAt(std::string_view address) {
  return *io::Endpoint::FromIp(address, 40000);
}

Settings ThreeTables() {
  Settings settings;
  TlsPolicyRule printers;
  printers.clients = {"192.168.7.0/24"};
  printers.terms.tls_security_level = TlsSecurityLevel::kNone;
  TlsPolicyRule by_name;
  by_name.sni = {"old.example.org"};
  by_name.terms.tls_security_level = TlsSecurityLevel::kMay;
  by_name.terms.tls_req_ccert = true;
  TlsPolicyRule partners;
  partners.clients = {"192.168.0.0/16", "2001:db8::/32"};
  partners.terms.tls_security_level = TlsSecurityLevel::kEncrypt;
  settings.tls_policy = {printers, by_name, partners};
  return settings;
}

TEST(ClientPolicies, CandidatesAreTheTablesWithTheClientsNetwork) {
  const Settings settings = ThreeTables();
  const ClientPolicies policies(settings);
  EXPECT_EQ(policies.CandidatesFor(PeerAt("192.168.7.9")), 0b111u);
  EXPECT_EQ(policies.CandidatesFor(PeerAt("192.168.8.9")), 0b110u);
  EXPECT_EQ(policies.CandidatesFor(PeerAt("2001:db8::1")), 0b110u);
  EXPECT_EQ(policies.CandidatesFor(PeerAt("198.51.100.1")), 0b010u);
}

TEST(ClientPolicies, TheLevelIsOfTheFirstTableForAllNames) {
  const Settings settings = ThreeTables();
  const ClientPolicies policies(settings);
  EXPECT_EQ(policies.LevelFor(PeerAt("192.168.7.9")), TlsSecurityLevel::kNone);
  EXPECT_EQ(policies.LevelFor(PeerAt("192.168.8.9")),
            TlsSecurityLevel::kEncrypt);
  EXPECT_EQ(policies.LevelFor(PeerAt("198.51.100.1")), TlsSecurityLevel::kMay);
}

TEST(ClientPolicies, TheCertificateIsRequiredByTheTableThatApplied) {
  const Settings settings = ThreeTables();
  const ClientPolicies policies(settings);
  EXPECT_FALSE(policies.RequiresCertificate(-1));
  EXPECT_TRUE(policies.RequiresCertificate(1));
  EXPECT_FALSE(policies.RequiresCertificate(2));
}

TEST(ClientPolicies, WithoutTablesNothingApplies) {
  const Settings settings;
  const ClientPolicies policies(settings);
  EXPECT_EQ(policies.CandidatesFor(PeerAt("192.0.2.1")), 0u);
  EXPECT_EQ(policies.LevelFor(PeerAt("192.0.2.1")), TlsSecurityLevel::kMay);
}

}  // namespace
}  // namespace tlspost
