#include "launcher/provider/address_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "runtime/base/text.hpp"

namespace cox::provider {

std::string node_address(int ordinal) {
  assert(ordinal >= 0 && ordinal <= kOrdinalMax);
  const int n = ordinal + 9;
  return fmt::format("10.0.{}.{}", n / 254, n % 254 + 1);
}

std::string hostname_of(const std::string& address) {
  std::string name = "ip-" + address;
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

std::string mac_of(const std::string& address) {
  std::string mac = "02:00";
  for (const std::string& part : split(address, '.')) {
    mac += fmt::format(":{:02x}", to_int(part).value_or(0) & 0xff);
  }
  return mac;
}

std::string link_name_of(const std::string& address) { return "n" + address; }

}  // namespace cox::provider
