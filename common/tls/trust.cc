#include "common/tls/trust.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate.h"

namespace tlspost::tls {

namespace {

// As OpenSSL looks them up: the hash of the subject, a dot and a number.
bool IsHashLink(const std::string& name) {
  constexpr size_t kHashDigits = 8;
  const size_t dot = name.find('.');
  return dot == kHashDigits && dot + 1 < name.size() &&
         name.find_first_not_of("0123456789abcdef") == dot &&
         name.find_first_not_of("0123456789", dot + 1) == std::string::npos;
}

// What `openssl rehash` looks at.
bool LooksLikeCertificate(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".pem" || extension == ".crt" || extension == ".cer";
}

absl::Status AddDirectory(const std::string& path, X509_STORE* store,
                          std::vector<std::string>* warnings) {
  std::error_code error;
  std::filesystem::directory_iterator entries(path, error);
  if (error) {
    return MakeStatus(
        absl::StatusCode::kInvalidArgument,
        "CA directory " + path +
            " is not a directory that can be read; correct the path");
  }
  bool any_link = false;
  bool any_certificate = false;
  for (; !error && entries != std::filesystem::directory_iterator();
       entries.increment(error)) {
    any_link = any_link || IsHashLink(entries->path().filename().string());
    any_certificate = any_certificate || LooksLikeCertificate(entries->path());
  }
  if (!any_link && any_certificate) {
    warnings->push_back("CA directory " + path +
                        " holds certificates but no hash links to them, so "
                        "none is found; make the links with: openssl rehash " +
                        path);
  } else if (!any_link) {
    warnings->push_back("CA directory " + path +
                        " holds no certificates; put them there, then run: "
                        "openssl rehash " +
                        path);
  }
  TLSPOST_CHECK(X509_STORE_load_path(store, path.c_str()) == 1);
  return absl::OkStatus();
}

}  // namespace

size_t CountHashLinks(const std::string& path) {
  std::error_code error;
  std::filesystem::directory_iterator entries(path, error);
  size_t count = 0;
  for (; !error && entries != std::filesystem::directory_iterator();
       entries.increment(error)) {
    if (IsHashLink(entries->path().filename().string())) ++count;
  }
  return count;
}

std::string FingerprintOfTrust(const TrustSources& sources) {
  std::string print = sources.ca_pem;
  if (!sources.ca_file.empty()) {
    const absl::StatusOr<PemText> file =
        ReadPemFile("CA file", sources.ca_file);
    if (file.ok()) print += file->text;
  }
  if (sources.ca_path.empty()) return print;
  std::vector<std::string> entries;
  std::error_code error;
  std::filesystem::directory_iterator entry(sources.ca_path, error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    // What cannot be looked at counts by its name.
    std::error_code ignored;
    entries.push_back(
        entry->path().filename().string() + " " +
        std::to_string(entry->file_size(ignored)) + " " +
        std::to_string(
            entry->last_write_time(ignored).time_since_epoch().count()));
  }
  std::sort(entries.begin(), entries.end());
  for (const std::string& line : entries) print.append("\n").append(line);
  return print;
}

absl::StatusOr<size_t> AddTrust(const TrustSources& sources,
                                OSSL_LIB_CTX* library, SSL_CTX* context,
                                std::vector<std::string>* warnings) {
  std::vector<PemText> texts;
  if (!sources.ca_file.empty()) {
    absl::StatusOr<PemText> file = ReadPemFile("CA file", sources.ca_file);
    if (!file.ok()) return file.status();
    texts.push_back(*std::move(file));
  }
  if (!sources.ca_pem.empty()) {
    texts.push_back({"CA certificate", "given as text", sources.ca_pem});
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  for (const PemText& text : texts) {
    auto certificates = ParseCertificates(library, text);
    if (!certificates.ok()) return certificates.status();
    for (const X509Handle& certificate : *certificates) {
      TLSPOST_CHECK(X509_STORE_add_cert(store, certificate.get()) == 1);
      // Clients with several certificates choose by the authorities' names.
      TLSPOST_CHECK(SSL_CTX_add_client_CA(context, certificate.get()) == 1);
    }
    count += certificates->size();
  }
  if (sources.ca_path.empty()) return count;
  absl::Status directory = AddDirectory(sources.ca_path, store, warnings);
  if (!directory.ok()) return directory;
  return count;
}

}  // namespace tlspost::tls
