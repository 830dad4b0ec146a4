// The vectors of RFC 4648, every octet, and what is no base64.

#include "common/smtp/base64.h"

#include <string>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

TEST(Base64, Rfc4648_10_TestVectors) {
  const char* vectors[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
  for (const auto& [octets, text] : vectors) {
    EXPECT_EQ(EncodeBase64(octets), text);
    EXPECT_EQ(DecodeBase64(text), octets);
  }
}

TEST(Base64, EveryOctetThereAndBack) {
  std::string octets;
  for (int i = 0; i < 256; ++i) octets.push_back(static_cast<char>(i));
  EXPECT_EQ(DecodeBase64(EncodeBase64(octets)), octets);
  EXPECT_NE(EncodeBase64(octets).find('+'), std::string::npos);
  EXPECT_NE(EncodeBase64(octets).find('/'), std::string::npos);
}

TEST(Base64, WhatIsNone) {
  for (const char* text :
       {"a b", "*", "a=b", "Zg===", "-", "_", "a\r", "\x80"}) {
    EXPECT_FALSE(IsBase64(text)) << text;
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
  for (const char* text : {"", "=", "==", "A", "Zg"}) {
    EXPECT_TRUE(IsBase64(text)) << text;
  }
}

}  // namespace
}  // namespace tlspost::smtp
