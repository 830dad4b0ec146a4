#include "proxy/import/converted_settings.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/io/network.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/text.h"
#include "proxy/settings_problems.h"
#include "proxy/settings_table.h"

namespace tlspost {
namespace {

constexpr std::string_view kSeparators = ", \t\r\n";

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kSeparators), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

bool IsDuration(const Setting& setting) {
  return std::holds_alternative<std::chrono::milliseconds Settings::*>(
      setting.member);
}

}  // namespace

std::string CommentLine(std::string_view text) {
  std::string line = "#   ";
  for (const char c : text) line += smtp::IsControl(c) ? ' ' : c;
  return line + '\n';
}

std::optional<std::string> ConvertTime(std::string_view text) {
  char unit = 's';
  if (!text.empty() && !smtp::IsDigit(text.back())) {
    unit = text.back();
    text.remove_suffix(1);
  }
  const std::optional<uint64_t> number = smtp::ParseNumber(text);
  if (!number.has_value() || *number > 1'000'000'000) return std::nullopt;
  switch (unit) {
    case 's':
    case 'm':
    case 'h':
      return std::to_string(*number) + unit;
    case 'd':
      return std::to_string(*number * 24) + 'h';
    case 'w':
      return std::to_string(*number * 24 * 7) + 'h';
    default:
      return std::nullopt;
  }
}

void ConvertedSettings::Convert(const PostfixRow& row) {
  switch (row.conversion) {
    case Conversion::kSame:
      return ConvertSame(row);
    case Conversion::kCertificates:
      return ConvertCertificates(row);
    case Conversion::kServerLevel:
      return ConvertServerLevel();
    case Conversion::kWrapperMode:
      return ConvertWrapperMode();
    case Conversion::kServerProtocols:
      return ConvertProtocols(
          "smtpd", settings_.tls_security_level == TlsSecurityLevel::kEncrypt,
          row.settings);
    case Conversion::kCiphers:
      return ConvertCiphers();
    case Conversion::kNetworks:
      return ConvertNetworks();
    case Conversion::kEhloWords:
      return ConvertEhloWords();
    case Conversion::kBareNewline:
      return ConvertBareNewline();
    case Conversion::kClientLevel:
      return ConvertClientLevel();
    case Conversion::kClientProtocols:
      return ConvertProtocols(
          "smtp",
          settings_.backend_tls_security_level >= BackendTlsLevel::kEncrypt,
          row.settings);
    case Conversion::kListen:
      return ConvertListen();
    case Conversion::kTimeout:
      return ConvertTimeout();
    case Conversion::kMinimumRate:
      return ConvertMinimumRate();
  }
}

std::vector<std::string> ConvertedSettings::FindProblems() const {
  Settings settings = settings_;
  if (settings.tls_key_file.empty()) {
    settings.tls_key_file = settings.tls_cert_file;
  }
  std::vector<std::string> problems;
  for (const SettingsProblem& problem : FindSettingsProblems(settings)) {
    problems.push_back(std::string(problem.setting) + ": " + problem.text);
  }
  return problems;
}

std::optional<std::string> ConvertedSettings::Find(
    std::string_view parameter) const {
  std::optional<std::string> value = main_cf_.Find(parameter);
  if (value.has_value() && value->empty()) return std::nullopt;
  return value;
}

bool ConvertedSettings::IsYes(std::string_view parameter) const {
  return smtp::EqualsIgnoreCase(Find(parameter).value_or(""), "yes");
}

void ConvertedSettings::Set(std::string_view name, const Values& values,
                            std::string_view parameter) {
  const Setting& setting = *FindSetting(name);
  Settings changed = settings_;
  ClearList(setting, changed);
  for (const std::string& value : values) {
    const absl::Status status = SetFromText(setting, value, changed);
    if (status.ok()) continue;
    return Remark(absl::StrFormat(
        "%s = %s: not taken over, %s %s", std::string(parameter), value,
        std::string(name), std::string(MessageOf(status))));
  }
  settings_ = std::move(changed);
  absl::StrAppendFormat(&text_, "%s = %s  # %s\n", std::string(name),
                        FormatTomlValue(setting, settings_),
                        std::string(parameter));
}

// --- one to one -------------------------------------------------------------

void ConvertedSettings::ConvertSame(const PostfixRow& row) {
  const std::vector<std::string_view> parameters = NamesIn(row.parameters);
  const std::vector<std::string_view> settings = NamesIn(row.settings);
  for (size_t i = 0; i < parameters.size(); ++i) {
    ConvertOne(parameters[i], settings[i]);
  }
}

void ConvertedSettings::ConvertOne(std::string_view parameter,
                                   std::string_view name) {
  const std::optional<std::string> value = Find(parameter);
  if (!value.has_value()) return;
  const Setting& setting = *FindSetting(name);
  if (setting.repeatable()) return Set(name, Words(*value), parameter);
  if (!IsDuration(setting)) return Set(name, {*value}, parameter);
  Set(name, {ConvertTime(*value).value_or(*value)}, parameter);
}

// --- TLS with clients -------------------------------------------------------

// Both rows at once, since a second certificate makes a list of the first one,
// too: each key before its chain.
void ConvertedSettings::ConvertCertificates(const PostfixRow& row) {
  if (row.settings == "tls_chain_files") {
    if (has_chain_files_) return;
    const auto files = Find("smtpd_tls_chain_files");
    if (files.has_value()) {
      Set("tls_chain_files", Words(*files), "smtpd_tls_chain_files");
    }
    return;
  }
  const auto chain_files = Find("smtpd_tls_chain_files");
  if (chain_files.has_value()) return;  // they win, as in Postfix
  const auto rsa = Find("smtpd_tls_cert_file");
  const auto ecdsa = Find("smtpd_tls_eccert_file");
  if (!ecdsa.has_value()) {
    ConvertOne("smtpd_tls_cert_file", "tls_cert_file");
    if (rsa.has_value()) ConvertOne("smtpd_tls_key_file", "tls_key_file");
    return;
  }
  Values files = {Find("smtpd_tls_eckey_file").value_or(*ecdsa), *ecdsa};
  if (rsa.has_value()) {
    files.push_back(Find("smtpd_tls_key_file").value_or(*rsa));
    files.push_back(*rsa);
  }
  // A file that holds both is named once.
  files.erase(std::unique(files.begin(), files.end()), files.end());
  Set("tls_chain_files", files, "smtpd_tls_cert_file, smtpd_tls_eccert_file");
  has_chain_files_ = true;
}

void ConvertedSettings::ConvertServerLevel() {
  if (Find("smtpd_tls_security_level").has_value()) {
    return ConvertOne("smtpd_tls_security_level", "tls_security_level");
  }
  if (IsYes("smtpd_enforce_tls")) {
    Set("tls_security_level", {"encrypt"}, "smtpd_enforce_tls");
  } else if (IsYes("smtpd_use_tls")) {
    Set("tls_security_level", {"may"}, "smtpd_use_tls");
  }
}

void ConvertedSettings::ConvertWrapperMode() {
  if (!IsYes("smtpd_tls_wrappermode")) return;
  Set("listen_tls", {"0.0.0.0:465"}, "smtpd_tls_wrappermode");
}

void ConvertedSettings::ConvertProtocols(std::string_view side,
                                         bool is_mandatory,
                                         std::string_view setting) {
  const std::string plain = std::string(side) + "_tls_protocols";
  const std::string mandatory = std::string(side) + "_tls_mandatory_protocols";
  const std::string& used = is_mandatory ? mandatory : plain;
  const std::string& other = is_mandatory ? plain : mandatory;
  const auto value = Find(used);
  if (value.has_value()) {
    const auto versions = ParseTlsProtocols(*value);
    if (versions.ok()) {
      Set(setting, {*value}, used);
    } else {
      Remark(absl::StrFormat("%s: not taken over, %s", used,
                             std::string(MessageOf(versions.status()))));
    }
  }
  const auto unused = Find(other);
  if (unused.has_value() && unused != value) {
    Remark(absl::StrFormat("%s = %s: does not apply at this security level",
                           other, *unused));
  }
}

// A grade stands for a list that Postfix has built in, unless main.cf has
// another one; our own default is as strict as any grade.
void ConvertedSettings::ConvertCiphers() {
  const bool is_mandatory =
      settings_.tls_security_level == TlsSecurityLevel::kEncrypt;
  const std::string grade_name =
      is_mandatory ? "smtpd_tls_mandatory_ciphers" : "smtpd_tls_ciphers";
  const std::string grade = Find(grade_name).value_or("medium");
  const std::string list_name = "tls_" + grade + "_cipherlist";
  const auto list = Find(list_name);
  const auto excluded = Find("smtpd_tls_exclude_ciphers");
  if (list.has_value()) {
    std::string ciphers = *list;
    for (const std::string& word : Words(excluded.value_or(""))) {
      ciphers += ":!" + word;
    }
    return Set("tls_cipherlist", {ciphers}, list_name);
  }
  for (const std::string& name :
       {grade_name, std::string("smtpd_tls_exclude_ciphers")}) {
    const auto value = Find(name);
    if (!value.has_value()) continue;
    Remark(
        absl::StrFormat("%s = %s: not taken over, as tls_cipherlist has no "
                        "grades; its default is forward secrecy and AEAD "
                        "first",
                        name, *value));
  }
}

// --- other settings of clients ----------------------------------------------

void ConvertedSettings::ConvertNetworks() {
  constexpr std::string_view kParameter = "smtpd_client_event_limit_exceptions";
  const auto value = Find(kParameter);
  if (!value.has_value()) return;
  Values networks;
  for (const std::string& word : Words(*value)) {
    if (io::Network::Parse(word).ok()) {
      networks.push_back(word);
    } else {
      Remark(absl::StrFormat("%s: %s is no network and not taken over",
                             std::string(kParameter), word));
    }
  }
  if (!networks.empty()) {
    Set("client_event_limit_exceptions", networks, kParameter);
  }
}

void ConvertedSettings::ConvertEhloWords() {
  constexpr std::string_view kParameter = "smtpd_discard_ehlo_keywords";
  const auto value = Find(kParameter);
  if (!value.has_value()) return;
  Values keywords;
  for (const std::string& word : Words(*value)) {
    smtp::EhloCapabilities none;
    if (smtp::Discard(word, none)) {
      keywords.push_back(word);
    } else if (!smtp::EqualsIgnoreCase(word, "silent-discard")) {
      Remark(absl::StrFormat("%s: %s is never offered to clients",
                             std::string(kParameter), word));
    }
  }
  if (!keywords.empty()) Set("discard_ehlo_keywords", keywords, kParameter);
}

void ConvertedSettings::ConvertBareNewline() {
  constexpr std::string_view kParameter = "smtpd_forbid_bare_newline";
  const auto value = Find(kParameter);
  if (!value.has_value()) return;
  if (smtp::EqualsIgnoreCase(*value, "reject")) {
    return Set("bare_newline", {"reject"}, kParameter);
  }
  Set("bare_newline", {"normalize"}, kParameter);
  if (!smtp::EqualsIgnoreCase(*value, "normalize") &&
      !smtp::EqualsIgnoreCase(*value, "yes")) {
    Remark(absl::StrFormat("%s = %s: a bare newline never ends a message here",
                           std::string(kParameter), *value));
  }
}

// Empty means all; what is not an address is a name that is looked up.
void ConvertedSettings::ConvertListen() {
  const auto interfaces = Find("inet_interfaces");
  if (!interfaces.has_value()) return;
  const Values protocols = Words(Find("inet_protocols").value_or("all"));
  const auto has = [&protocols](std::string_view protocol) {
    return std::any_of(protocols.begin(), protocols.end(),
                       [&](const std::string& word) {
                         return word == protocol || word == "all";
                       });
  };
  Values addresses;
  for (const std::string& word : Words(*interfaces)) {
    const bool is_all = word == "all";
    if (is_all || word == "loopback-only") {
      if (has("ipv4"))
        addresses.push_back(is_all ? "0.0.0.0:25" : "127.0.0.1:25");
      if (has("ipv6")) addresses.push_back(is_all ? "[::]:25" : "[::1]:25");
      continue;
    }
    const bool is_bare_ipv6 =
        word.front() != '[' && word.find(':') != std::string::npos;
    addresses.push_back((is_bare_ipv6 ? "[" + word + "]" : word) + ":25");
  }
  Set("listen", addresses, "inet_interfaces, inet_protocols");
}

void ConvertedSettings::ConvertTimeout() {
  ConvertOne("smtpd_timeout", "command_timeout");
  ConvertOne("smtpd_timeout", "data_timeout");
}

void ConvertedSettings::ConvertMinimumRate() {
  ConvertOne("smtpd_min_data_rate", "min_data_rate");
}

// --- TLS to the backend -----------------------------------------------------

// Postfix's level is for the servers that it delivers to. Between us and
// Postfix it can be kept, as far as we have it.
void ConvertedSettings::ConvertClientLevel() {
  constexpr std::string_view kParameter = "smtp_tls_security_level";
  constexpr std::string_view kSetting = "backend_tls_security_level";
  const auto value = Find(kParameter);
  if (!value.has_value()) return;
  if (*value == "secure" || *value == "verify") {
    return Set(kSetting, {"verify"}, kParameter);
  }
  if (*value == "dane" || *value == "dane-only" || *value == "fingerprint") {
    return Remark(absl::StrFormat(
        "%s = %s: not taken over, as a backend is not found by DNSSEC; see "
        "backend_tls_security_level",
        std::string(kParameter), *value));
  }
  Set(kSetting, {*value}, kParameter);
}

}  // namespace tlspost
