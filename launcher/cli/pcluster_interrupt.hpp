#pragma once

namespace cox::cli {

/// Ctrl-C ends the program with this status: 0 where it only watches, as the original.
void leave_on_interrupt(int status);

/// Holds Ctrl-C back while it lives: what is half made is finished, or undone, first.
class UninterruptedScope {
 public:
  UninterruptedScope();
  ~UninterruptedScope();
  UninterruptedScope(const UninterruptedScope&) = delete;
  UninterruptedScope& operator=(const UninterruptedScope&) = delete;
};

}  // namespace cox::cli
