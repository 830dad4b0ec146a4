// The process that opens files for one that has given up its rights: what it
// opens, what it refuses, and what it says of a file that cannot be had.

#include "proxy/walls/file_keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "tests/unit/proxy/read_all.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost {
namespace {

TEST(FileKeeper, OpensWhatItMayAndNothingElse) {
  const tls::TemporaryFolder folder;
  const std::string key = folder.Write("key.pem", "secret");
  const std::string other = folder.Write("other.pem", "not yours");
  const std::string log = folder.Path("mail.log");
  auto keeper = FileKeeper::Start(
      [&](const std::string& path, FileUse use) {
        return path == (use == FileUse::kRead ? key : log);
      },
      [] {});
  ASSERT_TRUE(keeper.ok()) << MessageOf(keeper.status());
  int error = 0;
  const int fd = (*keeper)->Open(key, FileUse::kRead, error);
  ASSERT_GE(fd, 0) << strerror(error);
  EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(ReadAll(fd), "secret");
  EXPECT_EQ((*keeper)->Open(other, FileUse::kRead, error), -1);
  EXPECT_EQ(error, EACCES);
  EXPECT_EQ((*keeper)->Open(key, FileUse::kAppend, error), -1);
  EXPECT_EQ(error, EACCES);
  const int appended = (*keeper)->Open(log, FileUse::kAppend, error);
  ASSERT_GE(appended, 0) << strerror(error);
  EXPECT_EQ(write(appended, "line\n", 5), 5);
  close(appended);
  struct stat facts = {};
  EXPECT_EQ((*keeper)->Stat(key, facts), 0);
  EXPECT_EQ(facts.st_size, 6);
  EXPECT_EQ((*keeper)->Stat(other, facts), EACCES);
}

TEST(FileKeeper, SaysWhatIsWrongWithAFile) {
  const tls::TemporaryFolder folder;
  auto keeper = FileKeeper::Start(
      [](const std::string&, FileUse) { return true; }, [] {});
  ASSERT_TRUE(keeper.ok());
  int error = 0;
  EXPECT_EQ((*keeper)->Open(folder.Path("none"), FileUse::kRead, error), -1);
  EXPECT_EQ(error, ENOENT);
  EXPECT_EQ((*keeper)->Open(std::string(5000, 'a'), FileUse::kRead, error), -1);
  EXPECT_EQ(error, ENAMETOOLONG);
  EXPECT_EQ((*keeper)->Open("", FileUse::kRead, error), -1);
  EXPECT_NE(error, 0);
}

TEST(FileKeeper, ServesManyThreads) {
  const tls::TemporaryFolder folder;
  std::vector<std::string> files;
  for (int i = 0; i < 4; ++i) {
    files.push_back(folder.Write(std::to_string(i), std::to_string(i)));
  }
  auto keeper = FileKeeper::Start(
      [](const std::string&, FileUse) { return true; }, [] {});
  ASSERT_TRUE(keeper.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) {
        int error = 0;
        const int fd = (*keeper)->Open(files[static_cast<size_t>(i)],
                                       FileUse::kRead, error);
        ASSERT_GE(fd, 0) << strerror(error);
        ASSERT_EQ(ReadAll(fd), std::to_string(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tlspost
