#include "common/tls/ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/pem_file.h"
#include "common/tls/secret.h"

namespace tlspost::tls {
namespace {

template <size_t kSize>
void FillRandom(std::array<uint8_t, kSize>& out) {
  // Without randomness there is no TLS at all; there is nothing to fall back
  // to, and predictable ticket keys would open every recorded session.
  TLSPOST_CHECK(RAND_priv_bytes(out.data(), out.size()) == 1);
}

TicketKey NewKey() {
  TicketKey key;
  FillRandom(key.name);
  FillRandom(key.cipher_key);
  FillRandom(key.mac_key);
  return key;
}

bool HasName(const TicketKey& key, std::string_view name) {
  return name.size() == key.name.size() &&
         std::memcmp(name.data(), key.name.data(), name.size()) == 0;
}

// One line, with its end: `openssl rand -base64 80` prints two.
constexpr char kRemedy[] =
    "; make a key with: openssl rand 80 | openssl base64 -A | xargs";

absl::Status Bad(std::string_view title, std::string_view problem) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    std::string(title) + std::string(problem));
}

absl::Status BadLine(std::string_view title, size_t line,
                     const std::string& problem) {
  return Bad(title, ":" + std::to_string(line) + ": " + problem);
}

std::string_view WithoutBlanks(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

// By absl and not by OpenSSL, whose decoder takes a wrong padding.
bool DecodeKey(std::string_view line, TicketKey* key, size_t* octets) {
  std::string decoded;
  std::string encoded(line);
  const bool valid = absl::Base64Unescape(encoded, &decoded);
  Wipe(encoded);
  *octets = decoded.size();
  if (valid && decoded.size() == TicketKeys::kKeyOctets) {
    const char* at = decoded.data();
    std::memcpy(key->name.data(), at, key->name.size());
    at += key->name.size();
    std::memcpy(key->cipher_key.data(), at, key->cipher_key.size());
    at += key->cipher_key.size();
    std::memcpy(key->mac_key.data(), at, key->mac_key.size());
  }
  Wipe(decoded);
  return valid;
}

}  // namespace

TicketKey::~TicketKey() {
  OPENSSL_cleanse(cipher_key.data(), cipher_key.size());
  OPENSSL_cleanse(mac_key.data(), mac_key.size());
}

std::shared_ptr<TicketKeys> TicketKeys::Random() {
  std::shared_ptr<TicketKeys> keys(new TicketKeys);
  keys->keys_.push_back(NewKey());
  return keys;
}

absl::StatusOr<std::vector<TicketKey>> TicketKeys::Parse(
    std::string_view text, std::string_view title) {
  std::vector<TicketKey> keys;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = WithoutBlanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    TicketKey key;
    size_t octets = 0;
    if (!DecodeKey(line, &key, &octets)) {
      return BadLine(title, number,
                     std::string("this is not base64") + kRemedy);
    }
    if (octets != kKeyOctets) {
      return BadLine(title, number,
                     "a ticket key has 80 octets on one line, this has " +
                         std::to_string(octets) + kRemedy);
    }
    for (const TicketKey& other : keys) {
      if (other.name == key.name) {
        return BadLine(title, number,
                       "this key has the same name (its first 16 octets) as "
                       "one before it; remove one of them");
      }
    }
    if (keys.size() == kMaxKeys) {
      return BadLine(title, number,
                     "more than 16 ticket keys are not possible; remove the "
                     "oldest ones");
    }
    keys.push_back(key);
  }
  if (keys.empty())
    return Bad(title, std::string(" holds no ticket key") + kRemedy);
  return keys;
}

absl::StatusOr<std::vector<TicketKey>> TicketKeys::FromFile(
    const std::string& path, bool strict_permissions,
    std::vector<std::string>* warnings) {
  absl::StatusOr<PemText> file =
      ReadPemFile("ticket key file", path, "ticket keys");
  if (!file.ok()) return file.status();
  auto keys = Parse(file->text, file->title());
  if (!keys.ok() || file->permission_problem.empty()) return keys;
  if (strict_permissions) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      file->permission_problem);
  }
  warnings->push_back(file->permission_problem);
  return keys;
}

void TicketKeys::Replace(std::vector<TicketKey> keys) {
  TLSPOST_REQUIRE(!keys.empty() && keys.size() <= kMaxKeys);
  const std::lock_guard<std::mutex> lock(mutex_);
  keys_ = std::move(keys);
}

void TicketKeys::Rotate() {
  std::vector<TicketKey> keys = {NewKey()};
  const std::lock_guard<std::mutex> lock(mutex_);
  keys.push_back(keys_.front());
  keys_ = std::move(keys);
}

TicketKey TicketKeys::Current() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return keys_.front();
}

std::optional<TicketKeys::Found> TicketKeys::Find(std::string_view name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const TicketKey& key : keys_) {
    if (HasName(key, name)) return Found{key, &key != &keys_.front()};
  }
  return std::nullopt;
}

}  // namespace tlspost::tls
