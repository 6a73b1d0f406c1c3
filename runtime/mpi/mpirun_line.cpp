#include "runtime/mpi/mpirun_line.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "runtime/base/text.hpp"

namespace cox::mpi {
namespace {

constexpr std::int64_t kRanksMax = 1'000'000;

/// First words of names of parameters: frameworks that only ranks open.
constexpr std::array<std::string_view, 17> kFrameworks = {
    "mpi",   "btl", "pml",  "mtl",      "coll", "osc",   "io",     "op",       "topo",
    "fcoll", "fs",  "fbtl", "sharedfp", "bml",  "mpool", "rcache", "allocator"};
/// Others that change nothing of what is done here: how daemons talk, how help is shown.
constexpr std::array<std::string_view, 8> kHarmless = {
    "oob_tcp_if_include",     "oob_tcp_if_exclude",
    "oob_tcp_disable_family", "orte_base_help_aggregate",
    "plm_rsh_no_tree_spawn",  "opal_warn_on_missing_libcuda",
    "opal_cuda_support",      "mca_base_component_show_load_errors"};
/// The front end's own, or such as let ranks start further ones.
constexpr std::array<std::string_view, 2> kOurs = {"btl_vader_backing_directory",
                                                   "mpi_dynamics_enabled"};

template <std::size_t N>
bool holds(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_part_of_node(std::string_view word) {
  constexpr std::array<std::string_view, 4> kParts = {"core", "hwthread", "socket", "numa"};
  return holds(kParts, word);
}

Result<int> count_of(std::string_view text, std::string_view what) {
  const auto count = to_int(text);
  if (!count || *count < 1 || *count > kRanksMax) {
    return fail(Errc::invalid_argument, "{} '{}'", what, text);
  }
  return static_cast<int>(*count);
}

/// "a,b:2,a": each host once, with its slots; without a number it has one for each mention.
Result<std::vector<NamedHost>> read_hosts(std::string_view text) {
  std::vector<NamedHost> hosts;
  for (const auto& word : split(text, ',')) {
    const auto pieces = split(word, ':');
    const bool plain = !pieces[0].empty() && pieces[0].front() != '+' && pieces.size() <= 2;
    if (!plain) return fail(Errc::invalid_argument, "the host '{}'", word);
    int slots = 1;
    if (pieces.size() == 2) {
      const auto given = count_of(pieces[1], "the slots");
      if (!given) return fail(given.error());
      slots = *given;
    }
    const auto known = std::find_if(hosts.begin(), hosts.end(),
                                    [&](const auto& host) { return host.name == pieces[0]; });
    if (known == hosts.end()) {
      hosts.push_back({pieces[0], slots});
    } else if (pieces.size() == 2) {
      return fail(Errc::invalid_argument, "the host {} comes twice", pieces[0]);
    } else {
      ++known->slots;
    }
  }
  return hosts;
}

class Reader {
 public:
  explicit Reader(std::span<const std::string> words) : words_(words) { know_options(); }

  Result<MpirunLine> read() {
    for (std::size_t begin = 0;;) {
      const auto colon =
          std::find(words_.begin() + static_cast<std::ptrdiff_t>(begin), words_.end(), ":");
      end_ = static_cast<std::size_t>(colon - words_.begin());
      if (auto one = read_program(begin); !one) return fail(one.error());
      if (colon == words_.end()) break;
      begin = end_ + 1;
    }
    if (line_.per_node > 0 && !line_.map_by.empty()) return refuse("-N with --map-by");
    return std::move(line_);
  }

 private:
  using Take = std::function<Result<void>(const std::string& value)>;

  template <class... Args>
  static tl::unexpected<Error> refuse(fmt::format_string<Args...> text, Args&&... args) {
    return fail(Errc::invalid_argument, text, std::forward<Args>(args)...);
  }

  Result<void> read_program(std::size_t begin) {
    line_.programs.emplace_back();
    at_ = begin;
    while (at_ < end_ && words_[at_].size() > 1 && words_[at_].front() == '-') {
      const auto& word = words_[at_];
      const auto name = word.substr(word.starts_with("--") ? 2 : 1);
      // Of more than one letter, a word may have one dash or two; a letter has one.
      if (name == "mca" || name == "gmca") {
        if (auto taken = take_parameter(name == "gmca"); !taken) return taken;
      } else if (auto taken = take_option(word, name); !taken) {
        return taken;
      }
    }
    if (at_ >= end_) return refuse("no program");
    program().words.assign(words_.begin() + static_cast<std::ptrdiff_t>(at_),
                           words_.begin() + static_cast<std::ptrdiff_t>(end_));
    return {};
  }

  Result<void> take_option(const std::string& word, const std::string& name) {
    const bool is_letter = name.size() == 1;
    const bool known_form = is_letter ? !word.starts_with("--") : true;
    if (const auto flag = flags_.find(name); flag != flags_.end() && known_form) {
      if (line_.programs.size() > 1) return refuse("{} after a ':'", word);
      *flag->second = true;
      ++at_;
      return {};
    }
    const auto option = options_.find(name);
    if (option == options_.end() || !known_form) return refuse("the option {}", word);
    if (at_ + 1 >= end_) return refuse("{} without a value", word);
    const bool own = option->second.second;
    if (!own && line_.programs.size() > 1) return refuse("{} after a ':'", word);
    const auto& value = words_[at_ + 1];
    at_ += 2;
    auto taken = option->second.first(value);
    if (!taken) return fail(within(word, taken.error()));
    return taken;
  }

  Result<void> take_parameter(bool global) {
    if (at_ + 2 >= end_) return refuse("{} without a value", words_[at_]);
    if (global && line_.programs.size() > 1) return refuse("{} after a ':'", words_[at_]);
    const auto& name = words_[at_ + 1];
    if (!is_ranks_parameter(name)) return refuse("the parameter {}", name);
    for (const auto& each : program().parameters) {
      if (each.name == name) return refuse("the parameter {} comes twice", name);
    }
    program().parameters.push_back({name, words_[at_ + 2]});
    at_ += 3;
    return {};
  }

  void know_options() {
    flags_ = {{"oversubscribe", &line_.oversubscribe},
              {"nooversubscribe", &no_oversubscribe_},
              {"tag-output", &line_.tag_output},
              {"timestamp-output", &line_.timestamp_output},
              {"report-bindings", &line_.report_bindings},
              {"q", &line_.quiet},
              {"quiet", &line_.quiet},
              {"allow-run-as-root", &line_.allow_root}};
    const auto own = [this](std::initializer_list<const char*> names, const Take& take) {
      for (const char* name : names) options_[name] = {take, true};
    };
    const auto once = [this](std::initializer_list<const char*> names, const Take& take) {
      for (const char* name : names) options_[name] = {take, false};
    };
    own({"n", "np", "c"}, [this](const auto& value) { return take_count(value); });
    own({"H", "host"}, [this](const auto& value) { return take_hosts(value); });
    own({"hostfile", "machinefile"},
        [this](const auto& value) { return set(program().hostfile, value); });
    own({"x"}, [this](const auto& value) { return take_export(value); });
    own({"wdir", "wd"}, [this](const auto& value) { return set(program().directory, value); });
    once({"N", "npernode"}, [this](const auto& value) { return take_per_node(value); });
    once({"map-by"}, [this](const auto& value) { return take_map_by(value); });
    once({"rank-by"}, [this](const auto& value) { return take_rank_by(value); });
    once({"bind-to"}, [this](const auto& value) { return take_bind_to(value); });
    once({"output-filename"}, [this](const auto& value) { return take_output(value); });
  }

  MpirunProgram& program() { return line_.programs.back(); }

  static Result<void> set(std::string& where, const std::string& value) {
    if (!where.empty()) return refuse("it comes twice");
    if (value.empty()) return refuse("it is empty");
    where = value;
    return {};
  }

  Result<void> take_count(const std::string& value) {
    if (program().ranks != 0) return refuse("it comes twice");
    const auto count = count_of(value, "the number");
    if (!count) return fail(count.error());
    program().ranks = *count;
    return {};
  }

  Result<void> take_hosts(const std::string& value) {
    if (!program().hosts.empty()) return refuse("it comes twice");
    auto hosts = read_hosts(value);
    if (!hosts) return fail(hosts.error());
    program().hosts = std::move(*hosts);
    return {};
  }

  Result<void> take_export(const std::string& value) {
    const auto equals = value.find('=');
    const auto name = value.substr(0, equals);
    // A list of names, patterns and parameters have rules of their own.
    const bool plain = !name.empty() && name.find_first_of(",;*") == std::string::npos;
    if (!plain || name.starts_with("OMPI_")) return refuse("'{}'", value);
    if (equals == std::string::npos) {
      program().passed.push_back(name);
    } else if (value.find_first_of(",;") != std::string::npos) {
      return refuse("'{}'", value);
    } else {
      program().exports.push_back({name, value.substr(equals + 1)});
    }
    return {};
  }

  Result<void> take_per_node(const std::string& value) {
    if (line_.per_node != 0) return refuse("it comes twice");
    const auto count = count_of(value, "the number");
    if (!count) return fail(count.error());
    line_.per_node = *count;
    return {};
  }

  Result<void> take_map_by(const std::string& value) {
    if (!line_.map_by.empty()) return refuse("it comes twice");
    auto pieces = split(to_lower(value), ':');
    if (pieces[0] == "ppr") {
      if (pieces.size() != 3 || pieces[2] != "node") return refuse("'{}'", value);
      return take_per_node(pieces[1]);
    }
    if (pieces.size() == 2 && pieces[1] == "oversubscribe") {
      line_.oversubscribe = true;
      pieces.pop_back();
    } else if (pieces.size() == 2 && pieces[1] == "nooversubscribe") {
      pieces.pop_back();
    }
    const bool known = pieces[0] == "slot" || pieces[0] == "node" || is_part_of_node(pieces[0]);
    if (pieces.size() != 1 || !known) return refuse("'{}'", value);
    return set(line_.map_by, pieces[0]);
  }

  Result<void> take_rank_by(const std::string& value) {
    const auto word = to_lower(value);
    if (word != "slot" && word != "node") return refuse("'{}'", value);
    return set(line_.rank_by, word);
  }

  Result<void> take_bind_to(const std::string& value) {
    const auto word = to_lower(value);
    if (word != "none" && !is_part_of_node(word)) return refuse("'{}'", value);
    return set(line_.bind_to, word);
  }

  Result<void> take_output(const std::string& value) {
    auto pieces = split(value, ':');
    if (pieces.size() == 2 && to_lower(pieces[1]) == "nocopy") {
      line_.output_copied = false;
      pieces.pop_back();
    }
    if (pieces.size() != 1) return refuse("'{}'", value);
    return set(line_.output_directory, pieces[0]);
  }

  std::span<const std::string> words_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;  ///< of the program that is read
  MpirunLine line_;
  bool no_oversubscribe_ = false;  ///< what is done without it too
  std::map<std::string, bool*, std::less<>> flags_;
  /// What takes the value, and whether each program has its own.
  std::map<std::string, std::pair<Take, bool>, std::less<>> options_;
};

}  // namespace

Result<MpirunLine> read_mpirun_line(std::span<const std::string> words) {
  return Reader(words).read();
}

Result<std::vector<NamedHost>> read_hostfile(std::string_view text) {
  std::vector<NamedHost> hosts;
  for (const auto& raw : split(text, '\n')) {
    const auto line = std::string(trim(std::string_view(raw).substr(0, raw.find('#'))));
    if (line.empty()) continue;
    std::vector<std::string> words;
    for (auto& word : split(line, ' ')) {
      if (!trim(word).empty()) words.emplace_back(trim(word));
    }
    NamedHost host{words[0], 0};
    const bool strange = words[0].find_first_of("^+@=\t") != std::string::npos;
    constexpr std::string_view kSlots = "slots=";
    const bool counted = words.size() == 2 && words[1].starts_with(kSlots);
    if (strange || (words.size() != 1 && !counted)) {
      return fail(Errc::invalid_argument, "the line '{}' of the hostfile", line);
    }
    if (counted) {
      const auto slots = count_of(std::string_view(words[1]).substr(kSlots.size()), "the slots");
      if (!slots) return fail(slots.error());
      host.slots = *slots;
    }
    const bool known = std::any_of(hosts.begin(), hosts.end(),
                                   [&](const auto& each) { return each.name == host.name; });
    if (known) return fail(Errc::invalid_argument, "{} is twice in the hostfile", host.name);
    hosts.push_back(std::move(host));
  }
  return hosts;
}

bool is_ranks_parameter(std::string_view name) {
  if (holds(kHarmless, name)) return true;
  return !holds(kOurs, name) && holds(kFrameworks, name.substr(0, name.find('_')));
}

std::vector<std::string> parameters_in(std::string_view text) {
  std::vector<std::string> names;
  for (const auto& raw : split(text, '\n')) {
    const auto line = trim(std::string_view(raw).substr(0, raw.find('#')));
    if (!line.empty()) names.emplace_back(trim(line.substr(0, line.find('='))));
  }
  return names;
}

}  // namespace cox::mpi
