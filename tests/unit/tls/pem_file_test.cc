// What is in a PEM file, and what is wrong with it, in words.

#include "common/tls/pem_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/status.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

TEST(SplitPem, FindsBlocksAmongOtherText) {
  const auto blocks = SplitPem(
      "subject: x\n-----BEGIN A B-----\nMQ==\n-----END A B-----\nnoise\r\n"
      "-----BEGIN C-----\r\nMg==\r\n-----END C-----");
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].label, "A B");
  EXPECT_EQ(blocks[0].text, "-----BEGIN A B-----\nMQ==\n-----END A B-----");
  EXPECT_EQ(blocks[1].label, "C");
}

TEST(SplitPem, LeavesOutWhatHasNoEnd) {
  EXPECT_TRUE(SplitPem("").empty());
  EXPECT_TRUE(SplitPem("-----BEGIN A").empty());
  EXPECT_TRUE(SplitPem("-----BEGIN A-----\nMQ==\n").empty());
  const auto blocks =
      SplitPem("-----BEGIN A-----\n-----BEGIN B-----\n-----END B-----");
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].label, "B");
}

TEST(ReadPemFile, ReadsTheWholeFile) {
  const TemporaryFolder folder;
  const std::string text(10000, 'x');
  const auto pem = ReadPemFile("key file", folder.Write("key.pem", text));
  ASSERT_TRUE(pem.ok());
  EXPECT_EQ(pem->text, text);
  EXPECT_EQ(pem->title(), "key file " + folder.Path("key.pem"));
  EXPECT_EQ(pem->permission_problem, "");
}

TEST(ReadPemFile, SaysThatAFileDoesNotExist) {
  const auto pem = ReadPemFile("key file", "/nowhere/key.pem");
  EXPECT_EQ(MessageOf(pem.status()),
            "key file /nowhere/key.pem does not exist; correct the path, or "
            "put the file there");
}

TEST(ReadPemFile, SaysThatADirectoryIsNotAFile) {
  const TemporaryFolder folder;
  const auto pem = ReadPemFile("CA file", folder.Path(""));
  EXPECT_EQ(MessageOf(pem.status()), "CA file " + folder.Path("") +
                                         " is a directory; name a file in it");
}

TEST(ReadPemFile, RefusesAFileThatIsFarTooLarge) {
  const TemporaryFolder folder;
  const std::string path =
      folder.Write("big", std::string(kMaxPemOctets + 1, 'x'));
  const auto pem = ReadPemFile("key file", path);
  EXPECT_EQ(MessageOf(pem.status()),
            "key file " + path +
                " is larger than 4 MiB, which no certificate or key is; "
                "correct the path");
}

TEST(ReadPemFile, SaysThatItMayNotReadAFile) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TemporaryFolder folder;
  const std::string path = folder.Write("key.pem", "x", 0000);
  const auto pem = ReadPemFile("key file", path);
  EXPECT_EQ(MessageOf(pem.status()),
            "cannot read key file " + path +
                ": permission denied; let the user that runs this process "
                "read it");
}

TEST(ReadPemFile, NotesThatOthersMayReadAFile) {
  const TemporaryFolder folder;
  for (const mode_t mode : {0640, 0604, 0620, 0666}) {
    const std::string path = folder.Write("key.pem", "x", mode);
    const auto pem = ReadPemFile("key file", path);
    ASSERT_TRUE(pem.ok());
    char octal[8];
    snprintf(octal, sizeof(octal), "%04o", mode);
    EXPECT_EQ(pem->permission_problem,
              "key file " + path +
                  " holds a private key and is open to its group or to "
                  "everybody (mode " +
                  octal + "); close it with: chmod 600 " + path);
  }
}

TEST(ReadPemFile, ItsGroupMayReadAFileOfRootsWhoIsNotUs) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  constexpr gid_t kGroup = 4242;
  const TemporaryFolder folder;
  const std::string directory = folder.Path("");
  ASSERT_EQ(chmod(directory.c_str(), 0755), 0);
  const auto problem_as_member = [&](mode_t mode) {
    const std::string path = folder.Write("key.pem", "x", mode);
    EXPECT_EQ(chown(path.c_str(), 0, kGroup), 0);
    EXPECT_EQ(setegid(kGroup), 0);
    EXPECT_EQ(seteuid(4242), 0);
    const auto pem = ReadPemFile("key file", path);
    EXPECT_EQ(seteuid(0), 0);
    EXPECT_EQ(setegid(0), 0);
    EXPECT_TRUE(pem.ok()) << MessageOf(pem.status());
    return pem.ok() ? pem->permission_problem : "unread";
  };
  EXPECT_EQ(problem_as_member(0640), "");
  for (const mode_t mode : {0644, 0660}) {
    EXPECT_THAT(problem_as_member(mode),
                testing::HasSubstr("open to its group or to everybody"));
  }
}

TEST(ReadPemFile, NotesThePermissionsOfTheFileBehindALink) {
  const TemporaryFolder folder;
  const std::string target = folder.Write("privkey1.pem", "x", 0644);
  const std::string link = folder.Path("privkey.pem");
  std::filesystem::create_symlink("privkey1.pem", link);
  const auto pem = ReadPemFile("key file", link);
  ASSERT_TRUE(pem.ok());
  EXPECT_EQ(pem->permission_problem,
            "key file " + link + " (a link to " + target +
                ") holds a private key and is open to its group or to "
                "everybody (mode 0644); close it with: chmod 600 " +
                target);
}

TEST(ReadPemFile, NotesThatAFileBelongsToAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may give a file away";
  const TemporaryFolder folder;
  const std::string path = folder.Write("key.pem", "x");
  ASSERT_EQ(chown(path.c_str(), 4242, 0), 0);
  const auto pem = ReadPemFile("key file", path);
  ASSERT_TRUE(pem.ok());
  EXPECT_EQ(pem->permission_problem,
            "key file " + path +
                " holds a private key and belongs to user id 4242, which is "
                "neither root nor the user that runs this process; correct "
                "it with: chown root " +
                path);
}

class PemFileDirectory : public testing::Test {
 protected:
  std::string Problem(const std::string& path) {
    const auto pem = ReadPemFile("key file", path);
    EXPECT_TRUE(pem.ok());
    return pem->permission_problem;
  }

  std::string Expected(const std::string& shown, const std::string& directory) {
    return shown + " can be replaced by others, because its directory " +
           directory +
           " is open for writing to its group or to everybody (mode 0775); "
           "close it with: chmod go-w " +
           directory;
  }

  const TemporaryFolder folder_;
};

TEST_F(PemFileDirectory, MustNotBeOpenForWriting) {
  const std::string path = folder_.Write("key.pem", "x");
  const std::string directory = path.substr(0, path.rfind('/'));
  EXPECT_EQ(Problem(path), "");
  chmod(directory.c_str(), 0775);
  EXPECT_EQ(Problem(path), Expected("key file " + path, directory));
  chmod(directory.c_str(), 0777);
  EXPECT_NE(Problem(path), "");
  chmod(directory.c_str(), 0755);
  EXPECT_EQ(Problem(path), "");
  // Like /tmp: who does not own a file cannot replace it.
  chmod(directory.c_str(), 01777);
  EXPECT_EQ(Problem(path), "");
}

TEST_F(PemFileDirectory, OfALinkAndOfItsTargetBothCount) {
  // As certbot has it.
  for (const char* name : {"live", "archive"}) {
    std::filesystem::create_directory(folder_.Path(name));
  }
  const std::string target = folder_.Write("archive/privkey1.pem", "x");
  const std::string link = folder_.Path("live/privkey.pem");
  std::filesystem::create_symlink("../archive/privkey1.pem", link);
  const std::string shown = "key file " + link + " (a link to " + target + ")";
  for (const char* name : {"live", "archive"}) {
    chmod(folder_.Path(name).c_str(), 0700);
  }
  EXPECT_EQ(Problem(link), "");
  chmod(folder_.Path("archive").c_str(), 0775);
  EXPECT_EQ(Problem(link), Expected(shown, folder_.Path("archive")));
  chmod(folder_.Path("archive").c_str(), 0700);
  chmod(folder_.Path("live").c_str(), 0775);
  EXPECT_EQ(Problem(link), Expected(shown, folder_.Path("live")));
}

}  // namespace
}  // namespace tlspost::tls
