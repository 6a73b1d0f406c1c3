#include "launcher/config/convert.hpp"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/plain_words.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

/// `pcluster3-config-converter`, and `cox convert`.
namespace cox::cli {

namespace {

struct ConvertWords {
  std::string input;
  std::string output;
  config::ConvertOptions options;
};

/// Makes the file, its directories too; one that is there is not touched.
Result<void> write_new_file(const std::string& path, const std::string& content) {
  if (const auto slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
    if (auto made = os::make_directories(path.substr(0, slash)); !made) return made;
  }
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0 && errno == EEXIST) {
    return fail(Errc::conflict, "the file {} is there already: name another one with -o", path);
  }
  if (file.get() < 0) return tl::make_unexpected(os::errno_error(errno, path));
  return os::write_all(file.get(), content);
}

int convert(const ConvertWords& words, std::ostream& remarks, Streams streams) {
  const auto refuse = [&](const std::string& text) {
    streams.err << "ERROR: " << text << '\n';
    return kFailed;
  };
  const auto text = read_configuration(words.input);
  if (!text) return refuse(text.error().message);
  const auto made = config::convert_ini(*text, words.options);
  if (!made) return refuse(fmt::format("{}: {}", words.input, made.error().message));
  for (const auto& remark : made->remarks) remarks << remark << '\n';
  if (words.output.empty()) {
    streams.out << made->yaml;
    return kDone;
  }
  if (const auto written = write_new_file(words.output, made->yaml); !written) {
    return refuse(written.error().message);
  }
  streams.out << "Configuration file written to " << words.output << '\n';
  return kDone;
}

int run(const std::string& name, const std::vector<std::string>& args, bool as_original,
        Streams streams) {
  ConvertWords words;
  CLI::App app("Makes a file of ParallelCluster 3 (YAML) from one of ParallelCluster 2 (INI).",
               name);
  app.add_option("-c,--config-file", words.input, "the file of version 2")->required();
  app.add_option("-t,--cluster-template", words.options.cluster_template,
                 "the section [cluster LABEL] to convert; else the one that [global] "
                 "cluster_template names, else [cluster default]");
  app.add_option("-o,--output-file", words.output,
                 "the file to write, which must not be there; else standard output");
  app.add_flag("--force-convert", words.options.force,
               "takes over keys for development, which may change at any time");
  app.footer(
      fmt::format("Examples:\n  {0} -c ~/.parallelcluster/config -o cluster.yaml\n"
                  "  {0} -c config -t awsbatch | less",
                  name));
  const int over = read_plain(app, args, {name, "-c FILE [-t LABEL] [-o FILE]"}, streams);
  if (over >= 0) return over;
  words.options.environment_region = environment_region();
  // The original says its remarks where the YAML goes; ours stay out of a pipe.
  return convert(words, as_original || !words.output.empty() ? streams.out : streams.err, streams);
}

}  // namespace

int run_convert(const std::vector<std::string>& args, Streams streams) {
  return run("cox convert", args, false, streams);
}

int run_config_converter(const std::vector<std::string>& args, Streams streams) {
  return run("pcluster3-config-converter", args, true, streams);
}

}  // namespace cox::cli
