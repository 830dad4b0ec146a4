// Arrival: a client between its connect and its session.
//
// Finds out for whom the connection is (PROXY protocol), so that everything
// behind it sees the client and not the load balancer; what the client is
// called; and whether it awaits its greeting. It says nothing to the client,
// and its frame is gone when the session begins.

#ifndef TLSPOST_PROXY_ARRIVAL_H_
#define TLSPOST_PROXY_ARRIVAL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/stream.h"
#include "common/smtp/proxy_protocol.h"
#include "proxy/client_limits.h"
#include "proxy/front_terms.h"
#include "proxy/session_services.h"

namespace tlspost {

class Arrival : public ListNode<Arrival> {
 public:
  enum class Outcome : uint8_t {
    kServe,
    kRefuse,  // it did not await its greeting; the log says so
    kGone,    // there is nobody; the log says why
  };

  // `terms` are of the services' generation.
  Arrival(std::shared_ptr<SessionServices> services, const FrontTerms& terms,
          std::unique_ptr<io::Stream> stream, bool implicit_tls);

  // Whether there is anything to wait for; if not, Run is not needed.
  bool needed() const {
    return expects_header_ || delays_greeting() || looks_up_name();
  }

  Task<Outcome> Run();
  // Ends a Run under way: nobody is left.
  void Abort() {
    if (stream_ != nullptr) stream_->Close();
  }

  // Behind Run: the client's connection, with what it has sent already.
  std::unique_ptr<io::Stream> TakeStream() { return std::move(stream_); }
  const io::Stream& stream() const { return *stream_; }
  SessionServices& services() { return services_; }
  std::shared_ptr<SessionServices> TakeServices() { return std::move(owned_); }
  bool implicit_tls() const { return implicit_tls_; }
  bool expects_header() const { return expects_header_; }
  // Its place among ClientLimits, until the session takes it over.
  void set_visit(ClientLimits::Visit visit) { visit_ = std::move(visit); }
  ClientLimits::Visit TakeVisit() { return std::move(visit_); }
  // A load balancer that only looks whether we are there (LOCAL).
  bool is_health_check() const { return is_health_check_; }

 private:
  bool delays_greeting() const;
  Task<absl::Status> ReadProxyHeader();
  bool looks_up_name() const;
  Task<absl::Status> AwaitSilence();
  Task<void> LearnName(io::Time deadline);
  void PutBackCopy(std::string_view bytes);
  size_t EarlyOctets();
  void NoteEarlyTalker(size_t octets);
  void NoteBadHeader(const absl::Status& why);
  absl::Status Believe(const smtp::ProxyHeader& header);
  absl::Status TellEnds(const smtp::ProxyHeader& header);

  std::shared_ptr<SessionServices> owned_;
  SessionServices& services_;
  const FrontTerms& terms_;
  std::unique_ptr<io::Stream> stream_;
  ClientLimits::Visit visit_;
  const bool implicit_tls_;
  const bool expects_header_;
  bool is_health_check_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ARRIVAL_H_
