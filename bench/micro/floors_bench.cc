// The floors: what no code of ours can be faster than on this machine. Read
// them beside the benchmarks of the same run, never from another one.

#include <benchmark/benchmark.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstring>
#include <string>
#include <string_view>

#include "common/base/check.h"

namespace tlspost {
namespace {

void BM_FloorMemcpy(benchmark::State& state) {
  const std::string from(static_cast<size_t>(state.range(0)), 'x');
  std::string to(from.size(), '\0');
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_FloorMemcpy)->Arg(4096)->Arg(16384);

// A search for each line's end, which is what a reader of lines cannot avoid.
void BM_FloorMemchrPerLine(benchmark::State& state) {
  std::string text;
  while (text.size() + 78 <= static_cast<size_t>(state.range(0))) {
    text += std::string(76, 'x') + "\r\n";
  }
  for (auto _ : state) {
    size_t lines = 0;
    for (size_t at = text.find('\n'); at != std::string::npos;
         at = text.find('\n', at + 1)) {
      ++lines;
    }
    benchmark::DoNotOptimize(lines);
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(text.size()));
}
BENCHMARK(BM_FloorMemchrPerLine)->Arg(16384);

// What a record's decryption costs with the key set up already.
void BM_FloorAesGcm(benchmark::State& state) {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const std::string key(16, 'k');
  const std::string nonce(12, 'n');
  const auto octets = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  TLSPOST_CHECK(
      EVP_DecryptInit_ex2(context, cipher, octets(key), nullptr, nullptr) == 1);
  std::string record(static_cast<size_t>(state.range(0)), 'x');
  auto* data = reinterpret_cast<unsigned char*>(record.data());
  for (auto _ : state) {
    int written = 0;
    EVP_DecryptInit_ex2(context, nullptr, nullptr, octets(nonce), nullptr);
    EVP_DecryptUpdate(context, data, &written, data,
                      static_cast<int>(record.size()));
    benchmark::DoNotOptimize(written);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  EVP_CIPHER_CTX_free(context);
  EVP_CIPHER_free(cipher);
}
BENCHMARK(BM_FloorAesGcm)->Arg(256)->Arg(4096)->Arg(16384);

void SignOnce(EVP_PKEY* key, EVP_MD_CTX* context) {
  unsigned char signature[512];
  size_t length = sizeof(signature);
  const unsigned char text[64] = {};
  TLSPOST_CHECK(EVP_DigestSignInit_ex(context, nullptr, "SHA256", nullptr,
                                      nullptr, key, nullptr) == 1);
  TLSPOST_CHECK(
      EVP_DigestSign(context, signature, &length, text, sizeof(text)) == 1);
  benchmark::DoNotOptimize(length);
}

void BM_FloorSign(benchmark::State& state, EVP_PKEY* key) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  for (auto _ : state) SignOnce(key, context);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
}
void BM_FloorSignP256(benchmark::State& state) {
  BM_FloorSign(state, EVP_EC_gen("P-256"));
}
BENCHMARK(BM_FloorSignP256);
void BM_FloorSignRsa2048(benchmark::State& state) {
  BM_FloorSign(state, EVP_RSA_gen(2048));
}
BENCHMARK(BM_FloorSignRsa2048);

// A server's part: a key of its own, and the secret from the peer's.
void BM_FloorX25519(benchmark::State& state) {
  EVP_PKEY* peer = EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
  for (auto _ : state) {
    EVP_PKEY* own = EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr);
    unsigned char secret[32];
    size_t length = sizeof(secret);
    TLSPOST_CHECK(EVP_PKEY_derive_init(context) == 1);
    TLSPOST_CHECK(EVP_PKEY_derive_set_peer(context, peer) == 1);
    TLSPOST_CHECK(EVP_PKEY_derive(context, secret, &length) == 1);
    benchmark::DoNotOptimize(length);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(own);
  }
  EVP_PKEY_free(peer);
}
BENCHMARK(BM_FloorX25519);

}  // namespace
}  // namespace tlspost
