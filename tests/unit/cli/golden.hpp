#pragma once

#include <gtest/gtest.h>

#include <string>

#include "runtime/os/files.hpp"

namespace cox::cli {

/// A text that the originals print, from tests/golden/cli.
inline std::string golden(const std::string& name) {
  const auto text = os::read_file(std::string(COX_SOURCE_DIR) + "/tests/golden/cli/" + name);
  EXPECT_TRUE(text) << (text ? "" : text.error().message);
  return text.value_or("");
}

}  // namespace cox::cli
