// Lists of PEM files and SNI maps: what belongs together, and what is wrong.

#include "proxy/certificate_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/tls/self_signed.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() {
    const tls::SelfSigned made = tls::GenerateSelfSigned("mx.example");
    cert_ = folder_.Write("cert.pem", made.cert_pem);
    key_ = folder_.Write("key.pem", made.key_pem);
    both_ = folder_.Write("both.pem", made.key_pem + made.cert_pem);
    neither_ = folder_.Write("neither.pem", "hello\n");
  }

  std::string PairError(const std::vector<std::string>& files) {
    return std::string(MessageOf(PairPemFiles(files).status()));
  }
  std::string MapError(const std::string& text) {
    const std::string path = folder_.Write("map", text);
    return std::string(MessageOf(ReadSniMap(path, files_).status()));
  }

  tls::TemporaryFolder folder_;
  std::vector<std::string> files_;  // that the last maps named
  std::string cert_;
  std::string key_;
  std::string both_;
  std::string neither_;
};

TEST_F(CertificateFilesTest, FilesThatHoldBothStandAlone) {
  const auto sources = PairPemFiles(std::vector<std::string>{both_, both_});
  ASSERT_TRUE(sources.ok()) << sources.status();
  ASSERT_EQ(sources->size(), 2u);
  EXPECT_EQ((*sources)[0].cert_file, both_);
  EXPECT_EQ((*sources)[0].key_file, both_);
}

TEST_F(CertificateFilesTest, AKeyAndACertificateArePairedInEitherOrder) {
  for (const auto& files : {std::vector<std::string>{key_, cert_, both_},
                            std::vector<std::string>{cert_, key_, both_}}) {
    const auto sources = PairPemFiles(files);
    ASSERT_TRUE(sources.ok()) << sources.status();
    ASSERT_EQ(sources->size(), 2u);
    EXPECT_EQ((*sources)[0].cert_file, cert_);
    EXPECT_EQ((*sources)[0].key_file, key_);
  }
}

TEST_F(CertificateFilesTest, AHalfIsAnErrorThatNamesIt) {
  EXPECT_THAT(PairError({key_}),
              HasSubstr("key file " + key_ + " has no certificate"));
  EXPECT_THAT(PairError({cert_}),
              HasSubstr("certificate file " + cert_ + " has no key"));
  EXPECT_THAT(PairError({key_, key_}), HasSubstr("has no certificate"));
  EXPECT_THAT(PairError({key_, both_}), HasSubstr("has no certificate"));
  EXPECT_THAT(PairError({neither_}), HasSubstr("neither a key nor"));
  EXPECT_THAT(PairError({folder_.Path("missing")}), HasSubstr("not exist"));
}

TEST_F(CertificateFilesTest, AMapIsReadAsPostmapReadsIt) {
  const std::string path = folder_.Write(
      "map", "# names\n\na.example " + both_ + "\n.b.example\t" + key_ +
                 ",\n  " + cert_ + "\r\nc.example " + both_ + ", " + both_);
  for (const std::string& text : {path, "hash:" + path, "texthash:" + path}) {
    const auto map = ReadSniMap(text, files_);
    ASSERT_TRUE(map.ok()) << map.status();
    ASSERT_EQ(map->size(), 3u);
    EXPECT_EQ((*map)[0].name, "a.example");
    EXPECT_EQ((*map)[1].name, ".b.example");
    EXPECT_EQ((*map)[1].certificates[0].key_file, key_);
    EXPECT_EQ((*map)[1].certificates[0].cert_file, cert_);
    EXPECT_EQ((*map)[2].certificates.size(), 2u);
  }
}

TEST_F(CertificateFilesTest, AMapsErrorsNameTheLine) {
  EXPECT_THAT(MapError("a.example " + both_ + "\n\nb.example\n"),
              HasSubstr("map:3: b.example has no files"));
  EXPECT_THAT(MapError("a.example " + both_ + "\na.example " + both_ + "\n"),
              HasSubstr("map:2: a.example has an entry already"));
  EXPECT_THAT(MapError("a.example " + key_ + "\n"),
              HasSubstr("map:1: key file"));
}

}  // namespace
}  // namespace tlspost
