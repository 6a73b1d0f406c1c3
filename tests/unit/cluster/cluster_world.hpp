#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "launcher/cluster/lifecycle.hpp"
#include "launcher/cluster/registry.hpp"

namespace cox::cluster {

/// A state root of the test's own, which goes with it.
class ClusterWorld : public testing::Test {
 protected:
  ClusterWorld() {
    std::string pattern = std::filesystem::temp_directory_path() / "cox-cluster-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    root_ = directory_ / "state";
    ::setenv("COX_STATE_DIR", root_.c_str(), 1);
  }
  ~ClusterWorld() override {
    ::unsetenv("COX_STATE_DIR");
    std::filesystem::remove_all(directory_);
  }

  void write(const std::filesystem::path& path, const std::string& text) const {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  /// A cluster's directory with a record of this status.
  std::filesystem::path put(const std::string& name, const std::string& status) const {
    std::filesystem::create_directories(root_ / name / "nodes");
    Record record;
    record.name = name;
    record.status = status;
    record.region = "us-west-2";
    EXPECT_TRUE(save_record(root_ / name, record));
    return root_ / name;
  }

  std::filesystem::path directory_;
  std::filesystem::path root_;
};

}  // namespace cox::cluster
