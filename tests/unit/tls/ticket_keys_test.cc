// Which key seals and which still open, across rotations.

#include "common/tls/ticket_keys.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tlspost::tls
