#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// How a container is to be made: what a job definition's containerProperties say beside what a job
/// has itself (command, environment, vCPUs, memory).
namespace cox {

struct ContainerMount {
  std::string source;  ///< path on the node; empty: a directory of the attempt's own
  std::string target;  ///< absolute path in the container
  bool read_only = false;

  friend bool operator==(const ContainerMount&, const ContainerMount&) = default;
};

/// As `docker run --ulimit`; -1: no limit.
struct ContainerLimit {
  std::string name;
  std::int64_t soft = 0;
  std::int64_t hard = 0;

  friend bool operator==(const ContainerLimit&, const ContainerLimit&) = default;
};

struct ContainerTmpfs {
  std::string target;
  std::int64_t size_mib = 0;
  std::vector<std::string> options;

  friend bool operator==(const ContainerTmpfs&, const ContainerTmpfs&) = default;
};

struct ContainerDevice {
  std::string source;
  std::string target;       ///< empty: as on the node
  std::string permissions;  ///< of "rwm"; empty: all

  friend bool operator==(const ContainerDevice&, const ContainerDevice&) = default;
};

struct Container {
  std::string image;  ///< a registry's name, an archive or a store's; empty: no container
  std::string user;   ///< "user[:group]", names of the image or numbers; empty: the image's
  std::vector<ContainerMount> mounts;
  std::vector<ContainerLimit> limits;
  std::vector<ContainerTmpfs> tmpfs;
  std::vector<ContainerDevice> devices;
  bool read_only_root = false;
  bool privileged = false;
  bool init = false;                   ///< its first process reaps orphans
  std::int64_t shared_memory_mib = 0;  ///< of /dev/shm; 0: podman's default

  friend bool operator==(const Container&, const Container&) = default;
};

}  // namespace cox
