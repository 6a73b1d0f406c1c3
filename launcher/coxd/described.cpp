#include "launcher/coxd/described.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "launcher/cluster/hosts.hpp"
#include "runtime/os/files.hpp"

namespace cox::coxd {

Result<Described> describe(cluster::Record record, const std::string& text,
                           std::optional<provider::SshPlan> hosts,
                           std::optional<provider::SlurmPlan> site) {
  const config::LoadOptions options{.region = record.region,
                                    .environment_region = {},
                                    .cluster_template = record.cluster_template};
  auto loaded = record.v2 ? config::load_ini(text, options) : config::load_yaml(text, options);
  if (!loaded.config) {
    std::string first = "it holds no cluster";
    for (const config::Finding& finding : loaded.findings) {
      if (finding.level != config::Level::error) continue;
      first = config::render(finding, record.config_file_name, text);
      break;
    }
    return fail(Errc::invalid_argument, "the cluster's file cannot be read: {}", first);
  }
  for (const auto& [key, value] : record.tags) loaded.config->tags[key] = value;
  auto settings = config::to_settings(*loaded.config, record.name);
  if (hosts) provider::apply_plan(*hosts, settings);
  if (site) {
    site->environments = cluster::environments_of(*loaded.config, record.name, "slurm");
    provider::apply_site(*site, settings);
  }
  return Described{std::move(record), std::move(*loaded.config), std::move(settings),
                   std::move(hosts), std::move(site)};
}

Result<Described> describe(const std::string& directory) {
  auto record = cluster::load_record(directory);
  if (!record) return fail(record.error());
  const auto text = os::read_file(directory + "/config");
  if (!text) return fail(text.error());
  auto hosts = provider::load_plan(directory);
  if (!hosts) return fail(hosts.error());
  auto site = provider::load_site(directory);
  if (!site) return fail(site.error());
  return describe(std::move(*record), *text, std::move(*hosts), std::move(*site));
}

std::string directory_of(const std::string& directory, const config::SharedStorage& storage) {
  return directory + "/shared/" + storage.name;
}

Result<void> make_shared_directory(const std::string& path) {
  if (const auto made = os::make_directories(path); !made) return made;
  if (::geteuid() == 0) (void)::chmod(path.c_str(), 01777);
  return {};
}

}  // namespace cox::coxd
