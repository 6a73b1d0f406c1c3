#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "launcher/config/config.hpp"

// tests/golden/config: files with faults, and whole messages. A .config is of version 2.

namespace cox::config {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::vector<fs::path> inputs() {
  std::vector<fs::path> paths;
  for (const auto& entry :
       fs::directory_iterator(fs::path(COX_SOURCE_DIR) / "tests/golden/config")) {
    if (entry.path().extension() != ".expected") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class Golden : public testing::TestWithParam<fs::path> {};

TEST_P(Golden, SaysAllItsFaultsWithTheirPlaces) {
  const auto& path = GetParam();
  const auto text = read(path);
  const auto name = path.filename().string();
  const auto loaded = path.extension() == ".config" ? load_ini(text, {}) : load_yaml(text, {});
  std::string said = loaded.config ? "a configuration\n" : "no configuration\n";
  for (const auto& finding : loaded.findings) said += render(finding, name, text);
  EXPECT_EQ(said, read(path.string() + ".expected"));
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(inputs()), [](const auto& each) {
  auto name = each.param.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
});

TEST(GoldenFiles, AreManyAndEachHasItsMessages) {
  const auto broken = [](const fs::path& path) {
    return read(path.string() + ".expected").find(": error: ") != std::string::npos;
  };
  const auto paths = inputs();
  EXPECT_GE(std::count_if(paths.begin(), paths.end(), broken), 60);
  for (const auto& path : paths) {
    EXPECT_TRUE(fs::exists(path.string() + ".expected")) << path;
    const bool ini = path.extension() == ".config" && path.filename() != "v2_broken_lines.config";
    EXPECT_EQ(looks_like_ini(read(path)), ini) << path;
  }
}

// The files that people start from are good as they are, with nothing to say about them.
TEST(GivenConfigs, AreGood) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(COX_SOURCE_DIR) / "configs")) {
    const auto text = read(entry.path());
    const auto loaded = looks_like_ini(text) ? load_ini(text, {}) : load_yaml(text, {});
    ++files;
    EXPECT_TRUE(loaded.config.has_value()) << entry.path();
    for (const auto& finding : loaded.findings) {
      ADD_FAILURE() << render(finding, entry.path().string(), text);
    }
  }
  EXPECT_GE(files, 3);
}

}  // namespace
}  // namespace cox::config
