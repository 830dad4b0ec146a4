// What of main.cf corresponds to which settings: declared once, for the import
// and for the README's table.

#ifndef TLSPOST_PROXY_IMPORT_POSTFIX_TABLE_H_
#define TLSPOST_PROXY_IMPORT_POSTFIX_TABLE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tlspost {

// How values get from a row's parameters into its settings.
enum class Conversion {
  kSame,  // one by one, in their order, each as its setting writes it
  kCertificates,
  kServerLevel,
  kWrapperMode,
  kServerProtocols,
  kCiphers,
  kNetworks,
  kEhloWords,
  kBareNewline,
  kClientLevel,
  kClientProtocols,
  kListen,
  kTimeout,
  kMinimumRate,
};

struct PostfixRow {
  std::string_view parameters;  // parted by ", "
  std::string_view settings;    // likewise
  std::string_view different;   // what a reader must know; Markdown
  Conversion conversion = Conversion::kSame;
};
std::span<const PostfixRow> PostfixRows();

// Parameters about TLS or clients' limits that have no counterpart, and why
// that is no loss.
struct PostfixRemark {
  std::string_view parameter;
  std::string_view why;
};
std::span<const PostfixRemark> PostfixRemarks();

// What stays Postfix's and works otherwise behind us, by the beginning of the
// parameters' names.
std::span<const PostfixRemark> PostfixAdvice();

// The names in one cell of a row.
std::vector<std::string_view> NamesIn(std::string_view cell);

// The Markdown table between the markers in README.md.
inline constexpr std::string_view kPostfixTableBegin = "<!-- postfix:begin -->";
inline constexpr std::string_view kPostfixTableEnd = "<!-- postfix:end -->";
std::string FormatPostfixTable();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_IMPORT_POSTFIX_TABLE_H_
