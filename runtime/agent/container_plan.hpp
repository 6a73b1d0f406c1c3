#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/model/container.hpp"
#include "runtime/model/job.hpp"

/// What podman is told so that a part's command runs in a container of its image. All of it is
/// pure.
///
/// The container has the node's network and host name, process and mount namespaces of its own, and
/// nothing of a cgroup: memory is limited by the agent.
namespace cox::agent {

/// Where things of a part's container are on the node.
struct ContainerPlan {
  Container container;
  std::string directory;               ///< the attempt's own; exists, belongs to the user
  std::string store;                   ///< the user's images on this node; exists, the user's
  std::vector<ContainerMount> extras;  ///< what the product needs in there
};

/// Where podman and its runtime keep what is of the moment: in the step's own file system at this
/// place. Their paths must be short (podman takes 50 characters), and go with the step.
inline constexpr const char* kMomentary = "/sys/fs/cgroup";

/// A user of the container by numbers.
struct ContainerUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  friend bool operator==(const ContainerUser&, const ContainerUser&) = default;
};

/// What an image's name means.
struct ImageSource {
  std::vector<std::string> names;  ///< by which a store may have it, the first one found is taken
  std::string pull;                ///< what `podman pull` takes; empty: only a store can have it
  std::string archive;             ///< path of the archive that it is in; empty: none
  std::string store;               ///< root of a store that the name itself brings; empty: none
  friend bool operator==(const ImageSource&, const ImageSource&) = default;
};

/// A registry's name as Docker reads it ("python:3" is docker.io/library/python:3), or one with a
/// transport as containers-transports(5) has it: docker://, docker-archive:, oci-archive:, oci:,
/// dir:, and containers-storage:[overlay@ROOT]NAME.
[[nodiscard]] ImageSource read_image(std::string_view image);

/// What the machine gives podman.
struct ContainerMachine {
  bool user_namespace = false;  ///< one user only is mapped
  std::string driver = "overlay";
  std::uint64_t open_files = 0;  ///< this process's hard limits, where others are asked for
  std::uint64_t processes = 0;
};

/// The contents of containers.conf(5).
[[nodiscard]] std::string render_containers_conf(const ContainerPlan& plan);

/// `podman` and the options that choose the attempt's own store of containers, which sees the
/// images of `stores`.
[[nodiscard]] std::vector<std::string> podman_words(const ContainerPlan& plan,
                                                    const ContainerMachine& machine,
                                                    std::span<const std::string> stores);
/// The same over the node's store of images, to bring images into it.
[[nodiscard]] std::vector<std::string> store_words(const ContainerPlan& plan,
                                                   const ContainerMachine& machine);

/// The words of `create` behind podman_words(). An empty command: the image's own.
[[nodiscard]] std::vector<std::string> create_words(const ContainerPlan& plan,
                                                    const ContainerMachine& machine,
                                                    const std::string& image_id,
                                                    const std::string& user,
                                                    std::optional<ContainerUser> mapped,
                                                    const std::vector<std::string>& command);

/// Variables as `--env-file` takes them, one a line. Those with a line end in them are left to
/// podman's own environment and named by `--env`: see multi_line().
[[nodiscard]] std::string render_env_file(const std::vector<std::string>& environment);
/// Errors: invalid_argument when podman itself would heed one of them.
[[nodiscard]] Result<std::vector<std::string>> multi_line(
    const std::vector<std::string>& environment);

/// "name[:group]" by an image's /etc/passwd and /etc/group. Numbers need no entry.
/// Errors: not_found when a name has none.
[[nodiscard]] Result<ContainerUser> resolve_user(std::string_view user, std::string_view passwd,
                                                 std::string_view groups);
/// True when the image's files are not needed to tell who that is.
[[nodiscard]] bool is_numeric_user(std::string_view user);

/// `wanted` of the allowed processors, those that fewest containers have; of equals, from the
/// `offset`th on. None where all of them are wanted: then there is nothing to choose.
[[nodiscard]] std::vector<int> choose_processors(const std::vector<int>& allowed,
                                                 const std::map<int, int>& in_use, int wanted,
                                                 std::size_t offset);

/// podman's complaint in its own words: of what it wrote, the last line that says "Error:".
[[nodiscard]] std::string complaint_of(std::string_view written);

}  // namespace cox::agent
