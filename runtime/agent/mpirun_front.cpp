#include "runtime/agent/mpirun_front.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/mpirun_launch.hpp"
#include "runtime/agent/mpirun_program.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/direct_plan.hpp"
#include "runtime/mpi/hub_tree.hpp"
#include "runtime/mpi/mpirun_place.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::string_view kParameter = "OMPI_MCA_";
constexpr std::size_t kTextMax = 16u << 20;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string current_directory() {
  std::array<char, 4096> path{};
  return ::getcwd(path.data(), path.size()) != nullptr ? path.data() : "";
}

/// What the agent has set for the real mpirun: of no use here, unless the job has changed it.
bool is_ours(std::string_view name, std::string_view value) {
  if (name == "plm") return value == "rsh";
  if (name == "ras") return value == "^slurm,gridengine";
  if (name == "plm_rsh_agent") return value.ends_with("/cox-rsh");
  if (name == "orte_fork_agent") return value.ends_with("/cox-rank");
  if (name == "hwloc_base_binding_policy") return value == "none";
  return name == "btl_vader_backing_directory" || name == "orte_tmpdir_base";
}

/// What else than the line has a say in where ranks go and how they start.
Result<void> check_surroundings() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(name) != nullptr) return fail(Errc::conflict, "it runs within a rank");
  }
  for (const char* name : {"LD_LIBRARY_PATH", "LD_PRELOAD", "OPAL_PREFIX", "OMPI_PREFIX_ENV"}) {
    if (std::getenv(name) != nullptr) return fail(Errc::conflict, "{} is set", name);
  }
  for (char** each = ::environ; *each != nullptr; ++each) {
    const std::string_view text(*each);
    if (!text.starts_with(kParameter)) continue;
    const auto equals = std::min(text.find('='), text.size());
    const auto name = text.substr(kParameter.size(), equals - kParameter.size());
    const auto value = text.substr(std::min(equals + 1, text.size()));
    if (!mpi::is_ranks_parameter(name) && !is_ours(name, value)) {
      return fail(Errc::conflict, "{}{} is set", kParameter, name);
    }
  }
  for (const auto& path : {variable("HOME") + "/.openmpi/mca-params.conf",
                           std::string("/etc/openmpi/openmpi-mca-params.conf")}) {
    const auto text = os::read_file(path, kTextMax);
    if (!text) continue;
    for (const auto& name : mpi::parameters_in(*text)) {
      if (!mpi::is_ranks_parameter(name)) return fail(Errc::conflict, "{} sets {}", path, name);
    }
  }
  const auto hosts = os::read_file("/etc/openmpi/openmpi-default-hostfile", kTextMax);
  if (hosts && !mpi::parameters_in(*hosts).empty()) {
    return fail(Errc::conflict, "Open MPI has a default hostfile");
  }
  if (::isatty(STDIN_FILENO) == 1) return fail(Errc::conflict, "its input is a terminal");
  return {};
}

Result<void> check_root(const mpi::MpirunLine& line) {
  const bool allowed =
      line.allow_root || (std::getenv("OMPI_ALLOW_RUN_AS_ROOT") != nullptr &&
                          std::getenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") != nullptr);
  if (::geteuid() == 0 && !allowed) return fail(Errc::conflict, "it runs as root");
  return {};
}

/// The job's nodes, as the agent has written them down: "INDEX ADDRESS HOSTNAME" a line. In a file,
/// or of a single node in the variable itself.
Result<mpi::MpirunSite> read_site(const wire::PartKey& part) {
  const auto given = variable("COX_NODES");
  const auto text =
      given.starts_with('/') ? os::read_file(given, kTextMax) : Result<std::string>(given);
  if (!text) return fail(Errc::not_found, "it is in no job");
  mpi::MpirunSite site;
  site.own = -1;
  for (const auto& line : split(*text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() != 3) continue;
    if (to_int(words[0]) == part.node_index) site.own = static_cast<int>(site.nodes.size());
    site.nodes.push_back({words[1], words[2]});
  }
  if (site.own < 0) return fail(Errc::not_found, "it is in no job");
  site.own_cores = count_cores();
  site.read_file = [](const std::string& path) { return os::read_file(path, kTextMax); };
  return site;
}

std::string joined(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return text;
}

/// What every rank sees of the line, and what makes it faster where nobody has said otherwise.
Result<std::vector<std::string>> settings_of(const mpi::MpirunLine& line,
                                             const mpi::MpirunProgram& program,
                                             const mpi::MpirunPlaces& places) {
  std::vector<EnvVar> list;
  const auto set = [&list](std::string name, std::string value) {
    std::erase_if(list, [&name](const auto& each) { return each.name == name; });
    list.push_back({std::move(name), std::move(value)});
  };
  const auto is_set = [&list](const std::string& name) {
    return std::getenv(name.c_str()) != nullptr ||
           std::any_of(list.begin(), list.end(),
                       [&name](const auto& each) { return each.name == name; });
  };
  // What of Open MPI's mpirun was called with goes to all ranks.
  for (char** each = ::environ; *each != nullptr; ++each) {
    const std::string_view text(*each);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with("OMPI_")) continue;
    set(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  }
  for (const auto& name : program.passed) {
    if (std::getenv(name.c_str()) == nullptr) return fail(Errc::not_found, "{} is not set", name);
    set(name, variable(name.c_str()));
  }
  for (const auto& [name, value] : program.exports) set(name, value);
  // What the first program is given on the line is all programs'.
  for (const auto* from : {&line.programs.front(), &program}) {
    for (const auto& [name, value] : from->parameters) set(std::string(kParameter) + name, value);
  }
  std::vector<std::string> counts;
  std::vector<std::string> firsts;
  for (std::size_t i = 0; i < line.programs.size(); ++i) {
    const auto& of = places.program_of_rank;
    const auto index = static_cast<int>(i);
    counts.push_back(std::to_string(std::count(of.begin(), of.end(), index)));
    firsts.emplace_back("0");  // Open MPI 4.1 sets it before it knows
  }
  const auto& command = program.words.front();
  set("OMPI_COMMAND", command.substr(command.rfind('/') + 1));  // npos + 1 is 0
  if (program.words.size() > 1) set("OMPI_ARGV", joined(program.words, 1));
  set("OMPI_APP_CTX_NUM_PROCS", joined(counts, 0));
  set("OMPI_FIRST_RANKS", joined(firsts, 0));
  set("OMPI_NUM_APP_CTX", std::to_string(line.programs.size()));
  const bool over = std::find(places.oversubscribed.begin(), places.oversubscribed.end(), true) !=
                    places.oversubscribed.end();
  if (over && !is_set("OMPI_MCA_mpi_yield_when_idle")) set("OMPI_MCA_mpi_yield_when_idle", "1");
  if (variable("OMPI_MCA_pml") == "ob1") {
    mpi::NodePaths paths;
    for (const auto& [name, value] : mpi::direct_defaults(paths, "openmpi", false)) {
      if (!is_set(name)) set(name, value);
    }
  }
  std::vector<std::string> settings;
  for (const auto& [name, value] : list) settings.push_back(fmt::format("{}={}", name, value));
  return settings;
}

std::string absolute(const std::string& path, const std::string& directory) {
  return path.empty() || path.front() == '/' ? path : directory + "/" + path;
}

/// mpirun's defaults, which depend on how many ranks there are in all, in words for each node.
Result<void> set_binding(const mpi::MpirunLine& line, const mpi::MpirunPlaces& places,
                         MpirunOrder& order) {
  const bool off = variable("OMPI_MCA_hwloc_base_binding_policy") == "none";
  order.report_bindings = line.report_bindings;
  if (line.bind_to == "none" || (line.bind_to.empty() && off)) return {};
  const bool over = std::find(places.oversubscribed.begin(), places.oversubscribed.end(), true) !=
                    places.oversubscribed.end();
  if (over || line.oversubscribe || line.programs.size() > 1 || !line.rank_by.empty()) {
    return fail(Errc::invalid_argument, "such ranks are to be bound");
  }
  const bool few = places.node_of_rank.size() <= 2;
  const bool by_part = !line.map_by.empty() && line.map_by != "slot" && line.map_by != "node";
  order.map_by = line.map_by;
  if (line.per_node > 0) {
    order.map_by = fmt::format("ppr:{}:node", line.per_node);
  } else if (line.map_by.empty()) {
    order.map_by = !few ? "numa" : line.bind_to == "hwthread" ? "hwthread" : "core";
  }
  const std::string otherwise = by_part ? line.map_by : few ? "core" : "numa";
  order.bind_to = line.bind_to.empty() ? otherwise : line.bind_to;
  return {};
}

Result<MpirunOrder> make_order(const mpi::MpirunLine& line, const mpi::MpirunSite& site,
                               const wire::PartKey& part) {
  const auto places = mpi::place_line(line, site);
  if (!places) return fail(places.error());
  MpirunOrder order;
  // What PMI-1 calls its key space: no blanks, no slashes.
  order.name = fmt::format("{}-{}.{}.{}", part.job, part.attempt, part.node_index, ::getpid());
  std::replace(order.name.begin(), order.name.end(), ':', '-');
  std::replace(order.name.begin(), order.name.end(), '/', '-');
  for (const int index : places->job_nodes) {
    const auto& node = site.nodes[static_cast<std::size_t>(index)];
    order.hosts.push_back(node.hostname);
    order.addresses.push_back(node.address);
  }
  if (auto bound = set_binding(line, *places, order); !bound) return fail(bound.error());
  order.node_of_rank = places->node_of_rank;
  order.program_of_rank = places->program_of_rank;
  order.universe = places->slots;
  order.fan_out = mpi::kHubFanOut;
  order.oversubscribed.assign(places->oversubscribed.begin(), places->oversubscribed.end());
  order.names = places->names;
  order.report_ranks = std::getenv("OMPI_MCA_orte_fork_agent") != nullptr;
  const auto here = current_directory();
  order.output_directory = absolute(line.output_directory, here);
  for (const auto& program : line.programs) {
    const bool asked = !program.directory.empty();
    if (asked && program.directory.front() != '/') {
      return fail(Errc::invalid_argument, "a relative directory");
    }
    auto settings = settings_of(line, program, *places);
    if (!settings) return fail(settings.error());
    order.programs.push_back(
        {program.words, asked ? program.directory : here, asked, std::move(*settings)});
  }
  return order;
}

Result<LaunchTask> plan(const std::string& called, const std::vector<std::string>& words) {
  const auto part = parse_part(variable(kPartVariable));
  if (!part) return fail(Errc::not_found, "it is in no job");
  auto line = mpi::read_mpirun_line(words);
  if (!line) return fail(line.error());
  if (auto fits = check_surroundings(); !fits) return fail(fits.error());
  if (auto fits = check_root(*line); !fits) return fail(fits.error());
  const auto site = read_site(*part);
  if (!site) return fail(site.error());
  auto order = make_order(*line, *site, *part);
  if (!order) return fail(order.error());
  return LaunchTask{called, *part, std::move(*line), std::move(*order)};
}

void say(std::string_view text) {
  [[maybe_unused]] const auto said =
      os::write_all(STDERR_FILENO, fmt::format("cox-mpirun: {}\n", text));
}

[[nodiscard]] int become(const std::string& real, char** argv) {
  ::execv(real.c_str(), argv);
  say(fmt::format("{}: {}", real.empty() ? "no Open MPI" : real,
                  real.empty() ? "its mpirun is not on this node" : std::strerror(errno)));
  return 127;
}

}  // namespace

int run_mpirun(char** argv) {
  const std::string called = argv[0];
  const auto real = real_mpirun(called);
  const auto mode = variable("COX_MPIRUN");
  if (mode == "real") return become(real, argv);
  std::vector<std::string> words;
  for (char** word = argv + 1; *word != nullptr; ++word) words.emplace_back(*word);
  std::string why_not;
  if (!is_open_mpi(real)) {
    why_not = "it is not Open MPI 4's";
  } else if (auto task = plan(called.substr(called.rfind('/') + 1), words); !task) {
    why_not = task.error().message;
  } else {
    const auto ranks = task->order.node_of_rank.size();
    const auto end = launch_ranks(std::move(*task));
    if (end.not_launched.empty()) {
      if (mode == "verbose") say(fmt::format("{} ranks were launched directly", ranks));
      return end.exit_code;
    }
    why_not = end.not_launched;
  }
  if (mode == "verbose") say(fmt::format("{} takes it: {}", real, why_not));
  return become(real, argv);
}

}  // namespace cox::agent
