// Finding: one thing that `tlspost check` has looked at, and its verdict.
//
// Plain values; how they are printed is in check_report.h.

#ifndef TLSPOST_PROXY_CHECK_FINDING_H_
#define TLSPOST_PROXY_CHECK_FINDING_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tlspost {

enum class Verdict {
  kOk,
  kNote,  // could not be seen, or is good to know; nothing is wrong
  kWarn,  // works, and is probably not what is wanted
  kFail,  // does not work, or is dangerous
};

struct Finding {
  Verdict verdict;
  std::string area;   // "settings", "certificates", "machine", "backend"
  std::string thing;  // a file, an address, a setting
  std::string text;  // one line: what about it and, where it is bad, the remedy
};

// The findings of one area, in the order in which they were made.
class AreaFindings {
 public:
  AreaFindings(std::string_view area, std::vector<Finding>& findings)
      : area_(area), findings_(findings) {}

  void Ok(std::string_view thing, std::string_view text) {
    Add(Verdict::kOk, thing, text);
  }
  void Note(std::string_view thing, std::string_view text) {
    Add(Verdict::kNote, thing, text);
  }
  void Warn(std::string_view thing, std::string_view text) {
    Add(Verdict::kWarn, thing, text);
  }
  void Fail(std::string_view thing, std::string_view text) {
    Add(Verdict::kFail, thing, text);
  }
  void Add(Verdict verdict, std::string_view thing, std::string_view text) {
    findings_.push_back(
        {verdict, area_, std::string(thing), std::string(text)});
  }

 private:
  const std::string area_;
  std::vector<Finding>& findings_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHECK_FINDING_H_
