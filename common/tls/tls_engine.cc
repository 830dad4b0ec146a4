#include "common/tls/tls_engine.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <limits>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate_describe.h"
#include "common/tls/openssl_error.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/tls_describe.h"
#include "common/tls/tls_trace.h"
#include "common/tls/tls_wire.h"

namespace tlspost::tls {

struct TlsEngine::State {
  TlsWire wire;
  SslHandle ssl;  // goes before the wire, which its BIO points to
  bool shutdown_sent = false;
  // What Read says from now on: kClosed, kTruncated or kFailed. kDone: it is
  // still open. Kept because OpenSSL tells the cause of an error only once.
  Step end = Step::kDone;
  // On the heap, since nearly no connection has it.
  struct Failure {
    TlsFailure failure = TlsFailure::kNone;
    absl::Status error;
    std::string library_error;
  };
  std::unique_ptr<Failure> failure;
};

TlsEngine::TlsEngine(std::shared_ptr<TlsContext> context)
    : context_(std::move(context)) {
  TLSPOST_REQUIRE(context_ != nullptr);
}

TlsEngine::~TlsEngine() = default;

TlsEngine::State& TlsEngine::Begin() {
  if (state_ != nullptr) return *state_;
  state_ = std::make_unique<State>();
  TlsWire& wire = state_->wire;
  wire.input = &input_;
  wire.read_budget =
      context_->is_server() ? kMaxClientHelloOctets : kMaxHandshakeOctets;
  wire.minimum_version = static_cast<uint16_t>(context_->min_version());
  wire.policy_candidates = policy_candidates_;
  ClearOpenSslErrors();
  state_->ssl.reset(SSL_new(context_->ssl_context()));
  SSL* ssl = state_->ssl.get();
  TLSPOST_CHECK(ssl != nullptr);
  BIO* bio = NewWireBio(context_->library(), &wire).release();
  SSL_set_bio(ssl, bio, bio);  // takes it over, both ways
  if (context_->is_server()) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
  }
  return *state_;
}

void TlsEngine::SetPolicyCandidates(uint32_t mask) {
  TLSPOST_REQUIRE(context_->is_server() && state_ == nullptr);
  policy_candidates_ = mask;
}

int TlsEngine::applied_policy() const {
  TLSPOST_REQUIRE(established());
  return state_->wire.applied_policy;
}

void TlsEngine::SetTrace(std::unique_ptr<TlsTrace> trace) {
  if (trace == nullptr && state_ == nullptr) return;
  State& state = Begin();
  TraceStates(state.ssl.get(), trace != nullptr);
  state.wire.trace = std::move(trace);
}

void TlsEngine::SetServerName(const std::string& name) {
  TLSPOST_REQUIRE(!context_->is_server() && !established());
  TLSPOST_REQUIRE(!name.empty() && name.size() <= kMaxServerName);
  SSL* ssl = Begin().ssl.get();
  // RFC 6066 section 3: no address, and no trailing dot, in SNI.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1) {
    return;
  }
  ClearOpenSslErrors();
  std::string sent = name;
  if (sent.size() > 1 && sent.back() == '.') sent.pop_back();
  TLSPOST_CHECK(SSL_set_tlsext_host_name(ssl, sent.c_str()) == 1);
  TLSPOST_CHECK(SSL_set1_host(ssl, sent.c_str()) == 1);
}

void TlsEngine::SetSession(const TlsSession& session) {
  TLSPOST_REQUIRE(!context_->is_server() && !established());
  // A copy, for the reason that TakeSession has: the session is for more
  // connections than this one.
  SSL_SESSION* copy = SSL_SESSION_dup(session.get());
  TLSPOST_CHECK(copy != nullptr);
  TLSPOST_CHECK(SSL_set_session(Begin().ssl.get(), copy) == 1);
  SSL_SESSION_free(copy);
}

void TlsEngine::SetInput(std::string_view ciphertext) {
  const bool over = state_ != nullptr && state_->end != Step::kDone;
  TLSPOST_REQUIRE(input_.empty() || over);
  TLSPOST_REQUIRE(!eof_ || ciphertext.empty());
  input_ = ciphertext;
}

void TlsEngine::MoveInput(std::string_view copy) {
  TLSPOST_REQUIRE(copy.size() == input_.size());
  input_ = copy;
}

TlsEngine::Step TlsEngine::Handshake() {
  if (state_ == nullptr && context_->is_server() && input_.empty() && !eof_) {
    return Step::kWantRead;
  }
  State& state = Begin();
  if (state.end == Step::kFailed) return state.end;
  if (state.wire.handshake_done) return Step::kDone;
  ClearOpenSslErrors();
  const int result = SSL_do_handshake(state.ssl.get());
  if (result != 1) return AfterCall(result);
  state.wire.handshake_done = true;
  state.wire.control_credit =
      static_cast<int64_t>(kMaxControlMessages * kOctetsPerControlMessage);
  if (context_->is_server()) {
    // The stapled response was a copy, and nobody needs it any more.
    SSL_set_tlsext_status_ocsp_resp(state.ssl.get(), nullptr, 0);
  }
  return Step::kDone;
}

bool TlsEngine::NothingToRead() const {
  // Spares the call that would take a buffer only to give it back. An answer
  // to a KeyUpdate that did not fit into the output still needs the call.
  const SSL* ssl = state_->ssl.get();
  return input_.empty() && SSL_has_pending(ssl) == 0 && !SSL_want_write(ssl);
}

TlsEngine::Step TlsEngine::Read(char* out, size_t capacity, size_t* got) {
  TLSPOST_REQUIRE(established() && capacity > 0);
  *got = 0;
  State& state = *state_;
  while (state.end == Step::kDone && *got < capacity) {
    if (NothingToRead() && (*got > 0 || !eof_)) break;
    ClearOpenSslErrors();
    size_t part = 0;
    const int result =
        SSL_read_ex(state.ssl.get(), out + *got, capacity - *got, &part);
    if (result != 1) {
      const Step step = AfterCall(result);
      if (step != Step::kWantWrite || *got > 0) break;
      return step;
    }
    *got += part;
    state.wire.control_credit += static_cast<int64_t>(part);
  }
  // What came before the end is given out first.
  if (*got > 0) return Step::kDone;
  return state.end == Step::kDone ? Step::kWantRead : state.end;
}

TlsEngine::Step TlsEngine::Write(std::string_view plaintext, size_t* taken) {
  TLSPOST_REQUIRE(established());
  State& state = *state_;
  if (state.end == Step::kFailed) return Step::kFailed;
  if (state.shutdown_sent) return Step::kClosed;
  while (!plaintext.empty()) {
    // Asked before libssl begins a record: one that it has begun must be
    // offered again unchanged, which the caller need not know of.
    if (state.wire.output.size() >= kMaxPendingOutput) return Step::kWantWrite;
    ClearOpenSslErrors();
    size_t part = 0;
    const int result = SSL_write_ex(state.ssl.get(), plaintext.data(),
                                    plaintext.size(), &part);
    if (result != 1) return AfterCall(result);
    plaintext.remove_prefix(part);
    *taken += part;
  }
  return Step::kDone;
}

void TlsEngine::Shutdown() {
  if (!established() || state_->end == Step::kFailed) return;
  if (std::exchange(state_->shutdown_sent, true)) return;
  ClearOpenSslErrors();
  SSL_shutdown(state_->ssl.get());
  ClearOpenSslErrors();
}

// What `result` of a call into libssl means.
TlsEngine::Step TlsEngine::AfterCall(int result) {
  State& state = *state_;
  const bool established = state.wire.handshake_done;
  switch (SSL_get_error(state.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      if (!eof_) return Step::kWantRead;
      if (!established) return FailAs(TlsFailure::kLostConnection);
      return state.end = Step::kTruncated;
    case SSL_ERROR_WANT_WRITE:
      return Step::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      if (!established) return FailAs(TlsFailure::kLostConnection);
      return state.end = Step::kClosed;
    default:
      return FailAs(std::nullopt);
  }
}

// Notes the failure, of class `known` or of the class that OpenSSL's error
// shows. The thread's error queue is empty afterwards.
TlsEngine::Step TlsEngine::FailAs(std::optional<TlsFailure> known) {
  State& state = *state_;
  OpenSslError error = TakeOpenSslError();
  TlsFailureFacts facts;
  facts.server = context_->is_server();
  facts.established = state.wire.handshake_done;
  facts.over_limit = state.wire.over_limit;
  facts.saw_input = state.wire.saw_input;
  facts.first_octet = state.wire.first_octet;
  facts.ssl_reason = error.ssl_reason;
  facts.reason = std::move(error.reason);
  facts.offered_version = state.wire.offered_version;
  facts.minimum_version = state.wire.minimum_version;
  const TlsFailure failure = known.has_value() ? *known : Classify(facts);
  if (failure == TlsFailure::kNothingShared) {
    facts.offered = DescribeOffer(state.ssl.get());
  }
  facts.verify_error =
      X509_verify_cert_error_string(SSL_get_verify_result(state.ssl.get()));
  state.failure = std::make_unique<State::Failure>();
  state.failure->failure = failure;
  state.failure->error = MakeStatus(failure == TlsFailure::kLostConnection
                                        ? absl::StatusCode::kUnavailable
                                        : absl::StatusCode::kInvalidArgument,
                                    Explain(failure, facts));
  state.failure->library_error = std::move(error.text);
  input_ = {};
  return state.end = Step::kFailed;
}

bool TlsEngine::has_output() const {
  return state_ != nullptr && !state_->wire.output.empty();
}

std::string TlsEngine::TakeOutput() {
  if (state_ == nullptr) return std::string();
  return std::exchange(state_->wire.output, std::string());
}

bool TlsEngine::established() const {
  return state_ != nullptr && state_->wire.handshake_done;
}

TlsDescription TlsEngine::Describe() const {
  TLSPOST_REQUIRE(established());
  ClearOpenSslErrors();
  TlsDescription description = DescribeConnection(state_->ssl.get());
  ClearOpenSslErrors();
  return description;
}

uint16_t TlsEngine::version() const {
  TLSPOST_REQUIRE(established());
  return static_cast<uint16_t>(SSL_version(state_->ssl.get()));
}

int TlsEngine::alert_received() const {
  return state_ == nullptr ? -1 : state_->wire.alert_received;
}

int TlsEngine::alert_sent() const {
  return state_ == nullptr ? -1 : state_->wire.alert_sent;
}

std::optional<CertificateFacts> TlsEngine::ServedCertificate() const {
  if (!established() || SSL_session_reused(state_->ssl.get()) == 1) {
    return std::nullopt;
  }
  X509* const served = SSL_get_certificate(state_->ssl.get());
  if (served == nullptr) return std::nullopt;
  return DescribeCertificate(served);
}

void TlsEngine::ReleaseBuffersWhileIdle(bool release) {
  TLSPOST_REQUIRE(state_ != nullptr);
  if (release) {
    SSL_set_mode(state_->ssl.get(), SSL_MODE_RELEASE_BUFFERS);
  } else {
    SSL_clear_mode(state_->ssl.get(), SSL_MODE_RELEASE_BUFFERS);
  }
}

absl::Status TlsEngine::error() const {
  return has_failed() ? state_->failure->error : absl::OkStatus();
}

TlsFailure TlsEngine::failure() const {
  return has_failed() ? state_->failure->failure : TlsFailure::kNone;
}

std::string_view TlsEngine::library_error() const {
  if (!has_failed()) return std::string_view();
  return state_->failure->library_error;
}

bool TlsEngine::has_failed() const {
  return state_ != nullptr && state_->failure != nullptr;
}

std::unique_ptr<TlsSession> TlsEngine::TakeSession() {
  TLSPOST_REQUIRE(!context_->is_server() && established());
  const SSL_SESSION* session = SSL_get_session(state_->ssl.get());
  if (session == nullptr || SSL_SESSION_is_resumable(session) != 1) {
    return nullptr;
  }
  // A copy: libssl marks the original as not to be resumed when its connection
  // ends without a shutdown (a rule that RFC 4346 section 7.2.1 gave up).
  SSL_SESSION* copy = SSL_SESSION_dup(session);
  TLSPOST_CHECK(copy != nullptr);
  return std::make_unique<TlsSession>(context_, copy);
}

}  // namespace tlspost::tls
