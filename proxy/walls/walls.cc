#include "proxy/walls/walls.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proxy/certificate_files.h"
#include "proxy/config.h"
#include "proxy/settings_table.h"
#include "proxy/walls/landlock.h"
#include "proxy/walls/syscall_filter.h"

namespace tlspost {
namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What name look-ups, time zones and OpenSSL read for themselves.
constexpr std::string_view kSystemFolders[] = {
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    // how much memory there is, and whether io_uring is allowed
    "/proc/meminfo",
    "/sys/fs/cgroup",
    "/proc/sys/kernel",
};
// Below /etc, and on some systems a link to elsewhere (NetworkManager, WSL;
// openSUSE's authorities).
constexpr std::string_view kSystemLinks[] = {"/etc/resolv.conf",
                                             "/etc/ssl/certs"};
constexpr std::string_view kDevices[] = {"/dev/null", "/dev/random",
                                         "/dev/urandom"};
// Settings with a socket that the server makes at a path.
constexpr std::string_view kSocketSettings[] = {"control_socket"};

// Below the server's own /proc; a path there is good as long as its folder is
// held open.
constexpr const char* kOwnProcess = "/proc/self";

// Where OpenSSL is told to look for the system's authorities, if it is.
void AddSystemAuthorities(std::vector<FileRule>& rules) {
  if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr) {
    rules.push_back(ReadBehind(file));
  }
  const char* folders = std::getenv("SSL_CERT_DIR");
  if (folders == nullptr) return;
  const std::vector<std::string> list = absl::StrSplit(folders, ':');
  for (const std::string& folder : list) rules.push_back({folder, kMayRead});
}

std::vector<FileRule> ServerRules(const Settings& settings) {
  std::vector<FileRule> rules;
  for (const std::string_view folder : kSystemFolders) {
    rules.push_back({std::string(folder), kMayRead});
  }
  for (const std::string_view link : kSystemLinks) {
    rules.push_back(ReadBehind(std::string(link)));
  }
  for (const std::string_view device : kDevices) {
    rules.push_back({std::string(device), kMayRead | kMayWrite});
  }
  rules.push_back({kOwnProcess, kMayRead});
  // OpenSSL looks into these when it needs an authority.
  for (const std::string& folder :
       {settings.tls_CApath, settings.backend_tls_CApath}) {
    if (!folder.empty()) rules.push_back({folder, kMayRead});
  }
  AddSystemAuthorities(rules);
  for (const std::string_view name : kSocketSettings) {
    const Setting* setting = FindSetting(name);
    const std::string path =
        setting == nullptr ? "" : FormatValue(*setting, settings);
    if (!path.empty()) rules.push_back({FolderOf(path), kMakeSockets});
  }
  return rules;
}

std::vector<FileRule> KeeperRules(const Settings& settings) {
  std::vector<FileRule> rules = {{"/", kMayRead}};
  if (!settings.log_file.empty()) {
    rules.push_back({settings.log_file, kMayWrite});
    rules.push_back({FolderOf(settings.log_file), kMakeFiles});
  }
  return rules;
}

// What the keeper may open: to be read, what the settings say now. A name that
// is not known is looked for in the settings file and in the SNI map again,
// which may have changed; both are the administrator's to write, and not the
// server's. The log stays where it was at the start.
class NamedFiles {
 public:
  NamedFiles(std::span<const char* const> args, std::string log_file)
      : args_(args), log_file_(std::move(log_file)) {}

  bool Has(const std::string& path, FileUse use) {
    if (use == FileUse::kAppend) return path == log_file_;
    if (readable_.count(path) != 0) return true;
    const absl::StatusOr<Settings> settings = LoadSettings(args_);
    if (!settings.ok()) {
      // The settings file may be asked for, so that it is heard what is wrong.
      return path == FindSettingsFile(args_);
    }
    const std::vector<std::string> files = FilesNamedBy(*settings, args_);
    readable_ = std::set<std::string>(files.begin(), files.end());
    return readable_.count(path) != 0;
  }

 private:
  const std::span<const char* const> args_;
  const std::string log_file_;
  std::set<std::string> readable_;
};

}  // namespace

std::vector<std::string> FilesNamedBy(const Settings& settings,
                                      std::span<const char* const> args) {
  std::vector<std::string> files = settings.tls_chain_files;
  files.insert(files.end(), settings.tls_stapling_files.begin(),
               settings.tls_stapling_files.end());
  for (const std::string& file :
       {settings.tls_cert_file, settings.tls_key_file, settings.tls_CAfile,
        settings.tls_CApath, settings.tls_ticket_key_file,
        settings.backend_tls_CAfile, settings.backend_tls_CApath,
        FindSettingsFile(args)}) {
    files.push_back(file);
  }
  if (!settings.tls_server_sni_maps.empty()) {
    files.push_back(MapPath(settings.tls_server_sni_maps));
    const std::vector<std::string> named =
        FilesInSniMap(settings.tls_server_sni_maps);
    files.insert(files.end(), named.begin(), named.end());
  }
  files.erase(std::remove(files.begin(), files.end(), std::string()),
              files.end());
  return files;
}

absl::StatusOr<std::unique_ptr<Walls>> Walls::Build(
    const Settings& settings, std::span<const char* const> args) {
  auto identity = FindIdentity(settings);
  if (!identity.ok()) return identity.status();
  std::unique_ptr<Walls> walls(
      new Walls(*std::move(identity), settings.sandbox));
  if (!walls->sandbox_ && !walls->identity_.has_value()) return walls;
  if (walls->sandbox_) HideMemory();
  const std::vector<FileRule> keeper_rules = KeeperRules(settings);
  auto keeper = FileKeeper::Start(
      [names = std::make_shared<NamedFiles>(args, settings.log_file)](
          const std::string& path, FileUse use) {
        return names->Has(path, use);
      },
      [&] {
        KeepFileCapabilities();
        if (!settings.sandbox) return;
        RestrictFiles(keeper_rules);
        FilterSyscalls();
      });
  if (!keeper.ok()) return keeper.status();
  walls->keeper_ = *std::move(keeper);
  SetFileOpener(walls->keeper_.get());
  if (!walls->sandbox_) return walls;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Held open for ever: see kOwnProcess.
  open(kOwnProcess, O_PATH | O_CLOEXEC);
  walls->landlock_version_ = RestrictFiles(ServerRules(settings));
  return walls;
}

Walls::~Walls() { SetFileOpener(nullptr); }

absl::StatusOr<std::string> Walls::Close() {
  std::vector<std::string> built;
  if (identity_.has_value()) {
    const absl::Status became = Become(*identity_);
    if (!became.ok()) return became;
    // Who changes its user is as fs.suid_dumpable says from then on: hidden,
    // which is not wanted without a sandbox, or on some systems not.
    prctl(PR_SET_DUMPABLE, sandbox_ ? 0 : 1, 0, 0, 0);
  }
  built.push_back(absl::StrFormat("user id %d", geteuid()));
  if (!sandbox_) {
    built.push_back("no sandbox (sandbox = no)");
    return absl::StrJoin(built, ", ");
  }
  built.push_back("no new privileges");
  // Ports have been bound, and files are opened by the keeper.
  if (!DropCapabilities()) built.push_back("capabilities of some threads");
  built.push_back(
      landlock_version_ > 0
          ? absl::StrFormat("Landlock %d", landlock_version_)
          : "no Landlock (the kernel has none, or does not let us)");
  built.push_back(FilterSyscalls()
                      ? "system calls filtered"
                      : "no system call filter (the kernel has none)");
  return absl::StrJoin(built, ", ");
}

}  // namespace tlspost
