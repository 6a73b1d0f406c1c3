#pragma once

#include <string>
#include <vector>

#include "launcher/cli/program.hpp"

/// The commands, one function each: arguments without the program's name in, exit status out.
namespace cox::cli {

int run_awsbsub(const std::vector<std::string>& args, Streams streams);
int run_awsbstat(const std::vector<std::string>& args, Streams streams);
int run_awsbout(const std::vector<std::string>& args, Streams streams);
int run_awsbkill(const std::vector<std::string>& args, Streams streams);
int run_awsbhosts(const std::vector<std::string>& args, Streams streams);
int run_awsbqueues(const std::vector<std::string>& args, Streams streams);
int run_credentials(const std::vector<std::string>& args, Streams streams);
int run_pcluster(const std::vector<std::string>& args, Streams streams);
int run_validate(const std::vector<std::string>& args, Streams streams);
int run_convert(const std::vector<std::string>& args, Streams streams);
int run_history(const std::vector<std::string>& args, Streams streams);
int run_preflight(const std::vector<std::string>& args, Streams streams);
int run_simulate(const std::vector<std::string>& args, Streams streams);
int run_config_converter(const std::vector<std::string>& args, Streams streams);

}  // namespace cox::cli
