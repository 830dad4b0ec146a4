// The error queue: drained for one failure, never left for the next session.

#include "common/tls/openssl_error.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace tlspost::tls {
namespace {

TEST(OpenSslError, IsEmptyWhenTheQueueIs) {
  ClearOpenSslErrors();
  const OpenSslError error = TakeOpenSslError();
  EXPECT_EQ(error.text, "");
  EXPECT_EQ(error.ssl_reason, 0);
  EXPECT_EQ(error.reason, "no reason given");
}

TEST(OpenSslError, PrefersLibsslAndEmptiesTheQueue) {
  ClearOpenSslErrors();
  ERR_raise(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR);
  ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
  const OpenSslError error = TakeOpenSslError();
  EXPECT_EQ(error.ssl_reason, SSL_R_WRONG_VERSION_NUMBER);
  EXPECT_EQ(error.reason, "wrong version number");
  EXPECT_EQ(
      error.text.rfind("error:0A00010B:SSL routines::wrong version number:", 0),
      0u);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(OpenSslError, TakesTheOldestWhenLibsslRaisedNone) {
  ClearOpenSslErrors();
  ERR_raise_data(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE, "the detail");
  ERR_raise(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR);
  const OpenSslError error = TakeOpenSslError();
  EXPECT_EQ(error.ssl_reason, 0);
  EXPECT_EQ(error.reason, "malloc failure");
  EXPECT_NE(error.text.find(":the detail:"), std::string::npos);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace tlspost::tls
