#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launcher/config/config.hpp"

/// Any text is read or refused with places that it has, and what is read can be run by.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cox::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  LoadOptions options;
  options.providers = {"local", "ssh", "slurm"};
  const auto loaded = load_yaml(text, options);
  if (!loaded.config && loaded.findings.empty()) std::abort();
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  for (const auto& finding : loaded.findings) {
    if (finding.place.line < 0 || finding.place.line > lines) std::abort();
    if (render(finding, "file", text).empty()) std::abort();
  }
  if (loaded.config) {
    for (const auto& environment : to_settings(*loaded.config, "name").environments) {
      if (environment.min_vcpus > environment.max_vcpus) std::abort();
    }
  }
  return 0;
}
