// A canary for the compiler: every spelling that the coroutine rules allow is
// compiled right. Each test counts constructions against destructions.
//
// g++ 12 silently destroys twice, in one full-expression with co_await:
// aggregate temporaries (f({.a = x}), Args{x}, Mem{}.f()), temporary lambdas
// with captures, ?:, and aggregates initialized from awaits; newer versions
// leak structured bindings. Those spellings are undefined behaviour in waiting,
// so they are not run here: scripts/lint rejects them, and its examples
// (scripts/lint_examples.py) list them. What stands here is what to write
// instead.

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/co_try.h"
#include "common/base/frame_slab.h"
#include "common/base/status.h"
#include "common/base/task.h"

namespace tlspost {
namespace {

int constructed = 0;
int destroyed = 0;

// Counts its life; owns memory, so that a second destruction is a double free.
class Counted {
 public:
  explicit Counted(int n) : value_(std::make_unique<int>(n)) { ++constructed; }
  Counted(const Counted& other) : Counted(other.value()) {}
  Counted(Counted&& other) noexcept : value_(std::move(other.value_)) {
    ++constructed;
  }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { ++destroyed; }
  int value() const { return value_ ? *value_ : -1; }

 private:
  std::unique_ptr<int> value_;
};

struct Pair {
  Counted left;
  Counted right;
};

// A config struct for an awaited call has a constructor.
struct Options {
  Options(int first, int second) : left(first), right(second) {}
  Counted left;
  Counted right;
};

class Gate {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  void await_resume() {}
  // Whether somebody waited and now goes on.
  bool Open() {
    if (waiter_ == nullptr) return false;
    std::exchange(waiter_, nullptr).resume();
    return true;
  }

 private:
  std::coroutine_handle<> waiter_;
};

// The gate of the running test; every leaf below suspends on it.
Gate* gate = nullptr;

Task<int> ByValue(Counted counted) {
  co_await *gate;
  co_return counted.value();
}
Task<int> ByReference(const Counted& counted) {
  co_await *gate;
  co_return counted.value();
}
Task<int> SumOfPair(const Pair& pair) {
  co_await *gate;
  co_return pair.left.value() + pair.right.value();
}
Task<int> SumOfOptions(Options options) {
  co_await *gate;
  co_return options.left.value() + options.right.value();
}
Task<Counted> Make(int n) {
  co_await *gate;
  co_return Counted(n);
}
template <typename Callable>
Task<int> Call(const Callable& callable) {
  co_await *gate;
  co_return callable();
}
Task<size_t> Length(std::string_view text) {
  co_await *gate;
  co_return text.size();
}
Task<std::vector<int>> Numbers(int n) {
  co_await *gate;
  std::vector<int> numbers;
  for (int i = 1; i <= n; ++i) numbers.push_back(i);
  co_return numbers;
}

class GccCoroutineTest : public ::testing::Test {
 protected:
  GccCoroutineTest() {
    constructed = destroyed = 0;
    gate = &gate_;
  }

  // Runs `task` through every suspension; then nothing may be left over.
  template <typename T>
  T Finish(Task<T> task) {
    task.Start();
    while (!task.done()) {
      if (!gate_.Open()) ADD_FAILURE() << "nobody waits at the gate";
    }
    return task.Take();
  }

  void TearDown() override {
    EXPECT_EQ(constructed, destroyed);
    EXPECT_EQ(ThisThreadFrameUse().frames, 0);
  }

 private:
  Gate gate_;
};

// Instead of f({.left = x, .right = y}).
Task<int> NamedAggregate() {
  const Pair pair{.left = Counted(1), .right = Counted(2)};
  auto sum = co_await SumOfPair(pair);
  co_return sum;
}
TEST_F(GccCoroutineTest, NamedAggregateArgument) {
  EXPECT_EQ(Finish(NamedAggregate()), 3);
}

// Classes with a constructor may be temporaries.
Task<int> TemporaryByValue() {
  auto n = co_await ByValue(Counted(4));
  co_return n;
}
Task<int> TemporaryByReference() {
  auto n = co_await ByReference(Counted(5));
  co_return n;
}
Task<int> TemporaryOptions() {
  auto n = co_await SumOfOptions(Options(1, 5));
  co_return n;
}
TEST_F(GccCoroutineTest, TemporaryOfAClassWithConstructor) {
  EXPECT_EQ(Finish(TemporaryByValue()), 4);
  EXPECT_EQ(Finish(TemporaryByReference()), 5);
  EXPECT_EQ(Finish(TemporaryOptions()), 6);
}

// Instead of f([o] { … }).
Task<int> NamedLambda() {
  Counted captured(7);
  const auto callable = [captured] { return captured.value(); };
  auto n = co_await Call(callable);
  co_return n;
}
TEST_F(GccCoroutineTest, NamedLambdaArgument) {
  EXPECT_EQ(Finish(NamedLambda()), 7);
}

// Instead of c ? co_await a : co_await b, and of f(c ? X(1) : X(2)).
Task<int> IfElse(bool first) {
  int n = 0;
  if (first) {
    n = co_await ByValue(Counted(1));
  } else {
    n = co_await ByReference(Counted(2));
  }
  const Counted chosen = first ? Counted(10) : Counted(20);
  auto more = co_await ByReference(chosen);
  co_return n + more;
}
TEST_F(GccCoroutineTest, IfInsteadOfConditional) {
  EXPECT_EQ(Finish(IfElse(true)), 11);
  EXPECT_EQ(Finish(IfElse(false)), 22);
}

// Instead of Pair p{.left = co_await f(), .right = co_await g()}.
Task<int> AggregateFromNames() {
  auto left = co_await Make(3);
  auto right = co_await Make(4);
  const Pair pair{.left = std::move(left), .right = std::move(right)};
  co_return pair.left.value() + pair.right.value();
}
TEST_F(GccCoroutineTest, AggregateFromNamedResults) {
  EXPECT_EQ(Finish(AggregateFromNames()), 7);
}

// Instead of Mem{}.f().
struct Member {
  Counted counted;
  Task<int> Get() const {
    co_await *gate;
    co_return counted.value();
  }
};
Task<int> NamedObject() {
  const Member member{Counted(8)};
  auto n = co_await member.Get();
  co_return n;
}
TEST_F(GccCoroutineTest, MemberOfANamedAggregate) {
  EXPECT_EQ(Finish(NamedObject()), 8);
}

// Instead of auto [a, b] = co_await f().
Task<std::pair<int, int>> Two() {
  co_await *gate;
  co_return std::pair<int, int>(1, 2);
}
Task<int> BindingOfAName() {
  auto two = co_await Two();
  const auto& [a, b] = two;
  co_return a * 10 + b;
}
TEST_F(GccCoroutineTest, BindingOfANamedResult) {
  EXPECT_EQ(Finish(BindingOfAName()), 12);
}

// The statement macros, instead of a statement expression.
Task<absl::StatusOr<Counted>> Checked(int n) {
  co_await *gate;
  if (n < 0) co_return MakeStatus(absl::StatusCode::kOutOfRange, "negative");
  co_return Counted(n);
}
Task<absl::Status> Status(int n) {
  co_await *gate;
  if (n < 0) co_return MakeStatus(absl::StatusCode::kOutOfRange, "negative");
  co_return absl::OkStatus();
}
Task<absl::Status> Tries(int first, int second, int& sum) {
  CO_TRY_LET(counted, co_await Checked(first));
  CO_TRY(co_await Status(second));
  sum = counted.value() + second;
  co_return absl::OkStatus();
}
TEST_F(GccCoroutineTest, TryMacros) {
  int sum = 0;
  EXPECT_TRUE(Finish(Tries(1, 2, sum)).ok());
  EXPECT_EQ(sum, 3);
  EXPECT_FALSE(Finish(Tries(-1, 2, sum)).ok());
  EXPECT_FALSE(Finish(Tries(1, -2, sum)).ok());
}

// Where an await may stand: conditions, loops, switches, operands.
Task<int> Conditions() {
  int n = 0;
  if (auto one = co_await ByValue(Counted(1)); one == 1) n += one;
  while (n < 3) n += co_await ByReference(Counted(1));
  switch (co_await ByValue(Counted(n))) {
    case 3:
      n += 10;
      break;
    default:
      n = 0;
  }
  if (n == 13 && co_await ByValue(Counted(1)) == 1) n += 100;
  if (n == 0 || co_await ByValue(Counted(0)) == 0) n += 1000;
  co_return n;
}
TEST_F(GccCoroutineTest, ConditionsLoopsAndOperands) {
  EXPECT_EQ(Finish(Conditions()), 1113);
}

Task<int> RangeFor() {
  int sum = 0;
  auto numbers = co_await Numbers(4);
  for (const int n : numbers) sum += co_await ByValue(Counted(n));
  co_return sum;
}
TEST_F(GccCoroutineTest, RangeForOverAnAwaitedValue) {
  EXPECT_EQ(Finish(RangeFor()), 10);
}

Task<int> ReferenceToResult() {
  const Counted& counted = co_await Make(6);
  auto n = co_await ByReference(counted);
  co_return n;
}
Task<int> ReturnOfAwait() { co_return co_await ByValue(Counted(9)); }
TEST_F(GccCoroutineTest, LifetimeExtensionAndReturnOfAwait) {
  EXPECT_EQ(Finish(ReferenceToResult()), 6);
  EXPECT_EQ(Finish(ReturnOfAwait()), 9);
}

Task<size_t> ViewsAndStrings() {
  const std::string text(100, 'x');
  const std::string_view view = text;
  size_t length = co_await Length(view);
  length += co_await Length("literal");
  length += co_await Length(view.substr(90));
  co_return length;
}
TEST_F(GccCoroutineTest, StringViewArguments) {
  EXPECT_EQ(Finish(ViewsAndStrings()), 117u);
}

// A frame that was never started gives back its parameters.
TEST_F(GccCoroutineTest, NeverStarted) {
  const Task<int> task = ByValue(Counted(1));
  EXPECT_GT(constructed, destroyed);
}

// Awaits that complete at once must not grow the stack by much: a session may
// find a thousand commands in one segment (rule 6 bounds the run). 5,000 holds
// even with AddressSanitizer, where g++ makes no tail calls.
Task<int> AtOnce() { co_return 1; }
Task<int> ManyAtOnce(int turns) {
  int sum = 0;
  for (int i = 0; i < turns; ++i) sum += co_await AtOnce();
  co_return sum;
}
TEST_F(GccCoroutineTest, RunOfAwaitsThatCompleteAtOnce) {
  EXPECT_EQ(Finish(ManyAtOnce(5000)), 5000);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(Finish(ManyAtOnce(500'000)), 500'000);
#endif
}

// What a frame costs: the budget of an idle session stands on it.
TEST_F(GccCoroutineTest, FrameSizes) {
  const Task<int> task = AtOnce();
  EXPECT_LE(ThisThreadFrameUse().bytes, 96);
}

}  // namespace
}  // namespace tlspost
