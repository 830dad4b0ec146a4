"""For each rule, text that it must reject and text that it must accept. A rule
without both, or one that does not fire, fails the lint."""

HEAD = "// What it is.\n"


def body(statement):
    """A coroutine with `statement` in it."""
    return f"{HEAD}Task<int> Run() {{\n  {statement}\n  co_return 1;\n}}\n"


# name: (path, rejected texts, accepted texts)
EXAMPLES = {
    "coroutine-lambda": ("proxy/a.cc", [
        body("co_await Each([this] { Stop(); });"),
        body("auto x = co_await Each(\n      names,\n"
             "      [&list](int i) mutable { list.Add(i); });"),
        body("CO_TRY(co_await Each([p = std::move(q)]() -> int {"
             " return *p; }));"),
    ], [
        body("auto stop = [this] { Stop(); };\n  co_await Each(stop);"),
        body("co_await Each(list[i], ports[0]);"),
    ]),
    "coroutine-conditional": ("proxy/a.cc", [
        body("co_await (fast ? Fast() : Slow());"),
        body("auto x = co_await Call(\n      late\n          ? X(1)\n"
             "          : X(2));"),
        body("CO_TRY_LET(x, co_await Call(a ? b : c));"),
    ], [
        body('co_await Say("what?");  // why?'),
        body("int n = a ? 1 : 2;\n  co_await Call(n);"),
        body("if (co_await Ready()) {\n    n = a ? 1 : 2;\n  }"),
    ]),
    "coroutine-brace": ("proxy/a.cc", [
        body("co_await Call({.a = x, .b = y});"),
        body("co_await Call(Args{x, y});"),
        body("co_await Mem{}.Call();"),
        body("Pair p{.a = co_await Left(), .b = co_await Right()};"),
        body("auto x = T{co_await Call()};"),
        body("CO_TRY(co_await Call(first,\n                     {second}));"),
        body("if (auto x = co_await Call(Args{1}); x) {\n    Stop();\n  }"),
    ], [
        body("const Args args{x, y};\n  co_await Call(args);"),
        body("if (co_await Call(x)) {\n    Stop();\n  }"),
        body("while (!inbox.empty()) {\n    co_await Call(x);\n  }"),
        body("switch (n) {\n    case 1: {\n      CO_TRY(co_await Call(x));\n"
             "      break;\n    }\n  }"),
        body("for (int i = 0; i < n; ++i) co_await Call(i);"),
    ]),
    "coroutine-binding": ("proxy/a.cc", [
        body("auto [a, b] = co_await Call();"),
        body("const auto& [a,\n              b] = co_await Call();"),
    ], [
        body("auto pair = co_await Call();\n  auto& [a, b] = pair;"),
    ]),
    "coroutine-expression": ("proxy/a.cc", [
        HEAD + "#define TRY(x) ({ auto r = co_await x; \\\n  r; })\n",
        body("int x = ({ int r = co_await Call(); r; });"),
    ], [
        HEAD + "#define TRY(x) do { auto r = x; } while (false)\n",
        body("CO_TRY_LET(x, co_await Call());"),
    ]),
    "coroutine-capture": ("proxy/a.cc", [
        HEAD + "auto f = [this]() -> Task<void> { co_await Call(); };\n",
        HEAD + "void F() {\n  Run([&] { co_return; });\n}\n",
        HEAD + "auto f = [=](int n) -> Task<int> {\n  co_return n;\n};\n",
    ], [
        HEAD + "auto f = []() -> Task<void> { co_return; };\n",
        HEAD + "auto f = [this] { Stop(); };\n",
    ]),
    "coroutine-array": ("proxy/a.cc", [
        body("char buffer[512];"),
        body("if (x) {\n    std::array<char, 16> bytes = {};\n  }"),
        body("const unsigned char key[4] = {1, 2, 3, 4};"),
    ], [
        HEAD + "int Plain() {\n  char buffer[512];\n  return 0;\n}\n",
        body("static constexpr int kTable[2] = {1, 2};"),
        body("table[3] = 4;\n  return table[1];"),
        body("list[i] = co_await Call(x);"),
    ]),
    "layering": ("common/smtp/a.cc", [
        HEAD + '#include "proxy/session.h"\n',
        HEAD + '#include "common/io/loop.h"\n',
        HEAD + "#include <openssl/ssl.h>\n",
        HEAD + "#include <liburing.h>\n",
        HEAD + "#include <sys/epoll.h>\n",
        HEAD + "#include <sys/socket.h>\n",
        HEAD + "#include <fstream>\n",
        HEAD + '#include "common/smtp/b.cc"\n',
    ], [
        HEAD + '#include "common/base/check.h"\n#include <string>\n'
        '#include "common/smtp/b.h"\n#include "absl/status/status.h"\n',
    ]),
    "clock": ("proxy/a.cc", [
        HEAD + "auto t = std::chrono::steady_clock::now();\n",
        HEAD + "auto t = time(nullptr);\n",
    ], [
        HEAD + "auto t = loop.Now();  // not system_clock::now\n"
        "auto timeout = command_time(nullptr_t());\n",
    ]),
    "randomness": ("proxy/a.cc", [
        HEAD + "int r = rand();\n",
        HEAD + "std::random_device seed;\n",
        HEAD + "getrandom(p, 8, 0);\n",
    ], [HEAD + "int r = loop.Random();\nint b = operand(1);\n"]),
    "thread": ("proxy/a.cc", [
        HEAD + "std::thread t(Run);\n",
        HEAD + "std::jthread t(Run);\n",
    ], [HEAD + "std::this_thread::yield();\n"]),
    "string-view": ("common/smtp/a.h", [
        HEAD + "absl::string_view view;\n",
    ], [HEAD + "std::string_view view;  // not absl::string_view\n"]),
    "absl-container": ("proxy/a.cc", [
        HEAD + '#include "absl/container/flat_hash_map.h"\n',
    ], [HEAD + "#include <unordered_map>\n"]),
    "regex": ("common/smtp/a.cc", [
        HEAD + "#include <regex>\n",
        HEAD + 'std::regex r("x");\n',
    ], [HEAD + "int regex = 1;\n"]),
    "using-namespace": ("common/smtp/a.cc", [
        HEAD + "using namespace std;\n",
    ], [
        HEAD + "using std::string;\nusing namespace std::chrono_literals;\n",
    ]),
    "header-comment": ("proxy/a.cc", ["\nint x;\n", '#include "a.h"\n'],
                       [HEAD]),
    "include-guard": ("common/base/a.h", [
        HEAD + "#pragma once\n",
        HEAD + "#ifndef A_H_\n#define A_H_\n#endif\n",
        HEAD + "#ifndef TLSPOST_COMMON_BASE_A_H_\n#define TLSPOST_A_H_\n",
    ], [
        HEAD + "\n#ifndef TLSPOST_COMMON_BASE_A_H_\n"
        "#define TLSPOST_COMMON_BASE_A_H_\n#endif\n",
    ]),
    "length": ("proxy/a.cc", [
        HEAD + "int x;\n" * 600,
        HEAD + "namespace a {\nclass B {\n public:\n  int F() const {\n" +
        "    ++x;\n" * 99 + "  }\n};\n}\n",
        HEAD + "TEST(A, B) {\n" + "  ++x;\n" * 99 + "}\n",
    ], [
        HEAD + "int x;\n" * 599,
        HEAD + "int F() {\n" + "  ++x;\n" * 98 + "}\n",
        HEAD + "namespace a {\n" + "int F() { return 1; }\n" * 200 + "}\n",
    ]),
    "unfinished": ("README.md", ["// TO" "DO: x\n", "FIX" "ME\n"],
                   ["todo list\n"]),
    "machine-path": ("README.md", ["see /ho" "me/me/file\n",
                                   "cd /wo" "rk/main\n"],
                     ["see /etc/tlspost.toml, https://a.b/c/work/d\n"]),
}
