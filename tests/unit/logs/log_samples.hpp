#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "runtime/logs/log_store.hpp"
#include "tests/unit/logs/temporary_directory.hpp"

namespace cox::logs {

inline void PrintTo(const OutputLine& line, std::ostream* out) {
  *out << line.sequence << "@" << line.at.value << " " << testing::PrintToString(line.text);
}

inline const LogName kLog = "0a1b/1/0/main";

inline std::unique_ptr<LogStore> open_store(const TemporaryDirectory& directory) {
  auto store = open_log_store(directory.path());
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

inline OutputLine line(std::uint64_t sequence, std::string text = "x") {
  return {sequence, Millis{1000 + static_cast<std::int64_t>(sequence) * 10},
          sequence % 3 == 0 ? StreamKind::err : StreamKind::out, std::move(text)};
}

inline std::vector<OutputLine> lines(std::uint64_t from, std::uint64_t to) {
  std::vector<OutputLine> made;
  for (auto n = from; n <= to; ++n) made.push_back(line(n, fmt::format("line {}", n)));
  return made;
}

inline std::vector<std::uint64_t> numbers(const Result<std::vector<OutputLine>>& read) {
  EXPECT_TRUE(read) << read.error().message;
  std::vector<std::uint64_t> found;
  if (read) {
    for (const auto& l : *read) found.push_back(l.sequence);
  }
  return found;
}

inline std::string file_of(const TemporaryDirectory& directory, const LogName& log = kLog) {
  return directory / (log + ".log");
}

inline std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_content(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace cox::logs
