#include "launcher/cli/pcluster_configure.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>

#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_interrupt.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/config/yaml_writer.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace fs = std::filesystem;
using config::YamlNode;

namespace {

using Takes = VerbOption::Takes;

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr const char* kNone = "none";
constexpr const char* kSubnet = "subnet-0123456789abcdef0";
constexpr const char* kVpc = "vpc-0123456789abcdef0";

/// Those that the original offers; the loader knows newer ones too.
const std::vector<std::string>& regions() {
  static const std::vector<std::string> list{
      "af-south-1", "ap-east-1",      "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
      "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ca-central-1",
      "cn-north-1", "cn-northwest-1", "eu-central-1",   "eu-north-1",     "eu-south-1",
      "eu-west-1",  "eu-west-2",      "eu-west-3",      "il-central-1",   "me-south-1",
      "sa-east-1",  "us-east-1",      "us-east-2",      "us-gov-east-1",  "us-gov-west-1",
      "us-west-1",  "us-west-2"};
  return list;
}

std::string fault_of_region(const std::string& region) {
  if (std::find(regions().begin(), regions().end(), region) != regions().end()) return {};
  const auto near = nearest(region, regions());
  return fmt::format("there is no region {}{}", region,
                     near ? "; did you mean " + *near + "?" : std::string());
}

/// "c5.large, m5" → c5.large, m5.
std::vector<std::string> words_of(std::string text) {
  std::replace(text.begin(), text.end(), ',', ' ');
  auto words = split(text, ' ');
  std::erase(words, "");
  return words;
}

YamlNode subnets() {
  YamlNode networking;
  networking.set("SubnetIds", YamlNode::texts({kSubnet}));
  return networking;
}

YamlNode head_node(const ConfigureAnswers& answers) {
  YamlNode networking;
  networking.set("SubnetId", YamlNode::text(kSubnet));
  YamlNode metadata;
  metadata.set("Secured", YamlNode::boolean(false));
  YamlNode head;
  head.set("InstanceType", YamlNode::text(answers.head_type));
  head.set("Networking", networking);
  head.set("Imds", metadata);
  return head;
}

YamlNode scheduling(const ConfigureAnswers& answers) {
  auto name = answers.types.empty() ? std::string() : answers.types.front();
  std::replace(name.begin(), name.end(), '.', '-');
  YamlNode resource;
  resource.set("Name", YamlNode::text(name));
  resource.set("InstanceTypes", YamlNode::texts(answers.types));
  resource.set("MinvCpus", YamlNode::plain("0"));
  resource.set("DesiredvCpus", YamlNode::plain("0"));
  resource.set("MaxvCpus", to_int(answers.max_vcpus) ? YamlNode::plain(answers.max_vcpus)
                                                     : YamlNode::text(answers.max_vcpus));
  YamlNode resources;
  resources.add(resource);
  YamlNode queue;
  queue.set("Name", YamlNode::text(answers.queue));
  queue.set("Networking", subnets());
  queue.set("ComputeResources", resources);
  YamlNode queues;
  queues.add(queue);
  YamlNode section;
  section.set("Scheduler", YamlNode::text("awsbatch"));
  section.set("AwsBatchQueues", queues);
  return section;
}

struct Question {
  const char* text;
  std::vector<std::string> choices;  ///< shown with numbers; empty: any word
  std::string standard;              ///< the default
  std::function<void(ConfigureAnswers&, const std::string&)> put;
};

std::vector<Question> questions(const ConfigureAnswers& defaults) {
  using Answers = ConfigureAnswers;
  using Word = const std::string&;
  std::vector<Question> list{
      {"AWS Region ID", regions(), defaults.region, [](Answers& a, Word w) { a.region = w; }},
      {"Operating system",
       {"alinux2", "alinux2023"},
       defaults.os,
       [](Answers& a, Word w) { a.os = w; }},
      {"Head node instance type",
       {},
       defaults.head_type,
       [](Answers& a, Word w) { a.head_type = w; }},
      {"Name of queue 1", {}, defaults.queue, [](Answers& a, Word w) { a.queue = w; }},
      {"Compute instance types, families or optimal",
       {},
       join(defaults.types, ","),
       [](Answers& a, Word w) { a.types = words_of(w); }},
      {"Maximum vCPU", {}, defaults.max_vcpus, [](Answers& a, Word w) { a.max_vcpus = w; }},
      {"Shared directory, or none", {}, defaults.shared, [](Answers& a, Word w) { a.shared = w; }}};
  if (!defaults.version2) return list;
  // With awsbatch version 2 has one operating system, one queue and always a shared directory.
  std::erase_if(list, [](const Question& question) {
    return std::string_view(question.text) == "Operating system" ||
           std::string_view(question.text) == "Name of queue 1";
  });
  list.back().text = "Shared directory";
  return list;
}

/// A word as an INI file holds it: with blanks around or a comment's mark in it, it would be
/// another.
bool is_ini_word(const std::string& word) {
  return !word.empty() && word.find_first_of("#;\r\n\t %") == std::string::npos;
}

std::string render_ini(const ConfigureAnswers& answers) {
  return fmt::format(
      "[aws]\n"
      "aws_region_name = {}\n"
      "\n"
      "[aliases]\n"
      "ssh = ssh {{CFN_USER}}@{{MASTER_IP}} {{ARGS}}\n"
      "\n"
      "[global]\n"
      "cluster_template = default\n"
      "update_check = true\n"
      "sanity_check = true\n"
      "\n"
      "[vpc default]\n"
      "vpc_id = {}\n"
      "master_subnet_id = {}\n"
      "\n"
      "[cluster default]\n"
      "scheduler = awsbatch\n"
      "base_os = alinux2\n"
      "vpc_settings = default\n"
      "master_instance_type = {}\n"
      "compute_instance_type = {}\n"
      "min_vcpus = 0\n"
      "desired_vcpus = 0\n"
      "max_vcpus = {}\n"
      "shared_dir = {}\n",
      answers.region, kVpc, kSubnet, answers.head_type, join(answers.types, ","), answers.max_vcpus,
      answers.shared);
}

/// The line, without blanks around it. Errors: unavailable at the input's end: what was typed of a
/// line that did not end is no answer.
Result<std::string> read_line(std::istream& in, std::ostream& out) {
  out.flush();
  std::string line;
  if (!std::getline(in, line) || in.eof()) {
    out << '\n';
    return fail(Errc::unavailable, "the input ended before all was answered: nothing is written");
  }
  return std::string(trim(line));
}

/// Asks until the answer is good, and puts it into the answers.
Result<void> ask(std::istream& in, std::ostream& out, const Question& question,
                 ConfigureAnswers& answers) {
  if (!question.choices.empty()) out << "Allowed values for " << question.text << ":\n";
  for (std::size_t i = 0; i < question.choices.size(); ++i) {
    out << fmt::format("{}. {}\n", i + 1, question.choices[i]);
  }
  while (true) {
    out << question.text << " [" << question.standard << "]: ";
    const auto line = read_line(in, out);
    if (!line) return fail(line.error());
    auto word = line->empty() ? question.standard : *line;
    const auto number = to_int(word);
    if (number && *number >= 1 && *number <= static_cast<std::int64_t>(question.choices.size())) {
      word = question.choices[static_cast<std::size_t>(*number - 1)];
    }
    auto tried = answers;
    question.put(tried, word);
    const auto faults = faults_of(tried);
    if (faults.empty()) {
      answers = std::move(tried);
      return {};
    }
    for (const auto& fault : faults) out << "ERROR: " << fault << '\n';
  }
}

/// What an existing file gives for defaults, where it is one of this version that goes into them.
ConfigureAnswers defaults_of(const std::string& path, bool version2) {
  ConfigureAnswers none;
  none.version2 = version2;
  const auto file = read_cluster_file(path, {}, false);
  if (!file || file->is_ini != version2 || !file->loaded.config) return none;
  const auto answers = answers_of(*file->loaded.config);
  return faults_of(answers).empty() ? answers : none;
}

/// Whether an existing file may be replaced.
Result<bool> may_replace(const std::string& path, std::istream& in, std::ostream& out) {
  out << fmt::format(
      "The file {} is there already. What it says is offered as the defaults here;\n"
      "settings that are not asked for are lost.\n",
      path);
  while (true) {
    out << "Replace it? (y/n) [n]: ";
    const auto line = read_line(in, out);
    if (!line) return fail(line.error());
    const auto word = to_lower(*line);
    if (word == "y" || word == "yes") return true;
    if (word.empty() || word == "n" || word == "no") return false;
    out << "ERROR: " << *line << " is neither y nor n\n";
  }
}

int configure(const Words& words, Streams streams) {
  leave_on_interrupt(kFailed);
  if (const auto fault = fault_of(words); !fault.empty()) {
    streams.err << "ERROR: " << fault << '\n';
    return kFailed;
  }
  const auto region = words.get("--region");
  if (words.has("--config")) {
    const auto path = words.get("--config");
    const auto text = os::read_file(path, kFileBytesMax);
    return configure_file(path, region, std::cin, streams.out, streams.err,
                          is_version2_file(path, text ? *text : ""));
  }
  const auto path = default_ini_path();
  const auto directory = fs::path(path).parent_path().string();
  if (const auto made = os::make_directories(directory, 0700); !made) {
    streams.err << "ERROR: " << made.error().message << '\n';
    return kFailed;
  }
  return configure_file(path, region, std::cin, streams.out, streams.err, true);
}

}  // namespace

bool is_version2_file(const std::string& path, const std::string& text) {
  if (!trim(text).empty()) return config::looks_like_ini(text);
  const auto name = path.substr(path.rfind('/') + 1);
  return name == "config" || name.ends_with(".config") || name.ends_with(".cfg") ||
         name.ends_with(".ini");
}

std::string render_cluster_file(const ConfigureAnswers& answers) {
  if (answers.version2) return render_ini(answers);
  YamlNode image;
  image.set("Os", YamlNode::text(answers.os));
  YamlNode file;
  file.set("Region", YamlNode::text(answers.region));
  file.set("Image", image);
  file.set("HeadNode", head_node(answers));
  if (answers.shared != kNone) {
    YamlNode directory;
    directory.set("Name", YamlNode::text("shared"));
    directory.set("StorageType", YamlNode::text("Ebs"));
    directory.set("MountDir", YamlNode::text(answers.shared));
    YamlNode storage;
    storage.add(directory);
    file.set("SharedStorage", storage);
  }
  file.set("Scheduling", scheduling(answers));
  return file.render();
}

std::vector<std::string> faults_of(const ConfigureAnswers& answers) {
  std::vector<std::string> faults;
  if (auto fault = fault_of_region(answers.region); !fault.empty()) {
    faults.push_back(std::move(fault));
  }
  const auto text = render_cluster_file(answers);
  if (answers.version2) {
    std::vector<std::string> words{answers.head_type, answers.max_vcpus, answers.shared};
    words.insert(words.end(), answers.types.begin(), answers.types.end());
    for (const auto& word : words) {
      if (!is_ini_word(word)) faults.push_back(fmt::format("'{}' cannot stand in the file", word));
    }
  }
  const auto loaded = answers.version2 ? config::load_ini(text, {}) : config::load_yaml(text, {});
  for (const auto& finding : loaded.findings) {
    if (finding.level == config::Level::error) faults.push_back(finding.text);
  }
  return faults;
}

ConfigureAnswers answers_of(const config::ClusterConfig& config) {
  ConfigureAnswers answers;
  answers.version2 = config.v2;
  if (!config.region.empty()) answers.region = config.region;
  if (!config.head_instance_type.empty()) answers.head_type = config.head_instance_type;
  answers.os = config.os;
  answers.shared = config.shared.empty() ? kNone : config.shared.front().as_configured;
  if (config.queues.empty()) return answers;
  const auto& queue = config.queues.front();
  if (!config.v2) answers.queue = queue.name;
  if (queue.compute_resources.empty()) return answers;
  answers.types = queue.compute_resources.front().instance_types;
  answers.max_vcpus = std::to_string(queue.compute_resources.front().max_vcpus);
  return answers;
}

Result<ConfigureAnswers> ask_all(std::istream& in, std::ostream& out, ConfigureAnswers defaults,
                                 const std::string& region) {
  if (!region.empty()) defaults.region = region;
  auto list = questions(defaults);
  if (!region.empty()) list.erase(list.begin());
  for (const auto& question : list) {
    if (auto asked = ask(in, out, question, defaults); !asked) return fail(asked.error());
  }
  return defaults;
}

int configure_file(const std::string& path, const std::string& region, std::istream& in,
                   std::ostream& out, std::ostream& err, bool version2) {
  const auto refuse = [&err](const std::string& text) {
    err << "ERROR: " << text << '\n';
    return kFailed;
  };
  if (!region.empty()) {
    if (const auto fault = fault_of_region(region); !fault.empty()) return refuse(fault);
  }
  std::error_code error;
  const bool is_there = fs::exists(path, error);
  if (is_there && !fs::is_regular_file(path, error)) {
    return refuse(fmt::format("{} is there and is no file", path));
  }
  const auto directory = fs::path(path).parent_path();
  if (!directory.empty() && !fs::is_directory(directory, error)) {
    return refuse(fmt::format("there is no directory {}", directory.string()));
  }
  out << "The configuration is written to " << path << "\n";
  ConfigureAnswers defaults;
  defaults.version2 = version2;
  if (is_there) {
    const auto replace = may_replace(path, in, out);
    if (!replace) return refuse(replace.error().message);
    if (!*replace) return refuse(fmt::format("{} is left as it is", path));
    defaults = defaults_of(path, version2);
  } else if (const auto usual = environment_region(); fault_of_region(usual).empty()) {
    defaults.region = usual;
  }
  const auto answers = ask_all(in, out, std::move(defaults), region);
  if (!answers) return refuse(answers.error().message);
  // A link stays one.
  const auto target = is_there ? fs::canonical(path, error).string() : path;
  const auto written = os::write_file_atomic(target, render_cluster_file(*answers));
  if (!written) return refuse(written.error().message);
  out << "The configuration is in " << path << ". To make a cluster of it:\n"
      << "  "
      << (version2 ? "pcluster create NAME --config "
                   : "pcluster create-cluster --cluster-name NAME --cluster-configuration ")
      << shell_quote(path) << '\n';
  return kDone;
}

VerbEntry configure_verb() {
  auto verb = make_verb(
      "configure", "Asks for a cluster's settings and writes its file.",
      {{"--config",
        {"-c"},
        Takes::one,
        false,
        "the file to write, YAML of version 3, or INI of version 2 where it is or is named so; "
        "else ~/.parallelcluster/config, of version 2"}},
      "  pcluster configure -c cluster.yaml -r us-west-2\n"
      "  pcluster configure                                  # version 2's, in its usual place\n");
  std::erase_if(verb.options, [](const VerbOption& option) { return option.name == "--query"; });
  return {std::move(verb), configure};
}

}  // namespace cox::cli
