// Octets that claim to be TLS, to both roles of the engine.

#include <openssl/err.h>

#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/self_signed.h"
#include "common/tls/tls_engine.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

using Step = tls::TlsEngine::Step;

std::shared_ptr<tls::TlsContext> ServerContext() {
  static const auto context = [] {
    const tls::SelfSigned made = tls::GenerateSelfSigned("mx.example");
    tls::CertificateSource source;
    source.cert_pem = made.cert_pem;
    source.key_pem = made.key_pem;
    tls::ServerTlsOptions options;
    options.certificates = {source};
    options.policies.resize(1);
    options.policies[0].server_names = {".example"};
    options.named_certificates.push_back({"other.example", {source}});
    auto created = tls::TlsContext::CreateServer(options);
    TLSPOST_CHECK(created.ok());
    return *std::move(created);
  }();
  return context;
}

std::shared_ptr<tls::TlsContext> ClientContext() {
  static const auto context = [] {
    auto created = tls::TlsContext::CreateClient(tls::ClientTlsOptions());
    TLSPOST_CHECK(created.ok());
    return *std::move(created);
  }();
  return context;
}

}  // namespace

void Tls(std::string_view octets) {
  FuzzInput input(octets);
  const uint8_t how = input.Octet();
  const bool server = how % 2 == 0;
  const size_t cut = how / 2 == 0 ? octets.size() : how / 2;
  tls::TlsEngine engine(server ? ServerContext() : ClientContext());
  if (server) engine.SetPolicyCandidates(1);
  size_t written = 0;
  Step step = Step::kWantRead;
  if (!server) {
    step = engine.Handshake();  // its ClientHello
    written += engine.TakeOutput().size();
  }
  while (step == Step::kWantRead && !input.empty()) {
    const std::string piece(input.Take(cut));
    engine.SetInput(piece);
    step = engine.Handshake();
    Expect(step == Step::kWantRead || step == Step::kFailed,
           "nobody is let in without a key");
    written += engine.TakeOutput().size();
    engine.SetInput("");
    Expect(ERR_peek_error() == 0, "no error is left for the next session");
  }
  Expect(written <= tls::TlsEngine::kMaxPendingOutput, "answers are bounded");
  Expect(!engine.established(), "nobody is let in");
  Expect(engine.error().ok() == (step != Step::kFailed), "a failure has words");
  Expect(
      MessageOf(engine.error()).find_first_of("\r\n") == std::string_view::npos,
      "a failure is one line");
}

}  // namespace tlspost::fuzz
