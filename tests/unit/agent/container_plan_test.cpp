#include "runtime/agent/container_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

using Words = std::vector<std::string>;

ContainerPlan plan() {
  ContainerPlan made;
  made.container.image = "python:3";
  made.directory = "/d";
  made.store = "/s";
  made.extras = {{"/home/of/attempt", "/home/of/attempt", false}};
  return made;
}

/// True when the words follow each other in the list.
bool has(const Words& list, const Words& words) {
  return std::search(list.begin(), list.end(), words.begin(), words.end()) != list.end();
}

struct ImageCase {
  const char* name;
  const char* image;
  ImageSource want;

  friend void PrintTo(const ImageCase& c, std::ostream* out) { *out << c.name; }
};

const ImageCase kImages[] = {
    {"short_names_are_dockers_own",
     "python:3",
     {{"localhost/python:3", "docker.io/library/python:3"}, "docker.io/library/python:3", "", ""}},
    {"without_a_tag_it_is_the_latest",
     "team/tool",
     {{"localhost/team/tool:latest", "docker.io/team/tool:latest"},
      "docker.io/team/tool:latest",
      "",
      ""}},
    {"a_registry_has_a_dot_or_a_port",
     "reg.example:5000/a/b:1",
     {{"reg.example:5000/a/b:1"}, "reg.example:5000/a/b:1", "", ""}},
    {"a_port_is_no_tag", "localhost/a", {{"localhost/a:latest"}, "localhost/a:latest", "", ""}},
    {"a_digest_needs_no_tag",
     "quay.io/a@sha256:00",
     {{"quay.io/a@sha256:00"}, "quay.io/a@sha256:00", "", ""}},
    {"a_transport_may_be_said", "docker://quay.io/a:1", {{"quay.io/a:1"}, "quay.io/a:1", "", ""}},
    {"an_archive_is_a_file",
     "docker-archive:/shared/a.tar",
     {{}, "docker-archive:/shared/a.tar", "/shared/a.tar", ""}},
    {"an_archive_may_hold_many",
     "oci-archive:/shared/a.tar:one",
     {{}, "oci-archive:/shared/a.tar:one", "/shared/a.tar", ""}},
    {"a_store_is_not_pulled_from",
     "containers-storage:mine:7",
     {{"localhost/mine:7", "docker.io/library/mine:7"}, "", "", ""}},
    {"a_store_of_its_own",
     "containers-storage:[overlay@/a/b+/run/c]mine",
     {{"localhost/mine:latest", "docker.io/library/mine:latest"}, "", "", "/a/b"}},
    {"an_unfinished_store",
     "containers-storage:[overlay@/a",
     {{"localhost/:latest", "docker.io/library/:latest"}, "", "", "/a"}},
};

class ImageNames : public testing::TestWithParam<ImageCase> {};

TEST_P(ImageNames, MeanWhatDockerAndPodmanMean) {
  const auto read = read_image(GetParam().image);

  EXPECT_EQ(read.names, GetParam().want.names);
  EXPECT_EQ(read.pull, GetParam().want.pull);
  EXPECT_EQ(read.archive, GetParam().want.archive);
  EXPECT_EQ(read.store, GetParam().want.store);
}

INSTANTIATE_TEST_SUITE_P(, ImageNames, testing::ValuesIn(kImages),
                         [](const auto& test) { return test.param.name; });

TEST(ContainerWords, RunTheImagesOwnCommandWhenThereIsNone) {
  const auto words = create_words(plan(), {}, "0123", "", std::nullopt, {});

  EXPECT_EQ(words.front(), "create");
  EXPECT_TRUE(has(words, {"--", "0123"}));
  EXPECT_EQ(words.back(), "0123");
  EXPECT_TRUE(has(words, {"--ulimit", "host"}));
  EXPECT_THAT(words, IsSupersetOf({"--network=host", "--pull=never", "--cgroups=disabled"}));
  EXPECT_FALSE(has(words, {"--privileged"}));
}

TEST(ContainerWords, SayAllThatTheDefinitionAsksFor) {
  auto asked = plan();
  asked.container.mounts = {{"/shared/in", "/in", true}, {"/d/volumes/0", "/own", false}};
  asked.container.limits = {{"nofile", 100, 200}, {"core", -1, -1}};
  asked.container.tmpfs = {{"/scratch", 5, {"noexec"}}};
  asked.container.devices = {{"/dev/fuse", "", "rw"}, {"/dev/null", "/dev/nothing", ""}};
  asked.container.read_only_root = asked.container.privileged = asked.container.init = true;
  asked.container.shared_memory_mib = 32;
  ContainerMachine machine;
  machine.open_files = 1024;
  machine.processes = ~std::uint64_t{0};

  const auto words = create_words(asked, machine, "0123", "games", std::nullopt, {"-x", "a b"});

  EXPECT_TRUE(has(words, {"--volume", "/home/of/attempt:/home/of/attempt"}));
  EXPECT_TRUE(has(words, {"--volume", "/shared/in:/in:ro", "--volume", "/d/volumes/0:/own"}));
  EXPECT_TRUE(has(
      words, {"--ulimit", "nofile=100:200", "--ulimit", "core=-1:-1", "--ulimit", "nproc=-1:-1"}));
  EXPECT_FALSE(has(words, {"--ulimit", "host"}));
  EXPECT_TRUE(has(words, {"--tmpfs", "/scratch:size=5m,noexec"}));
  EXPECT_TRUE(
      has(words, {"--device", "/dev/fuse:/dev/fuse:rw", "--device", "/dev/null:/dev/nothing"}));
  EXPECT_TRUE(has(words, {"--read-only", "--privileged", "--init", "--shm-size", "32m"}));
  EXPECT_TRUE(has(words, {"--user", "games"}));
  EXPECT_TRUE(has(words, {"--", "0123", "-x", "a b"}));
}

TEST(ContainerWords, GiveTheOneUserOfANamespaceTheNumbersAskedFor) {
  ContainerMachine machine;
  machine.user_namespace = true;

  const auto words = create_words(plan(), machine, "0123", "", ContainerUser{1234, 77}, {"true"});

  EXPECT_TRUE(has(words, {"--uidmap", "1234:0:1", "--gidmap", "77:0:1", "--user", "1234:77"}));
  EXPECT_TRUE(has(podman_words(plan(), machine, {}),
                  {"--storage-opt", "overlay.ignore_chown_errors=true"}));
  EXPECT_FALSE(has(podman_words(plan(), {}, {}), {"--storage-opt"}));
}

TEST(ContainerWords, ShowPodmanAllStores) {
  const Words stores{"/s/images", "/var/lib/containers/storage"};

  const auto words = podman_words(plan(), {}, stores);

  EXPECT_EQ(words.front(), "podman");
  EXPECT_TRUE(has(words, {"--root", "/d/store"}));
  EXPECT_TRUE(
      has(words, {"--storage-opt", "overlay.imagestore=/s/images,/var/lib/containers/storage"}));
  EXPECT_TRUE(has(store_words(plan(), {}), {"--root", "/s/images"}));
}

TEST(ContainersConf, KeepsEverythingInTheAttemptsOwnPlaces) {
  const auto text = render_containers_conf(plan());

  EXPECT_THAT(text, HasSubstr("runtime=\"crun\"\n"));
  EXPECT_THAT(text, HasSubstr("lock_type=\"file\"\n"));
  EXPECT_THAT(text, HasSubstr("network_config_dir=\"/d/networks\"\n"));
}

TEST(ContainerEnvironment, KeepsLinesWholeAndLeavesThoseOfSeveralToPodman) {
  const Words variables{"A=b c", "EMPTY=", "TWO=one\ntwo"};

  EXPECT_EQ(render_env_file(variables), "A=b c\nEMPTY=\n");
  EXPECT_THAT(multi_line(variables).value(), ElementsAre("TWO=one\ntwo"));
}

TEST(ContainerEnvironment, DoesNotReachPodmanItself) {
  for (const char* name : {"PATH", "LD_PRELOAD", "CONTAINERS_CONF", "XDG_RUNTIME_DIR", "HOME"}) {
    const auto refused = multi_line({std::string(name) + "=a\nb"});

    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, HasSubstr(name));
  }
}

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\ngames:x:5:60:games:/:/bin/sh\nbad\n";
constexpr const char* kGroups = "root:x:0:\nstaff:x:50:\n";

struct UserCase {
  const char* name;
  const char* user;
  ContainerUser want;

  friend void PrintTo(const UserCase& c, std::ostream* out) { *out << c.name; }
};

const UserCase kUsers[] = {
    {"a_name_brings_its_group", "games", {5, 60}},
    {"a_number_of_the_image_too", "5", {5, 60}},
    {"a_number_of_nobodys_has_roots_group", "1234", {1234, 0}},
    {"numbers_are_taken_as_they_are", "1234:77", {1234, 77}},
    {"a_group_by_name", "games:staff", {5, 50}},
};

class Users : public testing::TestWithParam<UserCase> {};

TEST_P(Users, AreResolvedByTheImagesOwnFiles) {
  const auto found = resolve_user(GetParam().user, kPasswd, kGroups);

  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(, Users, testing::ValuesIn(kUsers),
                         [](const auto& test) { return test.param.name; });

TEST(UnknownUsers, ThatAnImageHasNotAreRefused) {
  EXPECT_EQ(resolve_user("anna", kPasswd, kGroups).error(),
            (Error{Errc::not_found, "the image has no user anna"}));
  EXPECT_EQ(resolve_user("games:wheel", kPasswd, kGroups).error(),
            (Error{Errc::not_found, "the image has no group wheel"}));
  EXPECT_FALSE(resolve_user("", kPasswd, kGroups));
  EXPECT_TRUE(is_numeric_user("1:2"));
  EXPECT_FALSE(is_numeric_user("1"));
  EXPECT_FALSE(is_numeric_user("games:2"));
}

TEST(Processors, AreThoseThatFewestContainersHave) {
  EXPECT_THAT(choose_processors({0, 1, 2, 3}, {{0, 1}, {2, 1}}, 2, 0), ElementsAre(1, 3));
  EXPECT_THAT(choose_processors({0, 1, 2, 3}, {}, 1, 6), ElementsAre(2));
  EXPECT_THAT(choose_processors({4, 5}, {{4, 2}, {5, 1}}, 1, 0), ElementsAre(5));
}

TEST(Processors, AreNotChosenWhereAllAreWanted) {
  EXPECT_THAT(choose_processors({0, 1}, {}, 2, 0), ElementsAre());
  EXPECT_THAT(choose_processors({0, 1}, {}, 36, 0), ElementsAre());
  EXPECT_THAT(choose_processors({}, {}, 1, 0), ElementsAre());
}

TEST(Complaint, IsPodmansLastError) {
  EXPECT_EQ(complaint_of("Trying to pull a...\nError: first\nError: pinging: refused\n"),
            "pinging: refused");
  EXPECT_EQ(complaint_of("something\nelse\n\n"), "else");
  EXPECT_EQ(complaint_of(""), "");
}

}  // namespace
}  // namespace cox::agent
