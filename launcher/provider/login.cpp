#include "launcher/provider/login.hpp"

#include "runtime/base/text.hpp"

namespace cox::provider {

LoginProgram login_program(const std::string& os_user, const std::vector<std::string>& argv,
                           const std::function<std::string(const char*)>& environment) {
  const std::string home = "/home/" + os_user;
  const std::string term = environment("TERM");
  const std::string language = environment("LANG");
  LoginProgram program{.path = "/bin/bash",
                       .argv = {"bash", "-l"},
                       .environment = {"HOME=" + home, "USER=" + os_user, "LOGNAME=" + os_user,
                                       "SHELL=/bin/bash", std::string("PATH=") + kLoginPath,
                                       "LANG=" + (language.empty() ? "C.UTF-8" : language)},
                       .directory = home};
  if (!argv.empty()) program.argv = {"bash", "-c", join(argv, " ")};
  if (!term.empty()) program.environment.push_back("TERM=" + term);
  for (const char* name : {"LC_ALL", "LC_CTYPE", "TZ"}) {
    const std::string value = environment(name);
    if (!value.empty()) program.environment.push_back(std::string(name) + "=" + value);
  }
  return program;
}

}  // namespace cox::provider
