// Which key seals and which still open, across rotations.

#include "common/tls/ticket_keys.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

std::string_view NameOf(const TicketKey& key) {
  return std::string_view(reinterpret_cast<const char*>(key.name.data()),
                          key.name.size());
}

TEST(TicketKeys, FindsTheCurrentKeyByItsName) {
  const auto keys = TicketKeys::Random();
  const TicketKey key = keys->Current();
  const auto found = keys->Find(NameOf(key));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->key.cipher_key, key.cipher_key);
  EXPECT_EQ(found->key.mac_key, key.mac_key);
  EXPECT_FALSE(found->renew);
}

TEST(TicketKeys, OpensWithTheKeyBeforeTheLastRotationAndRenews) {
  const auto keys = TicketKeys::Random();
  const TicketKey old = keys->Current();
  keys->Rotate();
  EXPECT_NE(keys->Current().name, old.name);
  EXPECT_NE(keys->Current().cipher_key, old.cipher_key);
  const auto found = keys->Find(NameOf(old));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->key.cipher_key, old.cipher_key);
  EXPECT_TRUE(found->renew);
}

TEST(TicketKeys, ForgetsAKeyAfterTwoRotations) {
  const auto keys = TicketKeys::Random();
  const TicketKey old = keys->Current();
  keys->Rotate();
  keys->Rotate();
  EXPECT_FALSE(keys->Find(NameOf(old)).has_value());
}

TEST(TicketKeys, DoesNotFindUnknownOrShortNames) {
  const auto keys = TicketKeys::Random();
  const TicketKey key = keys->Current();
  EXPECT_FALSE(keys->Find("0123456789abcdef").has_value());
  EXPECT_FALSE(keys->Find(NameOf(key).substr(0, 15)).has_value());
  EXPECT_FALSE(keys->Find("").has_value());
}

// A line of a key file: a key of 80 times the same letter.
std::string Line(char letter, size_t octets = TicketKeys::kKeyOctets) {
  std::string text;
  absl::Base64Escape(std::string(octets, letter), &text);
  return text + "\n";
}

std::string ErrorOf(const std::string& text) {
  return std::string(MessageOf(TicketKeys::Parse(text, "keys").status()));
}

constexpr char kRemedy[] =
    "; make a key with: openssl rand 80 | openssl base64 -A | xargs";

TEST(TicketKeys, ParsesALineForEachKey) {
  const auto keys = TicketKeys::Parse(
      "# of today\n\n" + Line('a') + "  \t\r\n# of yesterday\n\t" +
          Line('b').substr(0, 108) + " \r\n" + Line('c').substr(0, 108),
      "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto letter = static_cast<uint8_t>('a' + i);
    EXPECT_EQ((*keys)[i].name.back(), letter);
    EXPECT_EQ((*keys)[i].cipher_key.back(), letter);
    EXPECT_EQ((*keys)[i].mac_key.back(), letter);
  }
}

TEST(TicketKeys, ParsesNameThenCipherKeyThenMacKey) {
  std::string text;
  absl::Base64Escape(
      std::string(16, 'n') + std::string(32, 'c') + std::string(32, 'm'),
      &text);
  const auto keys = TicketKeys::Parse(text, "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  const TicketKey& key = keys->front();
  EXPECT_EQ(key.name.front(), 'n');
  EXPECT_EQ(key.name.back(), 'n');
  EXPECT_EQ(key.cipher_key.front(), 'c');
  EXPECT_EQ(key.cipher_key.back(), 'c');
  EXPECT_EQ(key.mac_key.front(), 'm');
  EXPECT_EQ(key.mac_key.back(), 'm');
}

TEST(TicketKeys, SaysWhatIsWrongWithALine) {
  EXPECT_EQ(ErrorOf(""), std::string("keys holds no ticket key") + kRemedy);
  EXPECT_EQ(ErrorOf("# x\n"),
            std::string("keys holds no ticket key") + kRemedy);
  EXPECT_EQ(ErrorOf("#\n!!!\n"),
            std::string("keys:2: this is not base64") + kRemedy);
  // What `openssl rand -base64 80` prints: lines of 64.
  EXPECT_EQ(ErrorOf(Line('a', 48) + Line('b', 32)),
            std::string("keys:1: a ticket key has 80 octets on one line, this "
                        "has 48") +
                kRemedy);
  EXPECT_EQ(ErrorOf(Line('a') + Line('b', 81)),
            std::string("keys:2: a ticket key has 80 octets on one line, this "
                        "has 81") +
                kRemedy);
  EXPECT_EQ(ErrorOf(Line('a') + Line('b') + Line('a')),
            "keys:3: this key has the same name (its first 16 octets) as one "
            "before it; remove one of them");
}

TEST(TicketKeys, TakesSixteenKeysAndNoMore) {
  std::string text;
  for (size_t i = 0; i < TicketKeys::kMaxKeys; ++i) {
    text += Line(static_cast<char>('a' + i));
  }
  EXPECT_TRUE(TicketKeys::Parse(text, "keys").ok());
  EXPECT_EQ(ErrorOf(text + Line('z')),
            "keys:17: more than 16 ticket keys are not possible; remove the "
            "oldest ones");
}

TEST(TicketKeys, ComeFromAFileThatOnlyItsOwnerMayRead) {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  const std::string path = folder.Write("keys", Line('a'));
  EXPECT_TRUE(TicketKeys::FromFile(path, true, &warnings).ok());
  EXPECT_TRUE(warnings.empty());
  folder.Write("keys", Line('a'), 0644);
  const std::string problem = "ticket key file " + path +
                              " holds ticket keys and is open to its group or "
                              "to everybody (mode 0644); close it with: chmod "
                              "600 " +
                              path;
  EXPECT_TRUE(TicketKeys::FromFile(path, false, &warnings).ok());
  EXPECT_EQ(warnings, std::vector<std::string>{problem});
  EXPECT_EQ(MessageOf(TicketKeys::FromFile(path, true, &warnings).status()),
            problem);
  folder.Write("keys", "x\n");
  EXPECT_EQ(MessageOf(TicketKeys::FromFile(path, true, &warnings).status()),
            "ticket key file " + path + ":1: this is not base64" + kRemedy);
  EXPECT_EQ(
      MessageOf(TicketKeys::FromFile("/nowhere", true, &warnings).status()),
      "ticket key file /nowhere does not exist; correct the path, or put "
      "the file there");
}

TEST(TicketKeys, AreReplacedAndAllOfThemOpen) {
  const auto keys = TicketKeys::Random();
  const TicketKey own = keys->Current();
  keys->Replace(*TicketKeys::Parse(Line('a') + Line('b') + Line('c'), "keys"));
  EXPECT_EQ(NameOf(keys->Current()), std::string(16, 'a'));
  EXPECT_FALSE(keys->Find(std::string(16, 'a'))->renew);
  EXPECT_TRUE(keys->Find(std::string(16, 'b'))->renew);
  EXPECT_TRUE(keys->Find(std::string(16, 'c'))->renew);
  EXPECT_FALSE(keys->Find(NameOf(own)).has_value());
}

}  // namespace
}  // namespace tlspost::tls
