// ConvertedSettings: the settings that come of a main.cf, row by row of
// postfix_table.h, as lines of a settings file.
//
// Each value is read as the settings file would read it; what would be refused
// becomes a comment that says why. Prints nothing itself.

#ifndef TLSPOST_PROXY_IMPORT_CONVERTED_SETTINGS_H_
#define TLSPOST_PROXY_IMPORT_CONVERTED_SETTINGS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/import/main_cf.h"
#include "proxy/import/postfix_table.h"
#include "proxy/settings.h"

namespace tlspost {

// `text`, of whatever origin, as one comment line.
std::string CommentLine(std::string_view text);

// A time as Postfix writes it ("300", "5m", "1d"; without a unit it is
// seconds) in units that we have; nothing when it is none.
std::optional<std::string> ConvertTime(std::string_view text);

class ConvertedSettings {
 public:
  // `main_cf` outlives this.
  explicit ConvertedSettings(const MainCf& main_cf) : main_cf_(main_cf) {}

  // Appends what `row` makes of main.cf.
  void Convert(const PostfixRow& row);

  const std::string& text() const { return text_; }

  // What would keep all of it from being loaded.
  std::vector<std::string> FindProblems() const;

 private:
  using Values = std::vector<std::string>;

  void ConvertSame(const PostfixRow& row);
  void ConvertOne(std::string_view parameter, std::string_view setting);
  void ConvertCertificates(const PostfixRow& row);
  void ConvertServerLevel();
  void ConvertWrapperMode();
  void ConvertProtocols(std::string_view side, bool is_mandatory,
                        std::string_view setting);
  void ConvertCiphers();
  void ConvertNetworks();
  void ConvertEhloWords();
  void ConvertBareNewline();
  void ConvertClientLevel();
  void ConvertListen();
  void ConvertTimeout();
  void ConvertMinimumRate();

  // The value of a parameter that is set, and not to nothing.
  std::optional<std::string> Find(std::string_view parameter) const;
  bool IsYes(std::string_view parameter) const;
  // Writes the setting, made from `parameter`; more than one value for a list.
  void Set(std::string_view setting, const Values& values,
           std::string_view parameter);
  void Remark(std::string_view text) { text_ += CommentLine(text); }

  const MainCf& main_cf_;
  Settings settings_;
  std::string text_;
  bool has_chain_files_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_IMPORT_CONVERTED_SETTINGS_H_
