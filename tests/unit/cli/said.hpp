#pragma once

#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "launcher/cli/program.hpp"

namespace cox::cli {

/// What a command wrote, and its exit status.
struct Said {
  int status;
  std::string out;
  std::string err;

  friend bool operator==(const Said&, const Said&) = default;
  friend void PrintTo(const Said& said, std::ostream* stream) {
    *stream << said.status << "\nout: " << said.out << "\nerr: " << said.err;
  }
};

/// Runs a command with these arguments.
template <class Command>
Said run(Command command, const std::vector<std::string>& args) {
  std::ostringstream out;
  std::ostringstream err;
  const int status = command(args, Streams{out, err});
  return {status, out.str(), err.str()};
}

}  // namespace cox::cli
