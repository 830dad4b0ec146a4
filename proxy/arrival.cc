// The PROXY header and what it changes; the name; early talkers.

#include "proxy/arrival.h"

#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/command.h"
#include "common/smtp/line_buffer.h"
#include "proxy/settings_table.h"

namespace tlspost {

using State = smtp::ProxyDecoding::State;

namespace {

absl::Status MalformedHeader(std::string_view fault) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    absl::StrFormat("a malformed header (%s)", fault));
}

// As much of what came before the greeting is looked at: a whole line.
constexpr size_t kMostLookedAt = smtp::kDefaultLineLengthLimit;

// What came before the greeting, where that is not forbidden altogether: one
// EHLO or HELO, whole or not yet. What is no SMTP is answered, or understood
// (TLS), later. `start` is that of `octets` octets.
bool MaySpeakFirst(std::string_view start, size_t octets) {
  const size_t end = start.find('\n');
  std::string_view line = start.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const smtp::Verb verb = smtp::ParseCommand(line).verb;
  if (verb == smtp::Verb::kEhlo || verb == smtp::Verb::kHelo) {
    return octets == (end == std::string_view::npos ? start.size() : end + 1);
  }
  return verb != smtp::Verb::kEmpty && !smtp::InfoOf(verb).implemented;
}

}  // namespace

Arrival::Arrival(std::shared_ptr<SessionServices> services,
                 const FrontTerms& terms, std::unique_ptr<io::Stream> stream,
                 bool implicit_tls)
    : owned_(std::move(services)),
      services_(*owned_),
      terms_(terms),
      stream_(std::move(stream)),
      implicit_tls_(implicit_tls),
      expects_header_(
          io::AnyContains(terms.believed_proxies, stream_->peer())) {}

Task<Arrival::Outcome> Arrival::Run() {
  absl::Status here = absl::OkStatus();
  if (expects_header_) here = co_await ReadProxyHeader();
  if (!here.ok()) {
    NoteBadHeader(here);
    co_return Outcome::kGone;
  }
  const io::Time name_deadline =
      services_.loop.Now() + services_.settings.client_name_timeout;
  if (looks_up_name()) services_.names->Begin(stream_->peer());
  if (delays_greeting()) here = co_await AwaitSilence();
  if (looks_up_name()) co_await LearnName(name_deadline);
  // Whoever has left meanwhile is for the session to find out.
  if (stream_->closed()) co_return Outcome::kGone;
  const size_t early = EarlyOctets();
  if (early == 0) co_return Outcome::kServe;
  NoteEarlyTalker(early);
  co_return Outcome::kRefuse;
}

void Arrival::NoteBadHeader(const absl::Status& why) {
  if (absl::IsCancelled(why)) return;  // the service shuts down
  ++services_.counters.proxy_headers_refused;
  services_.log.Warning(absl::StrFormat("PROXY protocol: %s from %s, closed",
                                        MessageOf(why), LogName(*stream_)));
}

// --- the PROXY header -----------------------------------------------------

// Reads until there is a header, and puts back what stands behind it.
Task<absl::Status> Arrival::ReadProxyHeader() {
  const Settings::Duration limit = services_.settings.upstream_proxy_timeout;
  const io::Time deadline = services_.loop.Now() + limit;
  std::string bytes;  // at most the longest header and one chunk
  while (true) {
    auto received = co_await stream_->Read(deadline);
    if (absl::IsDeadlineExceeded(received.status())) {
      co_return MakeStatus(
          absl::StatusCode::kDeadlineExceeded,
          absl::StrFormat("no header within %s", FormatDuration(limit)));
    }
    if (!received.ok()) co_return received.status();
    if (received->empty()) {
      co_return absl::UnavailableError("end of input instead of a header");
    }
    const size_t before = bytes.size();
    bytes += received->view();
    const smtp::ProxyDecoding decoding = smtp::DecodeProxyHeader(bytes);
    if (decoding.state == State::kNeedMore) continue;
    if (decoding.state == State::kNoHeader) {
      co_return absl::InvalidArgumentError("something else than a header");
    }
    if (decoding.state == State::kMalformed) {
      co_return MalformedHeader(decoding.fault);
    }
    received->Consume(decoding.octets - before);
    PutBackCopy(received->view());
    co_return Believe(decoding.header);
  }
}

// A copy: the loop's receive buffers are few, and the wait may be long.
void Arrival::PutBackCopy(std::string_view bytes) {
  if (bytes.empty()) return;
  stream_->PutBack(services_.loop.blocks().Copy(bytes));
}

absl::Status Arrival::Believe(const smtp::ProxyHeader& header) {
  if (header.has_addresses()) {
    const absl::Status told = TellEnds(header);
    if (!told.ok()) return told;
  }
  is_health_check_ = header.local;
  ++services_.counters.proxy_headers;
  return absl::OkStatus();
}

absl::Status Arrival::TellEnds(const smtp::ProxyHeader& header) {
  auto client = io::Endpoint::FromIp(header.source_address, header.source_port);
  if (!client.ok()) return MalformedHeader("bad address");
  auto server =
      io::Endpoint::FromIp(header.destination_address, header.destination_port);
  if (!server.ok()) return MalformedHeader("bad address");
  stream_->SetEnds(*std::move(client), *std::move(server));
  return absl::OkStatus();
}

// --- the name -------------------------------------------------------------

bool Arrival::looks_up_name() const {
  return services_.names != nullptr && services_.settings.peername_lookup &&
         !is_health_check_ && !stream_->peer().is_unix();
}

Task<void> Arrival::LearnName(io::Time deadline) {
  // What comes meanwhile is seen as early.
  if (!implicit_tls_) stream_->Watch();
  ClientNames::Name name =
      co_await services_.names->Lookup(stream_->peer(), deadline);
  Counters& counters = services_.counters;
  if (!name->name.empty()) ++counters.client_names_found;
  if (name->name_found == io::NameFound::kLater) ++counters.client_names_late;
  stream_->SetPeerName(std::move(name));
}

// --- early talkers --------------------------------------------------------

bool Arrival::delays_greeting() const {
  return services_.settings.greet_wait > Settings::Duration(0) &&
         !implicit_tls_ && !is_health_check_ &&
         !io::AnyContains(terms_.unlimited_clients, stream_->peer());
}

// Until greet_wait has passed, or the client has done something.
Task<absl::Status> Arrival::AwaitSilence() {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.greet_wait;
  auto received = co_await stream_->Read(deadline);
  if (!received.ok()) co_return received.status();
  if (received->empty()) {
    stream_->PutBack(*std::move(received));  // the end
  } else {
    PutBackCopy(received->view());
  }
  co_return absl::OkStatus();
}

// How much the client has said that it must not have said yet. All that is here
// counts, in however many segments it came; a stream holds no more than its
// high water. Where nothing was waited for, the greeting goes out at once, and
// nobody can have been earlier.
size_t Arrival::EarlyOctets() {
  if (implicit_tls_) return 0;
  std::vector<io::Chunk> chunks;
  std::string start;
  size_t octets = 0;
  for (io::Chunk chunk = stream_->TakeReceived(); !chunk.empty();
       chunk = stream_->TakeReceived()) {
    octets += chunk.size();
    start += chunk.view().substr(0, kMostLookedAt - start.size());
    chunks.push_back(std::move(chunk));
  }
  while (!chunks.empty()) {
    stream_->PutBack(std::move(chunks.back()));
    chunks.pop_back();
  }
  const bool may_speak =
      octets == 0 || (!delays_greeting() && MaySpeakFirst(start, octets));
  return may_speak ? 0 : octets;
}

void Arrival::NoteEarlyTalker(size_t octets) {
  ++services_.counters.early_talkers;
  ++services_.counters.limits_hit[Limit::kGreetWait];
  services_.log.Info(
      absl::StrFormat("%d octets before the greeting from %s, refused", octets,
                      LogName(*stream_)));
}

}  // namespace tlspost
