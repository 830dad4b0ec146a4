// A ring does what the loop needs and nothing else.

#include "common/io/uring_restrictions.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "common/io/uring_loop.h"

namespace tlspost::io {
namespace {

class Answer final : public Completion {
 public:
  explicit Answer(UringLoop& loop) : loop_(loop) {}
  int result() const { return result_; }

 private:
  void OnCompletion(int result, uint32_t /*flags*/) override {
    result_ = result;
    loop_.Stop();
  }

  UringLoop& loop_;
  int result_ = 1;
};

// What a worker's own ring answers to `prepare`.
template <typename Prepare>
int AskLoop(Prepare prepare) {
  const LoopOptions options;
  UringLoop loop(options);
  const absl::Status status = loop.Init(options);
  EXPECT_TRUE(status.ok()) << status.message();
  Answer answer(loop);
  prepare(loop.NextEntry(&answer));
  loop.Run();
  return answer.result();
}

TEST(UringRestrictions, AWorkersRingOpensNoFile) {
  EXPECT_EQ(AskLoop([](io_uring_sqe* entry) {
              io_uring_prep_openat(entry, AT_FDCWD, "/dev/null", O_RDONLY, 0);
            }),
            -EACCES);
}

TEST(UringRestrictions, AWorkersRingRemovesNoFile) {
  EXPECT_EQ(AskLoop([](io_uring_sqe* entry) {
              io_uring_prep_unlinkat(entry, AT_FDCWD, "/nowhere/at/all", 0);
            }),
            -EACCES);
}

TEST(UringRestrictions, AWorkersRingReceives) {
  // Not a socket: it was asked, and says so.
  EXPECT_EQ(AskLoop([](io_uring_sqe* entry) {
              io_uring_prep_recv(entry, -1, nullptr, 0, 0);
            }),
            -EBADF);
}

TEST(UringRestrictions, AWorkersRingRegistersNoFiles) {
  io_uring ring = {};
  io_uring_params params = {};
  params.flags = IORING_SETUP_R_DISABLED;
  ASSERT_EQ(io_uring_queue_init_params(4, &ring, &params), 0);
  ASSERT_EQ(RestrictAndEnable(ring), 0);
  const int file = 0;
  EXPECT_EQ(io_uring_register_files(&ring, &file, 1), -EACCES);
  io_uring_queue_exit(&ring);
}

}  // namespace
}  // namespace tlspost::io
