#include "launcher/cluster/registry.hpp"

#include "tests/unit/cluster/cluster_world.hpp"

namespace cox::cluster {
namespace {

namespace fs = std::filesystem;

using Registry = ClusterWorld;

TEST_F(Registry, KeepsARecord) {
  Record record;
  record.name = "demo";
  record.status = "CREATE_FAILED";
  record.status_reason = "no \"agent\" dialled\nhome";
  record.version = "0.1.0";
  record.region = "us-west-2";
  record.v2 = true;
  record.config_file_name = "my_config_file.config";
  record.cluster_template = "awsbatch";
  record.created_at = Millis{1'700'000'000'123};
  record.updated_at = Millis{1'700'000'000'456};
  record.keeper_pid = 4711;
  fs::create_directories(root_ / "demo");
  ASSERT_TRUE(save_record(root_ / "demo", record));
  const auto loaded = load_record(root_ / "demo");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->name, record.name);
  EXPECT_EQ(loaded->status, record.status);
  EXPECT_EQ(loaded->status_reason, record.status_reason);
  EXPECT_EQ(loaded->version, record.version);
  EXPECT_EQ(loaded->region, record.region);
  EXPECT_EQ(loaded->scheduler, "awsbatch");
  EXPECT_EQ(loaded->v2, record.v2);
  EXPECT_EQ(loaded->config_file_name, record.config_file_name);
  EXPECT_EQ(loaded->cluster_template, record.cluster_template);
  EXPECT_EQ(loaded->created_at, record.created_at);
  EXPECT_EQ(loaded->updated_at, record.updated_at);
  EXPECT_EQ(loaded->keeper_pid, record.keeper_pid);
}

TEST_F(Registry, SaysWhenThereIsNoRecordAndWhenItIsDamaged) {
  EXPECT_EQ(load_record(root_ / "nowhere").error().code, Errc::not_found);
  for (const auto* text : {"", "{", "[1]", "null", "{\"name\": \"demo\"} more"}) {
    write(root_ / "demo" / "record.json", text);
    const auto loaded = load_record(root_ / "demo");
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, Errc::internal) << text;
  }
}

TEST_F(Registry, ListsClustersByNameAndPassesOverOtherThings) {
  EXPECT_TRUE(list_records().empty()) << "no state root yet";
  for (const auto* name : {"zeta", "alpha", "Mid"}) put(name, "CREATE_COMPLETE");
  write(root_ / "broken" / "record.json", "{");
  write(root_ / "file", "x");
  fs::create_directories(root_ / "half-made");
  std::vector<std::string> names;
  for (const auto& record : list_records()) names.push_back(record.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Mid", "alpha", "zeta"}));
}

TEST_F(Registry, HasOneSpellingOfTheStateRoot) {
  ::setenv("COX_STATE_DIR", (root_.string() + "/./x/..//").c_str(), 1);
  EXPECT_EQ(state_root(), root_.string());
  ::setenv("COX_STATE_DIR", "some/where", 1);
  EXPECT_EQ(state_root(), (fs::current_path() / "some/where").string()) << "the daemon lives in /";
}

}  // namespace
}  // namespace cox::cluster
