#include "runtime/agent/metadata_service.hpp"

#include "runtime/base/text.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::agent {

namespace {

constexpr std::int64_t kTokenSecondsMax = 21'600;
constexpr std::size_t kTokensMax = 10'000;

os::HttpResponse plain(int status, std::string body) {
  os::HttpResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

std::string mac_address(const std::string& address) {
  std::string mac = "02:00";
  for (const auto& byte : split(address, '.'))
    mac += fmt::format(":{:02x}", to_int(byte).value_or(0));
  return mac;
}

}  // namespace

os::HttpResponse MetadataService::give_token(const os::HttpRequest& request, std::int64_t now_ms) {
  const auto header = request.headers.find("x-aws-ec2-metadata-token-ttl-seconds");
  const auto seconds = header == request.headers.end() ? std::nullopt : to_int(header->second);
  if (!seconds || *seconds < 1 || *seconds > kTokenSecondsMax) return plain(400, "Bad Request");
  std::erase_if(tokens_, [&](const auto& entry) { return entry.second < now_ms; });
  if (tokens_.size() >= kTokensMax) return plain(503, "Service Unavailable");
  // Only a proof of having asked by PUT: whoever can ask may know everything that is served here.
  auto token = os::sha256_hex(fmt::format("{} {} {}", options_.node, now_ms, next_++)) + "==";
  tokens_[token] = now_ms + *seconds * 1000;
  auto response = plain(200, token);
  response.headers["x-aws-ec2-metadata-token-ttl-seconds"] = std::to_string(*seconds);
  return response;
}

std::optional<std::string> MetadataService::value_of(const std::string& path) const {
  const std::string data = "/latest/meta-data/";
  const auto mac = mac_address(options_.address);
  const auto domain = fmt::format("{}.{}.compute.internal", options_.hostname, options_.region);
  const std::map<std::string, std::string> values{
      {"/", "latest"},
      {"/latest", "dynamic\nmeta-data"},
      {"/latest/meta-data",
       "ami-id\nhostname\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\nplacement/"},
      {data + "ami-id", "ami-local"},
      {data + "hostname", domain},
      {data + "local-hostname", domain},
      {data + "instance-id", options_.node.value},
      {data + "instance-type", options_.instance_type},
      {data + "local-ipv4", options_.address},
      {data + "mac", mac},
      {data + "placement", "availability-zone\nregion"},
      {data + "placement/availability-zone", options_.region + "a"},
      {data + "placement/region", options_.region},
      {"/latest/dynamic", "instance-identity/"},
      {"/latest/dynamic/instance-identity", "document"},
      {"/latest/dynamic/instance-identity/document",
       fmt::format("{{\n  \"accountId\" : \"123456789012\",\n  \"availabilityZone\" : \"{0}a\",\n"
                   "  \"instanceId\" : \"{1}\",\n  \"instanceType\" : \"{2}\",\n"
                   "  \"privateIp\" : \"{3}\",\n  \"region\" : \"{0}\"\n}}",
                   options_.region, options_.node, options_.instance_type, options_.address)}};
  auto key = path;
  while (key.size() > 1 && key.back() == '/') key.pop_back();
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

os::HttpResponse MetadataService::answer(const os::HttpRequest& request, std::int64_t now_ms) {
  const auto path = request.target.substr(0, request.target.find('?'));
  if (request.method == "PUT") {
    return path == "/latest/api/token" ? give_token(request, now_ms) : plain(404, "Not Found");
  }
  if (request.method != "GET" && request.method != "HEAD") return plain(405, "Method Not Allowed");
  // Version 1 sends no token; a token that is sent must be good.
  if (const auto header = request.headers.find("x-aws-ec2-metadata-token");
      header != request.headers.end()) {
    const auto token = tokens_.find(header->second);
    if (token == tokens_.end() || token->second < now_ms) return plain(401, "Unauthorized");
  }
  const auto value = value_of(path);
  return value ? plain(200, *value) : plain(404, "Not Found");
}

}  // namespace cox::agent
