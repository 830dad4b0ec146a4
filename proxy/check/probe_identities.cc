#include "proxy/check/probe_identities.h"

#include "common/smtp/proxy_header.h"

namespace tlspost {

std::string ProbeProxyHeader() {
  smtp::ProxyEndpoint client;
  client.address = std::string("\xc0\x00\x02\x01", 4);  // kFirstClient
  client.port = ProbeClient().port;
  smtp::ProxyEndpoint server;
  server.address = std::string("\x7f\x00\x00\x01", 4);
  server.port = 25;
  return smtp::EncodeProxyHeader(client, server, /*tls=*/nullptr);
}

}  // namespace tlspost
