// Certificates that change while they are in use: noticed, loaded all or
// nothing, and only once.

#include "proxy/tls_reloader.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/tls/self_signed.h"
#include "proxy/log.h"
#include "proxy/tls_loader.h"
#include "tests/unit/tls/temporary_folder.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class MemoryLog final : public Log {
 public:
  int Count(std::string_view words) {
    const std::lock_guard<std::mutex> lock(mutex_);
    int count = 0;
    for (const std::string& line : lines_) {
      if (line.find(words) != std::string::npos) ++count;
    }
    return count;
  }

 protected:
  void Write(std::string_view level, std::string_view line) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    lines_.push_back(std::string(level) + std::string(line));
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Each version in a folder of its own, and a link to the one that is used: a
// pair is switched in one step, however slow the machine is.
class TlsReloaderTest : public ::testing::Test {
 protected:
  TlsReloaderTest() {
    WriteVersion(1, "one.example", "one.example");
    Use(1);
    settings_.tls_cert_file = folder_.Path("live/cert.pem");
    settings_.tls_key_file = folder_.Path("live/key.pem");
  }

  // Keys belong together only when the names are the same.
  void WriteVersion(int version, const std::string& cert_name,
                    const std::string& key_name) {
    const tls::SelfSigned made = tls::GenerateSelfSigned(cert_name);
    WritePair(version, made.cert_pem,
              cert_name == key_name
                  ? made.key_pem
                  : tls::GenerateSelfSigned(key_name).key_pem);
  }

  void WritePair(int version, const std::string& cert, const std::string& key) {
    const std::string folder = std::to_string(version);
    std::filesystem::create_directory(folder_.Path(folder));
    folder_.Write(folder + "/cert.pem", cert);
    folder_.Write(folder + "/key.pem", key);
  }

  // Switches to that version, in one step.
  void Use(int version) { Link("live", std::to_string(version)); }

  // Switches a link in one step.
  void Link(const std::string& name, const std::string& target) {
    const std::string next = folder_.Path(name + ".next");
    std::filesystem::create_symlink(folder_.Path(target), next);
    std::filesystem::rename(next, folder_.Path(name));
  }

  void Start() {
    loader_ = std::make_unique<TlsLoader>(settings_, /*workers=*/2);
    TlsLoader::Loaded loaded;
    const absl::Status status = loader_->Load(loaded);
    ASSERT_TRUE(status.ok()) << status;
    reloader_ = std::make_unique<TlsReloader>(
        *loader_, log_, std::chrono::hours(1),
        [](std::vector<WorkerTls> workers) {
          EXPECT_EQ(workers.size(), 2u);
          for (const WorkerTls& worker : workers) {
            EXPECT_NE(worker.clients, nullptr);
          }
        });
    reloader_->set_load_asked(load_asked_);
    reloader_->Watch(std::move(loaded.files));
    reloader_->Start();
  }

  bool WaitFor(int64_t reloads, int64_t failures) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
      if (reloader_->reloads() == reloads &&
          reloader_->failures() == failures) {
        return true;
      }
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  // Time in which a change would have been noticed twice over.
  void LetItLook() {
    std::this_thread::sleep_for(4 * TlsReloader::kLookInterval);
  }

  tls::TemporaryFolder folder_;
  Settings settings_;
  MemoryLog log_;
  TlsReloader::LoadAsked load_asked_;
  std::unique_ptr<TlsLoader> loader_;
  std::unique_ptr<TlsReloader> reloader_;
};

TEST_F(TlsReloaderTest, ALinkThatIsSwitchedIsNoticed) {
  Start();
  WriteVersion(2, "two.example", "two.example");
  LetItLook();
  EXPECT_EQ(reloader_->reloads(), 0) << "nothing leads to the new files yet";
  Use(2);
  EXPECT_TRUE(WaitFor(1, 0));
  LetItLook();
  EXPECT_EQ(reloader_->reloads(), 1);
  EXPECT_EQ(log_.Count("TLS certificates reloaded"), 1);
}

// As certbot does it. What is caught half-way is bad, and mended by the rest.
TEST_F(TlsReloaderTest, LinksAreSwitchedOneByOne) {
  Link("cert.pem", "1/cert.pem");
  Link("key.pem", "1/key.pem");
  settings_.tls_cert_file = folder_.Path("cert.pem");
  settings_.tls_key_file = folder_.Path("key.pem");
  Start();
  WriteVersion(2, "two.example", "two.example");
  Link("cert.pem", "2/cert.pem");
  EXPECT_TRUE(WaitFor(0, 1));
  Link("key.pem", "2/key.pem");
  EXPECT_TRUE(WaitFor(1, 1));
}

TEST_F(TlsReloaderTest, AFileThatIsWrittenAgainIsNoticed) {
  const tls::SelfSigned made = tls::GenerateSelfSigned("one.example");
  WritePair(1, made.cert_pem, made.key_pem);
  Start();
  // Before Linux 6.13 a file's times go on with the kernel's tick, which is 10
  // ms at most, and nothing else tells the two apart.
  std::this_thread::sleep_for(20ms);
  WritePair(1, made.cert_pem, made.key_pem);
  EXPECT_TRUE(WaitFor(1, 0));
}

TEST_F(TlsReloaderTest, E035WhatIsBadChangesNothingAndIsSaidOnce) {
  Start();
  WriteVersion(2, "two.example", "another.example");
  Use(2);
  EXPECT_TRUE(WaitFor(0, 1));
  LetItLook();
  EXPECT_EQ(reloader_->failures(), 1);
  EXPECT_EQ(log_.Count("does not belong to the certificate"), 1);
  // What is good again is taken.
  WriteVersion(3, "three.example", "three.example");
  Use(3);
  EXPECT_TRUE(WaitFor(1, 1));
}

TEST_F(TlsReloaderTest, AMissingFileIsSaidOnceAndItsReturnIsNoticed) {
  Start();
  std::filesystem::rename(folder_.Path("1/cert.pem"), folder_.Path("away.pem"));
  EXPECT_TRUE(WaitFor(0, 1));
  LetItLook();
  EXPECT_EQ(reloader_->failures(), 1);
  std::filesystem::rename(folder_.Path("away.pem"), folder_.Path("1/cert.pem"));
  EXPECT_TRUE(WaitFor(1, 1));
}

// The map is changed first, and the file that it names comes later.
TEST_F(TlsReloaderTest, AFileThatTheNewStateNamesIsWaitedFor) {
  settings_.tls_server_sni_maps = folder_.Write("map", "");
  Start();
  folder_.Write("map", "new.example " + folder_.Path("new.pem") + "\n");
  EXPECT_TRUE(WaitFor(0, 1));
  const tls::SelfSigned made = tls::GenerateSelfSigned("new.example");
  folder_.Write("new.pem", made.key_pem + made.cert_pem);
  EXPECT_TRUE(WaitFor(1, 1));
}

TEST_F(TlsReloaderTest, E035TicketKeysStayWhenAnythingElseIsBad) {
  const std::string zeros(107, 'A');  // 80 octets in base64: 107 and one '='
  settings_.tls_ticket_key_file = folder_.Write("tickets", zeros + "=\n");
  settings_.backend_tls_security_level = BackendTlsLevel::kEncrypt;
  settings_.backend_tls_CAfile = folder_.Path("live/cert.pem");
  TlsLoader loader(settings_, /*workers=*/1);
  TlsLoader::Loaded before;
  ASSERT_TRUE(loader.Load(before).ok());
  const auto newest = [&before] {
    return before.workers[0].clients->ticket_keys().Current().cipher_key[0];
  };
  EXPECT_EQ(newest(), 0);
  folder_.Write("tickets", std::string(106, '/') + "8=\n");
  settings_.backend_tls_CAfile = folder_.Path("missing.pem");
  TlsLoader::Loaded after;
  EXPECT_FALSE(loader.LoadWith(settings_, after).ok());
  EXPECT_EQ(newest(), 0) << "still the old key";
  settings_.backend_tls_CAfile = folder_.Path("live/cert.pem");
  TlsLoader::Loaded mended;
  EXPECT_TRUE(loader.LoadWith(settings_, mended).ok());
  EXPECT_EQ(newest(), 0xff);
}

TEST_F(TlsReloaderTest, E035AnExpiredRenewalReplacesNothing) {
  Start();
  const auto renew = [this](int version, int first_day, int last_day) {
    tls::CertificateRequest request;
    request.starts_in_days = first_day;
    request.ends_in_days = last_day;
    const tls::TestIdentity made = tls::MakeCertificate(request);
    WritePair(version, made.cert_pem, made.key_pem);
    Use(version);
  };
  renew(2, -9, -1);
  EXPECT_TRUE(WaitFor(0, 1));
  EXPECT_EQ(log_.Count("has expired; renew it; what was loaded before stays"),
            1);
  renew(3, 1, 9);
  EXPECT_TRUE(WaitFor(0, 2));
  EXPECT_EQ(log_.Count("is not valid yet"), 1);
  renew(4, -1, 9);
  EXPECT_TRUE(WaitFor(1, 2));
}

// Or a certificate that is forgotten in a map would stop all renewals.
TEST_F(TlsReloaderTest, WhatHadExpiredAtTheStartIsNoReasonToRefuse) {
  tls::CertificateRequest request;
  request.starts_in_days = -9;
  request.ends_in_days = -1;
  const tls::TestIdentity expired = tls::MakeCertificate(request);
  folder_.Write("old.pem", expired.key_pem + expired.cert_pem);
  settings_.tls_server_sni_maps =
      folder_.Write("map", "old.example " + folder_.Path("old.pem") + "\n");
  Start();
  WriteVersion(2, "two.example", "two.example");
  Use(2);
  EXPECT_TRUE(WaitFor(1, 0));
}

// What the metrics show: when it began to be as it is.
TEST_F(TlsReloaderTest, E035TheLastResultIsKeptWithItsTime) {
  // Not time(2), which goes on with the kernel's tick: at the beginning of a
  // second it still says the one before.
  const auto now_s = [] {
    return std::chrono::floor<std::chrono::seconds>(
               std::chrono::system_clock::now())
        .time_since_epoch()
        .count();
  };
  const int64_t begin = now_s();
  Start();
  EXPECT_TRUE(reloader_->last_successful());
  EXPECT_GE(reloader_->last_time_s(), begin);
  EXPECT_LE(reloader_->last_time_s(), now_s());
  std::filesystem::rename(folder_.Path("1/cert.pem"), folder_.Path("away.pem"));
  ASSERT_TRUE(WaitFor(0, 1));
  LetItLook();
  EXPECT_FALSE(reloader_->last_successful());
  const int64_t failed_at = reloader_->last_time_s();
  EXPECT_GE(failed_at, begin);
  std::filesystem::rename(folder_.Path("away.pem"), folder_.Path("1/cert.pem"));
  ASSERT_TRUE(WaitFor(1, 1));
  LetItLook();
  EXPECT_TRUE(reloader_->last_successful());
  EXPECT_GE(reloader_->last_time_s(), failed_at);
}

TEST_F(TlsReloaderTest, AListenerMayWantTlsWhereTheOthersDoNot) {
  settings_.tls_security_level = TlsSecurityLevel::kNone;
  const auto has_tls = [this] {
    TlsLoader loader(settings_, /*workers=*/1);
    TlsLoader::Loaded loaded;
    EXPECT_TRUE(loader.Load(loaded).ok());
    return loaded.workers[0].clients != nullptr;
  };
  EXPECT_FALSE(has_tls());
  ListenerRule rule;
  rule.addresses = {"127.0.0.1:465"};
  rule.implicit_tls = true;
  settings_.listeners = {rule};
  EXPECT_TRUE(has_tls());
  rule.implicit_tls = false;
  settings_.listeners = {rule};
  EXPECT_FALSE(has_tls());
  rule.changes = {{"tls_security_level", {"may"}}};
  settings_.listeners = {rule};
  EXPECT_TRUE(has_tls());
}

TEST_F(TlsReloaderTest, ARequestReloadsWhatHasNotChanged) {
  Start();
  reloader_->Request();
  EXPECT_TRUE(WaitFor(1, 0));
}

TEST_F(TlsReloaderTest, StopEndsItAtOnce) {
  Start();
  const auto begin = std::chrono::steady_clock::now();
  reloader_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

// --- what is asked for ------------------------------------------------------

TEST_F(TlsReloaderTest, WhoAsksHearsWhatCameOfIt) {
  Start();
  std::promise<absl::Status> first;
  reloader_->Request([&](const absl::Status& end) { first.set_value(end); });
  EXPECT_TRUE(first.get_future().get().ok());
  EXPECT_EQ(reloader_->reloads(), 1);
  folder_.Write("1/key.pem", "no key");
  std::promise<absl::Status> second;
  reloader_->Request([&](const absl::Status& end) { second.set_value(end); });
  EXPECT_FALSE(second.get_future().get().ok());
}

TEST_F(TlsReloaderTest, WhoAsksAtTheEndHearsThat) {
  Start();
  reloader_->Stop();
  std::promise<absl::Status> late;
  reloader_->Request([&](const absl::Status& end) { late.set_value(end); });
  EXPECT_TRUE(absl::IsCancelled(late.get_future().get()));
}

// Or who waits for the answer would hold up a start that has failed.
TEST_F(TlsReloaderTest, WhoAsksBeforeTheStartHearsThat) {
  TlsLoader loader(settings_, /*workers=*/1);
  TlsReloader reloader(loader, log_, std::chrono::hours(1),
                       [](const std::vector<WorkerTls>&) {});
  std::promise<absl::Status> early;
  auto heard = early.get_future();
  reloader.Request([&](const absl::Status& end) { early.set_value(end); });
  ASSERT_EQ(heard.wait_for(0s), std::future_status::ready);
  EXPECT_TRUE(absl::IsCancelled(heard.get()));
}

TEST_F(TlsReloaderTest, WhatIsNotAboutFilesIsNotTriedAgain) {
  std::atomic<int> asked = 0;
  load_asked_ = [&](TlsLoader::Loaded&) {
    ++asked;
    return absl::InvalidArgumentError("tlspost.toml:1:1: no");
  };
  Start();
  reloader_->Request();
  ASSERT_TRUE(WaitFor(0, 1));
  EXPECT_FALSE(reloader_->last_successful());
  // Longer than until a failure over files would be tried again.
  std::this_thread::sleep_for((TlsReloader::kRetryLooks + 10) *
                              TlsReloader::kLookInterval);
  EXPECT_TRUE(WaitFor(0, 1));
  EXPECT_EQ(asked, 1);
  // And certificates go on to be looked at.
  WriteVersion(2, "two.example", "two.example");
  Use(2);
  EXPECT_TRUE(WaitFor(1, 1));
  EXPECT_EQ(asked, 1);
}

// No file can be opened, as when descriptors are out.
class NoFiles {
 public:
  NoFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(TlsReloaderTest, AFailedRequestEndsNoOtherTries) {
  load_asked_ = [](TlsLoader::Loaded&) {
    return absl::InvalidArgumentError("tlspost.toml:1:1: no");
  };
  WriteVersion(2, "two.example", "two.example");
  Start();
  {
    const NoFiles no_files;
    Use(2);
    ASSERT_TRUE(WaitFor(0, 1));
    reloader_->Request();
    ASSERT_TRUE(WaitFor(0, 2));
  }
  // Nothing changes any more; it is tried again after a while.
  EXPECT_TRUE(WaitFor(1, 2) || WaitFor(1, 2));
}

TEST(TlsLoader, OtherSettingsHoldOnlyIfAllIsGood) {
  tls::TemporaryFolder folder;
  const tls::SelfSigned made = tls::GenerateSelfSigned("one.example");
  Settings settings;
  settings.tls_cert_file = folder.Write("cert.pem", made.cert_pem);
  settings.tls_key_file = folder.Write("key.pem", made.key_pem);
  TlsLoader loader(settings, /*workers=*/1);
  TlsLoader::Loaded loaded;
  ASSERT_TRUE(loader.Load(loaded).ok());
  Settings other = settings;
  other.tls_cert_file = folder.Path("none.pem");
  TlsLoader::Loaded bad;
  EXPECT_FALSE(loader.LoadWith(other, bad).ok());
  TlsLoader::Loaded same;
  EXPECT_TRUE(loader.Load(same).ok());
  other.tls_cert_file.clear();
  other.tls_key_file.clear();
  TlsLoader::Loaded none;
  ASSERT_TRUE(loader.LoadWith(other, none).ok());
  EXPECT_EQ(none.workers.front().clients, nullptr);
  TlsLoader::Loaded still_none;
  ASSERT_TRUE(loader.Load(still_none).ok());
  EXPECT_EQ(still_none.workers.front().clients, nullptr);
}

}  // namespace
}  // namespace tlspost
