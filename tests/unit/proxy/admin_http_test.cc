// AdminHttp: a request's octets in, a reply's out, whatever they are.

#include "proxy/admin_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/admin_server.h"

namespace tlspost {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class AdminHttpTest : public ::testing::Test {
 protected:
  AdminHttpTest() {
    http_.AddPage("/page", [this] {
      ++made_;
      return AdminPage{status_, "text/plain; version=0.0.4", body_};
    });
  }

  std::string Ask(const std::string& line, const std::string& fields = "") {
    return http_.Answer(line + "\r\nHost: localhost\r\n" + fields + "\r\n");
  }

  AdminHttp http_;
  int status_ = 200;
  std::string body_ = "a body\n";
  int made_ = 0;
};

TEST_F(AdminHttpTest, GetIsAnsweredAndTheConnectionEnds) {
  const std::string reply = Ask("GET /page HTTP/1.1");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Length: 7\r\n"));
  EXPECT_THAT(reply,
              HasSubstr("\r\nContent-Type: text/plain; version=0.0.4\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\na body\n"));
}

// Whatever page it is: nothing from elsewhere, nothing inline.
TEST_F(AdminHttpTest, NoReplyMayLoadAnythingFromElsewhere) {
  for (const char* line : {"GET /page HTTP/1.1", "GET /nowhere HTTP/1.1"}) {
    const std::string reply = Ask(line);
    EXPECT_THAT(reply,
                HasSubstr("\r\nContent-Security-Policy: default-src 'none'; "));
    EXPECT_THAT(reply, HasSubstr("frame-ancestors 'none'\r\n"));
    EXPECT_THAT(reply, Not(HasSubstr("unsafe")));
    EXPECT_THAT(reply, HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"));
  }
}

TEST_F(AdminHttpTest, HeadHasNoBody) {
  const std::string reply = Ask("HEAD /page HTTP/1.1");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Length: 7\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
}

TEST_F(AdminHttpTest, ThePagesStatusIsTheReplys) {
  status_ = 503;
  EXPECT_THAT(Ask("GET /page HTTP/1.1"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(AdminHttpTest, AQueryIsNoOtherPage) {
  EXPECT_THAT(Ask("GET /page?x=1 HTTP/1.1"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminHttpTest, AnUnknownPageNamesThoseThatThereAre) {
  const std::string reply = Ask("GET /pagee HTTP/1.1");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(reply, EndsWith("there is:\n/page\n"));
  EXPECT_THAT(Ask("GET / HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /../etc/passwd HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(AdminHttpTest, NothingIsChangedFromOutside) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    const std::string reply = Ask(std::string(method) + " /page HTTP/1.1");
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 4")) << method;
    EXPECT_THAT(reply, Not(HasSubstr("a body"))) << method;
  }
  EXPECT_EQ(made_, 0);
}

TEST_F(AdminHttpTest, WhatIsNoRequestIsRefused) {
  for (const std::string bad :
       {"EHLO client.test", "GET", "GET /page", "GET /page HTTP/9.9",
        "BREW /page HTTP/1.1", "\x16\x03\x01\x02", "GET /page HTTP/1.1 x"}) {
    const std::string reply = http_.Answer(bad + "\r\n\r\n");
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 4")) << bad;
  }
  EXPECT_THAT(http_.Answer(""), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http_.Answer("\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(made_, 0);
}

// A body that is promised and does not come, or is promised to be huge.
TEST_F(AdminHttpTest, ABodyIsNotWaitedFor) {
  for (const char* field :
       {"Content-Length: 99999999999999999999\r\n", "Content-Length: 10\r\n",
        "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n"}) {
    EXPECT_THAT(Ask("POST /page HTTP/1.1", field), HasSubstr("HTTP/1.1 4"))
        << field;
    EXPECT_THAT(Ask("GET /page HTTP/1.1", field), HasSubstr("HTTP/1.1 "))
        << field;
  }
}

// A kilobyte of ranges must not become megabytes of reply, nor a deep stack.
TEST_F(AdminHttpTest, RangesDoNotMultiplyAPage) {
  body_.assign(100'000, 'x');
  std::string ranges = "Range: bytes=0-";
  while (ranges.size() < AdminServer::kMaxHeadOctets - 100) ranges += ",0-";
  const std::string reply = Ask("GET /page HTTP/1.1", ranges + "\r\n");
  EXPECT_LE(reply.size(), body_.size() + 1000);
}

TEST_F(AdminHttpTest, TheLargestHeadThereMayBe) {
  std::string fields;
  while (fields.size() < AdminServer::kMaxHeadOctets - 100)
    fields += "a: b\r\n";
  EXPECT_THAT(Ask("GET /page HTTP/1.1", fields), StartsWith("HTTP/1.1 "));
  const std::string path(AdminServer::kMaxHeadOctets - 100, 'x');
  EXPECT_THAT(Ask("GET /" + path + " HTTP/1.1"), StartsWith("HTTP/1.1 4"));
}

}  // namespace
}  // namespace tlspost
