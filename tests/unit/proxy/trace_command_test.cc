// What a reader of a trace gets, and that nothing is left when it goes.

#include "proxy/trace_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(TraceCommand, EndsWithItsReader) {
  TraceHub hub;
  int waits = 0;
  std::string heard;
  const TraceReader reader = {[&](std::string_view text) {
                                heard += text;
                                return absl::OkStatus();
                              },
                              [&] {
                                EXPECT_TRUE(hub.active());
                                return ++waits < 3;
                              }};
  ServeTrace(hub, "192.0.2.0/24 2001:db8::/32", reader);
  EXPECT_EQ(waits, 3);
  EXPECT_EQ(heard, "tracing 192.0.2.0/24 2001:db8::/32\n");
  EXPECT_FALSE(hub.active());
}

TEST(TraceCommand, EndsWithAReaderThatHasLeftAtOnce) {
  TraceHub hub;
  ServeTrace(hub, "192.0.2.0/24",
             {[](std::string_view) { return absl::UnavailableError("gone"); },
              [] {
                ADD_FAILURE() << "nobody is there to wait for";
                return false;
              }});
  EXPECT_FALSE(hub.active());
}

TEST(TraceCommand, SaysWhatIsWrong) {
  TraceHub hub;
  std::string heard;
  const TraceReader reader = {[&](std::string_view text) {
                                heard = text;
                                return absl::OkStatus();
                              },
                              [] { return false; }};
  ServeTrace(hub, "", reader);
  EXPECT_THAT(heard, StartsWith("failed name the clients"));
  ServeTrace(hub, "192.0.2.0/24 nonsense", reader);
  EXPECT_THAT(heard, StartsWith("failed "));
  EXPECT_THAT(heard, HasSubstr("nonsense"));
  EXPECT_FALSE(hub.active());
}

}  // namespace
}  // namespace tlspost
