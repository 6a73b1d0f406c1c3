#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/arguments.hpp"
#include "runtime/base/result.hpp"

namespace cox::cli {

/// Where a program writes: results to `out`, so that they can be piped; all else to `err`.
struct Streams {
  std::ostream& out;
  std::ostream& err;
};

/// What all awsb* commands take.
struct CommonOptions {
  std::string cluster;
  std::string log_level = "ERROR";
  bool json = false;
};

/// The command line of an awsb* command: what it takes, where the values go, and its help. Values
/// are borrowed: they must outlive parse().
class Program {
 public:
  /// What it takes beside options.
  enum class Words { any, one, some, command };

  Program(std::string name, std::string summary, CommonOptions& common);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// An option without help is not shown. Given twice, the last one counts; a list keeps all.
  void flag(OptionNames names, bool& value, std::string help);
  void option(OptionNames names, std::string value_name, std::string& value, std::string help);
  void option(OptionNames names, std::string value_name, std::vector<std::string>& values,
              std::string help);
  void option(OptionNames names, std::string value_name, int& value, std::string help);
  void option(OptionNames names, std::string value_name, std::optional<int>& value,
              std::string help);
  void words(Words kind, std::string name, std::vector<std::string>& values, std::string help);
  /// One a line, two blanks in.
  void examples(const std::string& text);

  /// Reads the command line. Returns an exit status when the program is over: help was asked for
  /// (0), the words are wrong (2, with usage on err), the log level is none (1); -1 to go on, with
  /// the log open and Ctrl-C taken care of.
  [[nodiscard]] int parse(const std::vector<std::string>& args, Streams streams);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Ctrl-C ends the program with "Exiting..." and this status: 0 as the original, until a program
/// that waits for somebody else's end says otherwise.
void exit_on_interrupt(int status);

}  // namespace cox::cli
