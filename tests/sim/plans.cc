// Plans of clients that say what they are told.

#include "tests/sim/plans.h"

#include <algorithm>

namespace tlspost::sim {

ClientPlan Saying(const std::vector<std::string>& lines, io::Duration pause) {
  ClientPlan plan;
  for (const std::string& line : lines) plan.raw.push_back({line + "\r\n", 1});
  plan.pause = pause;
  return plan;
}

ClientPlan SayingOften(const std::string& line, int times) {
  return Saying(std::vector<std::string>(static_cast<size_t>(times), line));
}

ClientPlan SayingAtOnce(const std::string& line, int times) {
  ClientPlan plan;
  std::string bytes;
  for (int i = 0; i < times; ++i) bytes += line + "\r\n";
  plan.raw = {{bytes, times}};
  return plan;
}

ClientPlan Dripping(std::string_view bytes, io::Duration pause) {
  ClientPlan plan;
  for (const char octet : bytes) {
    plan.raw.push_back({std::string(1, octet), 0});
  }
  plan.pause = pause;
  return plan;
}

int CountReplies(const SimClient& client, std::string_view start) {
  return static_cast<int>(std::count_if(
      client.replies().begin(), client.replies().end(),
      [start](const std::string& reply) { return reply.starts_with(start); }));
}

bool HasHeard(const SimClient& client, std::string_view words) {
  return std::any_of(client.replies().begin(), client.replies().end(),
                     [words](const std::string& reply) {
                       return reply.find(words) != std::string::npos;
                     });
}

std::string Codes(const SimClient& client, size_t first) {
  std::string codes;
  for (size_t i = first; i < client.replies().size(); ++i) {
    codes += (codes.empty() ? "" : " ") + client.replies()[i].substr(0, 3);
  }
  return codes;
}

int CountWords(std::string_view text, std::string_view words) {
  int count = 0;
  for (size_t at = text.find(words); at != std::string_view::npos;
       at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

std::string LastReply(const SimClient& client) {
  return client.replies().empty() ? "" : client.replies().back();
}

}  // namespace tlspost::sim
