// Pairs of PEM files, and SNI maps.

#include "proxy/certificate_files.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/smtp/text.h"
#include "common/tls/pem_file.h"

namespace tlspost {
namespace {

struct PemKinds {
  bool key = false;
  bool certificate = false;
};

absl::StatusOr<PemKinds> KindsIn(const std::string& path) {
  absl::StatusOr<tls::PemText> pem = tls::ReadPemFile("PEM file", path);
  if (!pem.ok()) return pem.status();
  PemKinds kinds;
  for (const tls::PemBlock& block : tls::SplitPem(pem->text)) {
    kinds.key = kinds.key || block.label.ends_with("PRIVATE KEY");
    kinds.certificate =
        kinds.certificate || block.label.ends_with("CERTIFICATE");
  }
  if (kinds.key || kinds.certificate) return kinds;
  return Invalid("PEM file " + path +
                 " holds neither a key nor a certificate; name the files that "
                 "do");
}

// The files of a list as they come, until both halves of a pair are there.
class Pairing {
 public:
  absl::Status Add(const std::string& path) {
    const absl::StatusOr<PemKinds> kinds = KindsIn(path);
    if (!kinds.ok()) return kinds.status();
    if (kinds->key && kinds->certificate) {
      absl::Status complete = CheckComplete();
      if (!complete.ok()) return complete;
      tls::CertificateSource source;
      source.cert_file = source.key_file = path;
      sources_.push_back(std::move(source));
      return absl::OkStatus();
    }
    std::string& half = kinds->key ? pending_.key_file : pending_.cert_file;
    if (!half.empty()) return CheckComplete();
    half = path;
    if (!pending_.key_file.empty() && !pending_.cert_file.empty()) {
      sources_.push_back(std::exchange(pending_, {}));
    }
    return absl::OkStatus();
  }

  absl::Status CheckComplete() const {
    if (!pending_.key_file.empty()) {
      return Invalid("key file " + pending_.key_file +
                     " has no certificate beside it; name the certificate's "
                     "file behind it");
    }
    if (!pending_.cert_file.empty()) {
      return Invalid("certificate file " + pending_.cert_file +
                     " has no key in it or beside it; name the key's file "
                     "before it");
    }
    return absl::OkStatus();
  }

  std::vector<tls::CertificateSource>& sources() { return sources_; }

 private:
  tls::CertificateSource pending_;
  std::vector<tls::CertificateSource> sources_;
};

// One line of a map, with those that continue it.
struct MapEntry {
  size_t line = 0;
  std::string text;
};

std::vector<MapEntry> SplitMap(std::string_view text) {
  std::vector<MapEntry> entries;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.ends_with('\r')) content.remove_suffix(1);
    const std::string_view trimmed = smtp::TrimBlanks(content);
    if (trimmed.empty() || trimmed.front() == '#') continue;
    const bool continues = trimmed.data() != content.data();
    if (continues && !entries.empty()) {
      entries.back().text.append(" ").append(trimmed);
    } else {
      entries.push_back({line, std::string(trimmed)});
    }
  }
  return entries;
}

std::vector<std::string> SplitFiles(std::string_view text) {
  constexpr std::string_view kSeparators = ", \t";
  std::vector<std::string> files;
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return files;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kSeparators), text.size());
    files.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> FilesOf(const std::vector<MapEntry>& entries) {
  std::vector<std::string> files;
  for (const MapEntry& entry : entries) {
    std::string_view rest = entry.text;
    smtp::TakeWord(rest);
    const std::vector<std::string> named = SplitFiles(rest);
    files.insert(files.end(), named.begin(), named.end());
  }
  return files;
}

}  // namespace

absl::StatusOr<std::vector<tls::CertificateSource>> PairPemFiles(
    std::span<const std::string> files) {
  Pairing pairing;
  for (const std::string& file : files) {
    absl::Status status = pairing.Add(file);
    if (!status.ok()) return status;
  }
  absl::Status complete = pairing.CheckComplete();
  if (!complete.ok()) return complete;
  return std::move(pairing.sources());
}

std::string MapPath(const std::string& text) {
  for (const std::string_view type :
       {"texthash:", "hash:", "lmdb:", "cdb:", "btree:"}) {
    if (text.starts_with(type)) return text.substr(type.size());
  }
  return text;
}

std::vector<std::string> FilesInSniMap(const std::string& path) {
  const absl::StatusOr<tls::PemText> file =
      tls::ReadPemFile("SNI map", MapPath(path));
  if (!file.ok()) return {};
  return FilesOf(SplitMap(file->text));
}

absl::StatusOr<std::vector<tls::NamedCertificates>> ReadSniMap(
    const std::string& path, std::vector<std::string>& files) {
  absl::StatusOr<tls::PemText> file =
      tls::ReadPemFile("SNI map", MapPath(path));
  if (!file.ok()) return file.status();
  std::vector<tls::NamedCertificates> map;
  std::set<std::string> names;
  const std::vector<MapEntry> entries = SplitMap(file->text);
  const std::vector<std::string> all = FilesOf(entries);
  files.insert(files.end(), all.begin(), all.end());
  for (const MapEntry& entry : entries) {
    std::string_view rest = entry.text;
    const std::string_view name = smtp::TakeWord(rest);
    const std::string where =
        MapPath(path) + ":" + std::to_string(entry.line) + ": ";
    const std::vector<std::string> named = SplitFiles(rest);
    if (named.empty()) {
      return Invalid(where + std::string(name) +
                     " has no files; write the name, a blank and its PEM "
                     "files");
    }
    if (!names.insert(std::string(name)).second) {
      return Invalid(where + std::string(name) +
                     " has an entry already; give all its files in one");
    }
    auto certificates = PairPemFiles(named);
    if (!certificates.ok()) {
      return Invalid(where + std::string(MessageOf(certificates.status())));
    }
    map.push_back({std::string(name), *std::move(certificates)});
  }
  return map;
}

absl::Status NameCertificates(const Settings& settings,
                              const tls::CertificateSource& given,
                              tls::ServerTlsOptions& options,
                              std::vector<std::string>& files) {
  if (!settings.tls_chain_files.empty()) {
    files.insert(files.end(), settings.tls_chain_files.begin(),
                 settings.tls_chain_files.end());
    auto paired = PairPemFiles(settings.tls_chain_files);
    if (!paired.ok()) return paired.status();
    options.certificates = *std::move(paired);
  } else {
    tls::CertificateSource source = given;
    source.cert_file = settings.tls_cert_file;
    source.key_file = settings.tls_key_file;
    options.certificates.push_back(std::move(source));
    for (const std::string& file :
         {settings.tls_cert_file, settings.tls_key_file}) {
      if (!file.empty()) files.push_back(file);
    }
  }
  if (settings.tls_server_sni_maps.empty()) return absl::OkStatus();
  files.push_back(MapPath(settings.tls_server_sni_maps));
  auto map = ReadSniMap(settings.tls_server_sni_maps, files);
  if (!map.ok()) return map.status();
  options.named_certificates = *std::move(map);
  return absl::OkStatus();
}

}  // namespace tlspost
