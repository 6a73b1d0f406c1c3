#include <algorithm>
#include <array>

#include "launcher/config/key_rule.hpp"
#include "launcher/config/rules.hpp"
#include "runtime/base/text.hpp"

/// Where shared directories may be, and whose login they are seen by.
namespace cox::config {

std::string mount_dir_fault(const std::string& written) {
  constexpr std::array<std::string_view, 25> kReserved{"/bin",
                                                       "/boot",
                                                       "/dev",
                                                       "/etc",
                                                       "/home",
                                                       "/lib",
                                                       "/lib32",
                                                       "/lib64",
                                                       "/libx32",
                                                       "/media",
                                                       "/mnt",
                                                       "/opt",
                                                       "/opt/parallelcluster",
                                                       "/opt/parallelcluster/shared",
                                                       "/opt/parallelcluster/shared_login_nodes",
                                                       "/opt/slurm",
                                                       "/opt/intel",
                                                       "/proc",
                                                       "/root",
                                                       "/run",
                                                       "/sbin",
                                                       "/srv",
                                                       "/sys",
                                                       "/tmp",
                                                       "/usr"};
  const auto path = written.starts_with("/") ? written : "/" + written;
  const auto reserved = [&](std::string_view each) { return path == each; };
  if (path == "/NONE" || path == "/" || path == "/var" ||
      std::any_of(kReserved.begin(), kReserved.end(), reserved)) {
    return fmt::format("{} cannot be used as a mount directory", written);
  }
  if (auto fault = text_fault("mount", written)) return *fault;
  for (const auto* own : {"/proc/", "/sys/", "/dev/", "/run/", "/tmp/"}) {
    if (path.starts_with(own)) {
      return fmt::format("{} lies in {}, which is each node's own", written,
                         std::string_view(own).substr(0, std::string_view(own).size() - 1));
    }
  }
  return {};
}

std::string user_of_os(std::string_view os) {
  if (os.starts_with("ubuntu")) return "ubuntu";
  if (os.starts_with("rocky")) return "rocky";
  if (os.starts_with("centos")) return "centos";
  return "ec2-user";
}

}  // namespace cox::config
