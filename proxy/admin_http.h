// AdminHttp: HTTP for administrators, from the octets of one request to those
// of its reply.
//
// It knows pages and nothing of sockets, bounds or time (admin_server.h); it
// answers GET and HEAD and changes nothing.

#ifndef TLSPOST_PROXY_ADMIN_HTTP_H_
#define TLSPOST_PROXY_ADMIN_HTTP_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tlspost {

struct AdminPage {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class AdminHttp {
 public:
  using MakePage = std::function<AdminPage()>;

  AdminHttp();
  ~AdminHttp();
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

  // `path` begins with a slash; before the first Answer.
  void AddPage(const std::string& path, MakePage make);

  // The whole reply to a request whose head, empty line included, is `head`.
  // It says that the connection ends behind it.
  std::string Answer(std::string_view head);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ADMIN_HTTP_H_
