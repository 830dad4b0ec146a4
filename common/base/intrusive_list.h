// A doubly linked list whose links live in its elements.
//
// Linking and unlinking never allocate; an element that is destroyed leaves
// its list by itself. The list never owns its elements.

#ifndef TLSPOST_COMMON_BASE_INTRUSIVE_LIST_H_
#define TLSPOST_COMMON_BASE_INTRUSIVE_LIST_H_

#include "common/base/check.h"

namespace tlspost {

// Base of everything that can be in an IntrusiveList. `Tag` tells apart the
// lists that one object can be in at the same time.
template <typename Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { Unlink(); }

  bool linked() const { return next_ != nullptr; }

  // Leaves the list; does nothing when in none.
  void Unlink() {
    if (next_ == nullptr) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename T, typename OtherTag>
  friend class IntrusiveList;

  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

// `T` derives from ListNode<Tag>. Not thread safe.
template <typename T, typename Tag = T>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  ~IntrusiveList() {
    while (!empty()) front().ListNode<Tag>::Unlink();
    head_.next_ = head_.previous_ = nullptr;
  }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next_ == &head_; }

  T& front() {
    TLSPOST_REQUIRE(!empty());
    return static_cast<T&>(*head_.next_);
  }
  T& back() {
    TLSPOST_REQUIRE(!empty());
    return static_cast<T&>(*head_.previous_);
  }

  void PushBack(T& element) { Insert(element, *head_.previous_, head_); }
  void PushFront(T& element) { Insert(element, head_, *head_.next_); }

  // Unlinks and returns the first element.
  T& PopFront() {
    T& element = front();
    element.ListNode<Tag>::Unlink();
    return element;
  }

  // Moves all of `other`'s elements behind ours.
  void TakeAll(IntrusiveList& other) {
    while (!other.empty()) PushBack(other.PopFront());
  }

  // Calls `visit(T&)` for each element; `visit` may unlink the element it is
  // given and no other.
  template <typename Visitor>
  void ForEach(Visitor&& visit) {
    for (Node* node = head_.next_; node != &head_;) {
      Node* next = node->next_;
      visit(static_cast<T&>(*node));
      node = next;
    }
  }

 private:
  using Node = ListNode<Tag>;

  static void Insert(Node& node, Node& before, Node& after) {
    TLSPOST_REQUIRE(!node.linked());
    node.previous_ = &before;
    node.next_ = &after;
    before.next_ = &node;
    after.previous_ = &node;
  }

  Node head_;
};

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_INTRUSIVE_LIST_H_
