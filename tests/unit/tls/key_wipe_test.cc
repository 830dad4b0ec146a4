// What is read of a private key is nowhere in memory when it is not needed any
// more.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tls/tls_context.h"
#include "tests/unit/tls/temporary_folder.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {
namespace {

constexpr char kVeil = 0x55;
// A mapping beyond this is a sanitizer's, which keeps no text.
constexpr uintptr_t kLargestMapping = uintptr_t{256} << 20;

// In a process of its own: this one must not have seen the key.
void WriteIdentity(const TemporaryFolder& folder) {
  const pid_t child = fork();
  if (child == 0) {
    const TestIdentity identity =
        MakeCertificate({.name = "mail.example", .kind = KeyKind::kRsa2048});
    folder.Write("key.pem", identity.key_pem);
    folder.Write("cert.pem", identity.cert_pem);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
}

// The octets of the key's file from `begin` on, veiled, so that what is looked
// for is not found in the looking itself.
std::vector<char> VeiledPart(const std::string& path, off_t begin,
                             size_t size) {
  std::vector<char> part(size);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(pread(fd, part.data(), size, begin), static_cast<ssize_t>(size));
  close(fd);
  for (char& octet : part) octet ^= kVeil;
  return part;
}

bool Matches(const char* at, const std::vector<char>& veiled) {
  for (size_t i = 0; i < veiled.size(); ++i) {
    if (static_cast<char>(at[i] ^ kVeil) != veiled[i]) return false;
  }
  return true;
}

// How often it is in our memory.
int CountInMemory(const std::vector<char>& veiled) {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::pair<uintptr_t, uintptr_t>> ranges;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) != 3) {
      continue;
    }
    const bool is_ours = std::string_view(rights).starts_with("rw") &&
                         end - begin <= kLargestMapping;
    if (is_ours) ranges.emplace_back(begin, end);
  }
  const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  int count = 0;
  std::vector<char> window(1 << 16);
  for (const auto& [begin, end] : ranges) {
    uintptr_t at = begin;
    while (at < end) {
      // Ourselves we have no need to look at.
      const ssize_t got = pread(memory, window.data(),
                                std::min<size_t>(window.size(), end - at),
                                static_cast<off_t>(at));
      if (got < static_cast<ssize_t>(veiled.size())) break;
      const char* const end_of_starts = window.data() + got - veiled.size() + 1;
      for (const char* octet = window.data();; ++octet) {
        // Most of what there is, is not even the first one.
        octet = static_cast<const char*>(
            memchr(octet, static_cast<unsigned char>(veiled[0] ^ kVeil),
                   static_cast<size_t>(end_of_starts - octet)));
        if (octet == nullptr) break;
        const uintptr_t place =
            at + static_cast<uintptr_t>(octet - window.data());
        const auto self = reinterpret_cast<uintptr_t>(window.data());
        const bool in_window = place >= self && place < self + window.size();
        if (!in_window && Matches(octet, veiled)) ++count;
      }
      // Windows overlap by what might be cut.
      at += std::max<uintptr_t>(
          1, static_cast<uintptr_t>(got) - veiled.size() + 1);
    }
  }
  close(memory);
  return count;
}

class KeyWipeTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteIdentity(folder_); }

  // Three lines from the middle of the key: all of it is secret there.
  std::vector<char> Veiled() const {
    return VeiledPart(folder_.Path("key.pem"), /*begin=*/500, /*size=*/48);
  }

  const TemporaryFolder folder_;
};

TEST_F(KeyWipeTest, TheSearchFindsWhatIsThere) {
  const std::vector<char> veiled = Veiled();
  EXPECT_EQ(CountInMemory(veiled), 0);
  std::string copy(veiled.begin(), veiled.end());
  for (char& octet : copy) octet ^= kVeil;
  EXPECT_EQ(CountInMemory(veiled), 1);
}

TEST_F(KeyWipeTest, NothingOfTheFileStaysBehind) {
  const std::vector<char> veiled = Veiled();
  ServerTlsOptions options;
  CertificateSource source;
  source.cert_file = folder_.Path("cert.pem");
  source.key_file = folder_.Path("key.pem");
  options.certificates.push_back(source);
  auto context = TlsContext::CreateServer(options);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(CountInMemory(veiled), 0) << "while it is in use";
  context->reset();
  EXPECT_EQ(CountInMemory(veiled), 0) << "afterwards";
}

TEST_F(KeyWipeTest, NorOfAFileThatIsRefused) {
  const std::vector<char> veiled = Veiled();
  ServerTlsOptions options;
  CertificateSource source;
  // No certificate is in it.
  source.cert_file = source.key_file = folder_.Path("key.pem");
  options.certificates.push_back(source);
  EXPECT_FALSE(TlsContext::CreateServer(options).ok());
  EXPECT_EQ(CountInMemory(veiled), 0);
}

}  // namespace
}  // namespace tlspost::tls
