#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launcher/config/config.hpp"
#include "launcher/config/convert.hpp"

/// Any text is read or refused with places that it has; what is converted is YAML, whatever stood
/// in the values.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cox::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = load_ini(text, {});
  if (!loaded.config && loaded.findings.empty()) std::abort();
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  for (const auto& finding : loaded.findings) {
    if (finding.place.line < 0 || finding.place.line > lines) std::abort();
    if (render(finding, "file", text).empty()) std::abort();
  }
  if (loaded.config) [[maybe_unused]]
    const auto settings = to_settings(*loaded.config, "name");
  if (const auto made = convert_ini(text, {.force = true})) {
    for (const auto& finding : load_yaml(made->yaml, {}).findings) {
      if (is_about_text(finding)) std::abort();
    }
  }
  return 0;
}
