// cpp-httplib without its sockets: it reads a request from memory and writes
// the reply there. No other file includes it.
//
// Its own server bounds each read but not a whole request, and before 0.18 not
// the number of its lines; so the way in and out is ours.

#include "proxy/admin_http.h"

#include <httplib.h>

#include <algorithm>
#include <exception>
#include <map>
#include <utility>

namespace tlspost {
namespace {

using SetupRequest = std::function<void(httplib::Request&)>;

// What the library cannot make an answer of.
constexpr std::string_view kBadRequest =
    "HTTP/1.1 400 Bad Request\r\n"
    "Connection: close\r\n"
    "Content-Length: 0\r\n\r\n";

// Nothing from anywhere else, nothing inline, and in nobody's frame.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

// One request to be read, and what is written in reply.
//
// What a Stream must have differs between the library's versions (0.11 and 0.18
// have is_writable(), 0.41 has wait_writable(), all are pure there): so none
// says that it overrides. NOLINTBEGIN(modernize-use-override)
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view request) : request_(request) {}

  const std::string& written() const { return written_; }

  bool is_readable() const { return !request_.empty(); }
  bool is_writable() const { return true; }
  bool wait_readable() const { return is_readable(); }
  bool wait_writable() const { return true; }
  time_t duration() const { return 0; }
  ssize_t read(char* to, size_t size) {
    const size_t count = std::min(size, request_.size());
    request_.copy(to, count);
    request_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  using Stream::write;
  ssize_t write(const char* from, size_t size) {
    written_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const {}
  socket_t socket() const { return INVALID_SOCKET; }

 private:
  std::string_view request_;
  std::string written_;
};
// NOLINTEND(modernize-use-override)

}  // namespace

class AdminHttp::Impl final : private httplib::Server {
 public:
  Impl() {
    set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          Route(request, response);
          return HandlerResponse::Handled;
        });
  }

  void AddPage(const std::string& path, MakePage make) {
    pages_[path] = std::move(make);
  }

  std::string Answer(std::string_view head) {
    MemoryStream stream(head);
    // A page is served whole: many overlapping ranges make a large reply.
    const SetupRequest setup = [](httplib::Request& request) {
      request.ranges.clear();
    };
    try {
      Process(&Impl::process_request, stream, setup);
    } catch (const std::exception&) {
      return std::string(kBadRequest);
    }
    if (stream.written().empty()) return std::string(kBadRequest);
    return stream.written();
  }

 private:
  // The call as it is in 0.11, in 0.18, and since there are web sockets.
  void Process(bool (Server::*process)(httplib::Stream&, bool, bool&,
                                       const SetupRequest&),
               MemoryStream& stream, const SetupRequest& setup) {
    bool closed = false;
    (this->*process)(stream, /*close_connection=*/true, closed, setup);
  }
  void Process(bool (Server::*process)(httplib::Stream&, const std::string&,
                                       int, const std::string&, int, bool,
                                       bool&, const SetupRequest&),
               MemoryStream& stream, const SetupRequest& setup) {
    bool closed = false;
    (this->*process)(stream, "", 0, "", 0, /*close_connection=*/true, closed,
                     setup);
  }
  void Process(bool (Server::*process)(httplib::Stream&, const std::string&,
                                       int, const std::string&, int, bool,
                                       bool&, const SetupRequest&, bool*),
               MemoryStream& stream, const SetupRequest& setup) {
    bool closed = false;
    bool upgraded = false;
    (this->*process)(stream, "", 0, "", 0, /*close_connection=*/true, closed,
                     setup, &upgraded);
  }

  void Route(const httplib::Request& request, httplib::Response& response) {
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Cache-Control", "no-store");
    response.set_header("Content-Security-Policy",
                        std::string(kContentSecurityPolicy));
    response.set_header("Referrer-Policy", "no-referrer");
    AdminPage page;
    const auto found = pages_.find(request.path);
    if (request.method != "GET" && request.method != "HEAD") {
      page.status = 405;
      page.body = "only GET and HEAD\n";
      response.set_header("Allow", "GET, HEAD");
    } else if (found == pages_.end()) {
      page.status = 404;
      page.body = "there is:\n";
      for (const auto& [path, make] : pages_) page.body += path + "\n";
    } else {
      page = found->second();
    }
    response.status = page.status;
    response.set_content(page.body, page.content_type.c_str());
  }

  std::map<std::string, MakePage> pages_;
};

AdminHttp::AdminHttp() : impl_(std::make_unique<Impl>()) {}

AdminHttp::~AdminHttp() = default;

void AdminHttp::AddPage(const std::string& path, MakePage make) {
  impl_->AddPage(path, std::move(make));
}

std::string AdminHttp::Answer(std::string_view head) {
  return impl_->Answer(head);
}

}  // namespace tlspost
