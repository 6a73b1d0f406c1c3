#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "launcher/cli/commands.hpp"
#include "launcher/config/config.hpp"
#include "tests/unit/cli/said.hpp"

// cox validate, cox convert and pcluster3-config-converter on files of their own.

namespace cox::cli {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class ConfigCommands : public testing::Test {
 protected:
  ConfigCommands() {
    std::string name = (fs::temp_directory_path() / "cox-config-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~ConfigCommands() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return path(name);
  }

  fs::path directory_;
};

const std::string kSource = COX_SOURCE_DIR;

TEST_F(ConfigCommands, ValidateSaysThatAGoodFileIsGood) {
  const auto file = kSource + "/configs/laptop.yaml";
  EXPECT_EQ(run(run_validate, {file}),
            (Said{0, file + ": a file of version 3: no errors, no warnings, no notes\n", ""}));
  const auto ini = kSource + "/configs/tutorial.config";
  EXPECT_EQ(run(run_validate, {ini}),
            (Said{0, ini + ": a file of version 2: no errors, no warnings, no notes\n", ""}));
}

TEST_F(ConfigCommands, ValidateShowsEachFindingAndCountsThem) {
  const auto file = write("a.yaml", "Regoin: x\n");
  const auto said = run(run_validate, {file});
  EXPECT_EQ(said.status, 1);
  EXPECT_EQ(said.out.find(file + ": error: Image: Missing data for required field. "
                                 "[ConfigSchemaValidator]\n"),
            0u)
      << said.out;
  EXPECT_NE(said.out.find(file + ":1:1: error: Regoin: Unknown field. Did you mean Region? "
                                 "[ConfigSchemaValidator]\n"
                                 "  Regoin: x\n"
                                 "  ^\n"),
            std::string::npos)
      << said.out;
  EXPECT_NE(said.out.find(": a file of version 3: 5 errors, no warnings, no notes\n"),
            std::string::npos)
      << said.out;
}

TEST_F(ConfigCommands, ValidateTellsAProgramTheSame) {
  const auto file = write("a.config", "[cluster default]\nscheduler = sge\n");
  const auto said = run(run_validate, {"--json", file});
  EXPECT_EQ(said.status, 1);
  EXPECT_EQ(
      boost::json::parse(said.out),
      (boost::json::value{
          {"file", file},
          {"version", 2},
          {"valid", false},
          {"findings",
           {{{"level", "ERROR"},
             {"type", "SchedulerValidator"},
             {"message",
              "scheduler = sge is not served, as ParallelCluster 2.11.5 and later do not; awsbatch "
              "and slurm are"},
             {"line", 2},
             {"column", 1}}}}}));
}

TEST_F(ConfigCommands, ValidatePrintsSchemaAndKeys) {
  EXPECT_EQ(run(run_validate, {"--schema"}), (Said{0, config::render_json_schema(), ""}));
  EXPECT_EQ(run(run_validate, {"--keys"}), (Said{0, config::render_key_table(), ""}));
  EXPECT_NO_THROW([[maybe_unused]] auto value = boost::json::parse(config::render_json_schema()));
}

TEST_F(ConfigCommands, ValidateTellsMisuseFromAMissingFile) {
  EXPECT_EQ(run(run_validate, {}).status, 2);
  EXPECT_EQ(run(run_validate, {"--yes", "a"}).status, 2);
  EXPECT_EQ(
      run(run_validate, {path("none")}),
      (Said{1, "", "cox validate: the configuration file " + path("none") + " does not exist\n"}));
  EXPECT_EQ(run(run_validate, {"--help"}).status, 0);
}

TEST_F(ConfigCommands, ConverterWritesAFileOfItsOwnerOnly) {
  const auto ini = kSource + "/tests/golden/convert/tutorial.ini";
  const auto target = path("new/cluster.yaml");
  const auto notes = read(kSource + "/tests/golden/convert/tutorial.notes");
  const auto said = run(run_config_converter, {"-c", ini, "-t", "awsbatch", "-o", target});
  EXPECT_EQ(said, (Said{0, notes + "Configuration file written to " + target + "\n", ""}));
  EXPECT_EQ(read(target), read(kSource + "/tests/golden/convert/tutorial.yaml"));
  struct stat status {};
  ASSERT_EQ(::stat(target.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
  const auto again = run(run_config_converter, {"-c", ini, "-o", target});
  EXPECT_EQ(again.status, 1);
  EXPECT_EQ(again.err,
            "ERROR: the file " + target + " is there already: name another one with -o\n");
}

TEST_F(ConfigCommands, ConvertKeepsItsRemarksOutOfAPipe) {
  const auto ini = kSource + "/tests/golden/convert/tutorial.ini";
  const auto yaml = read(kSource + "/tests/golden/convert/tutorial.yaml");
  const auto notes = read(kSource + "/tests/golden/convert/tutorial.notes");
  EXPECT_EQ(run(run_convert, {"-c", ini}), (Said{0, yaml, notes}));
  EXPECT_EQ(run(run_config_converter, {"-c", ini}), (Said{0, notes + yaml, ""}))
      << "the original says all on standard output";
}

TEST_F(ConfigCommands, ConverterRefusesWithTheReason) {
  const auto ini = kSource + "/tests/golden/convert/no_sge.ini";
  EXPECT_EQ(run(run_config_converter, {"-c", ini}),
            (Said{1, "",
                  "ERROR: " + ini +
                      ": scheduler = sge is not in version 3: only awsbatch and slurm are\n"}));
  EXPECT_EQ(run(run_config_converter, {}).status, 2);
  EXPECT_EQ(run(run_config_converter, {"-c", path("none")}).status, 1);
  EXPECT_EQ(run(run_config_converter, {"--help"}).status, 0);
}

}  // namespace
}  // namespace cox::cli
