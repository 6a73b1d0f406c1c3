#include "runtime/api/sigv4.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "runtime/base/text.hpp"

namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kS3 = "s3";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";

using Digest = std::string;  // raw bytes

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

Digest sha256(std::string_view text) {
  Digest digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

Digest hmac(std::string_view key, std::string_view text) {
  Digest digest(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &size);
  return digest;
}

/// The path with every byte percent-encoded that is not unreserved, '/' aside: what was encoded
/// when it was sent is encoded twice.
std::string canonical_path(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.~/").find(c) != std::string_view::npos;
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text.empty() ? "/" : text;
}

std::string canonical_query(std::string_view query) {
  if (query.empty()) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& pair : split(query, '&')) {
    const auto equals = pair.find('=');
    pairs.emplace_back(pair.substr(0, equals),
                       equals == std::string::npos ? "" : pair.substr(equals + 1));
  }
  std::sort(pairs.begin(), pairs.end());
  std::vector<std::string> parts;
  for (const auto& [name, value] : pairs) parts.push_back(name + "=" + value);
  return join(parts, "&");
}

/// Trimmed, with runs of blanks inside squeezed.
std::string canonical_value(std::string_view value) {
  std::string text;
  for (const char c : trim(value)) {
    if (c == ' ' && !text.empty() && text.back() == ' ') continue;
    text += c;
  }
  return text;
}

std::string header_of(const SignedCall& call, const std::string& name) {
  const auto found = call.headers.find(name);
  return found == call.headers.end() ? "" : std::string(trim(found->second));
}

std::string canonical_request(const SignedCall& call, const Claim& claim) {
  const std::string_view target = call.target;
  const auto mark = target.find('?');
  // S3 alone takes the path as it was sent.
  const auto path = target.substr(0, mark);
  auto text = fmt::format(
      "{}\n{}\n{}\n", call.method, claim.service == kS3 ? std::string(path) : canonical_path(path),
      canonical_query(mark == std::string_view::npos ? "" : target.substr(mark + 1)));
  for (const auto& name : claim.signed_headers) {
    const auto found = call.headers.find(name);
    const auto value = found == call.headers.end() ? std::string() : found->second;
    text += fmt::format("{}:{}\n", name, canonical_value(value));
  }
  const bool is_left_out = claim.service == kS3 && call.through_tls &&
                           header_of(call, "x-amz-content-sha256") == kUnsigned;
  return text + fmt::format("\n{}\n{}", join(claim.signed_headers, ";"),
                            is_left_out ? std::string(kUnsigned) : hex(sha256(call.body)));
}

Answer refusal(int status, std::string_view code, std::string_view message) {
  return {status, json::serialize(json::object{{"__type", code}, {"message", message}}),
          std::string(code)};
}

Answer incomplete(std::string_view what) {
  return refusal(400, "IncompleteSignatureException", what);
}

std::optional<int> number(std::string_view text) {
  const auto value = to_int(text);
  if (!value || text.front() == '-' || text.front() == '+') return std::nullopt;
  return static_cast<int>(*value);
}

/// Days from 1970-01-01 in the Gregorian calendar.
std::int64_t days_of(std::int64_t year, int month, int day) {
  // Years begin in March, so that a leap day is a year's last.
  year -= month <= 2 ? 1 : 0;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719'468;
}

/// yyyymmddThhmmssZ
std::optional<Millis> time_of(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto year = number(text.substr(0, 4));
  const auto month = number(text.substr(4, 2));
  const auto day = number(text.substr(6, 2));
  const auto hour = number(text.substr(9, 2));
  const auto minute = number(text.substr(11, 2));
  const auto second = number(text.substr(13, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60) {
    return std::nullopt;
  }
  const std::int64_t of_day = *hour * 3600 + *minute * 60 + *second;
  return Millis{(days_of(*year, *month, *day) * 86'400 + of_day) * 1000};
}

/// The members of the Authorization header, `name=value` with commas between them.
std::optional<std::map<std::string, std::string>> members_of(std::string_view header) {
  std::map<std::string, std::string> members;
  for (const auto& part : split(header, ',')) {
    const auto pair = trim(part);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const bool is_new =
        members.emplace(std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1)))
            .second;
    if (!is_new) return std::nullopt;
  }
  return members;
}

bool is_signature(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_region(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
  });
}

bool signs(const Claim& claim, const std::string& header) {
  return std::find(claim.signed_headers.begin(), claim.signed_headers.end(), header) !=
         claim.signed_headers.end();
}

/// The claim as the header has it, or nothing where the header is broken.
std::optional<Claim> parse_claim(std::string_view authorization) {
  const auto members = members_of(authorization.substr(kAlgorithm.size()));
  if (!members || members->size() != 3 || !members->contains("Credential") ||
      !members->contains("SignedHeaders") || !members->contains("Signature")) {
    return std::nullopt;
  }
  const auto scope = split(members->at("Credential"), '/');
  if (scope.size() != 5 || scope[4] != kTerminator || !is_region(scope[2])) return std::nullopt;
  Claim claim{scope[0],
              scope[1],
              scope[2],
              scope[3],
              split(members->at("SignedHeaders"), ';'),
              members->at("Signature"),
              "",
              {}};
  const auto& names = claim.signed_headers;
  // In order and each once: AWS's canonical form, and no header counts twice.
  const bool in_order =
      std::adjacent_find(names.begin(), names.end(),
                         [](const auto& a, const auto& b) { return a >= b; }) == names.end();
  if (!in_order || !is_signature(claim.signature)) return std::nullopt;
  return claim;
}

/// The service that a request can only be for. Of those that share a path the scope tells.
std::string service_of(const SignedCall& call, const Claim& claim) {
  const auto target = header_of(call, "x-amz-target");
  if (target.starts_with("AmazonEC2ContainerService")) return "ecs";
  if (!target.empty()) return "logs";
  // A bucket may be named v1, but nothing of Batch is a PUT.
  if (call.target.starts_with("/v1/") && call.method != "PUT") return "batch";
  if (claim.service == kS3) return std::string(kS3);
  const bool is_form =
      header_of(call, "content-type").starts_with("application/x-www-form-urlencoded");
  if (is_form && claim.service == "ec2") return "ec2";
  return is_form ? "cloudformation" : "batch";
}

/// A header that must be signed and is not, or is signed and was not sent; empty: all is well.
std::string unsigned_header(const SignedCall& call, const Claim& claim) {
  if (!signs(claim, "host") || !call.headers.contains("host")) return "host";
  for (const auto& [name, value] : call.headers) {
    if (name.starts_with("x-amz-") && !signs(claim, name)) return name;
  }
  for (const auto& name : claim.signed_headers) {
    if (!call.headers.contains(name)) return name;
  }
  return "";
}

}  // namespace

std::variant<Claim, Answer> read_claim(const SignedCall& call, Millis now) {
  const auto authorization = header_of(call, "authorization");
  if (authorization.empty()) {
    return refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  if (!authorization.starts_with(std::string(kAlgorithm) + " ")) {
    return incomplete(fmt::format("The Authorization header must begin with {}", kAlgorithm));
  }
  auto claim = parse_claim(authorization);
  if (!claim) {
    return incomplete(
        "The Authorization header must have a Credential of five parts, SignedHeaders in order "
        "and a Signature");
  }
  claim->amz_date = header_of(call, "x-amz-date");
  const auto signed_at = time_of(claim->amz_date);
  if (!signed_at)
    return incomplete("The X-Amz-Date header must be a time such as 20240131T152925Z");
  claim->signed_at = *signed_at;
  if (const auto name = unsigned_header(call, *claim); !name.empty()) {
    return refusal(403, "InvalidSignatureException",
                   fmt::format("The header {} must be sent and must be signed", name));
  }
  if (const auto service = service_of(call, *claim); claim->service != service) {
    return refusal(403, "InvalidSignatureException",
                   fmt::format("Credential should be scoped to correct service: '{}'.", service));
  }
  if (claim->date != claim->amz_date.substr(0, 8)) {
    return refusal(403, "InvalidSignatureException",
                   "The date of the Credential is not that of X-Amz-Date");
  }
  if (now - claim->signed_at > kClockSkewMs) {
    return refusal(403, "InvalidSignatureException",
                   fmt::format("Signature expired: {} is too long ago", claim->amz_date));
  }
  if (claim->signed_at - now > kClockSkewMs) {
    return refusal(403, "InvalidSignatureException",
                   fmt::format("Signature not yet current: {} is still to come", claim->amz_date));
  }
  const auto hash = header_of(call, "x-amz-content-sha256");
  const bool is_left_out = hash == kUnsigned && claim->service == kS3 && call.through_tls;
  if (!hash.empty() && !is_left_out && hash != hex(sha256(call.body))) {
    return refusal(403, "InvalidSignatureException", "X-Amz-Content-SHA256 is not the body's hash");
  }
  // Keys here never come with a session.
  if (call.headers.contains("x-amz-security-token")) return refuse_unknown_key();
  return *claim;
}

std::string signature_of(const SignedCall& call, const Claim& claim, const std::string& secret) {
  const auto text =
      fmt::format("{}\n{}\n{}/{}/{}/{}\n{}", kAlgorithm, claim.amz_date, claim.date, claim.region,
                  claim.service, kTerminator, hex(sha256(canonical_request(call, claim))));
  auto key = hmac("AWS4" + secret, claim.date);
  for (const std::string_view part :
       {std::string_view(claim.region), std::string_view(claim.service), kTerminator}) {
    key = hmac(key, part);
  }
  return hex(hmac(key, text));
}

bool is_signed_by(const SignedCall& call, const Claim& claim, const std::string& secret) {
  const auto wanted = signature_of(call, claim, secret);
  return wanted.size() == claim.signature.size() &&
         CRYPTO_memcmp(wanted.data(), claim.signature.data(), wanted.size()) == 0;
}

std::string sha256_hex(std::string_view text) { return hex(sha256(text)); }

Answer refuse_unknown_key() {
  return refusal(403, "UnrecognizedClientException",
                 "The security token included in the request is invalid.");
}

Answer refuse_signature() {
  return refusal(403, "InvalidSignatureException",
                 "The signature is not the one that this key makes of this request: check the "
                 "secret access key");
}

Answer refuse_replay() {
  return refusal(403, "InvalidSignatureException", "This signature was used before");
}

Answer refuse_access(std::string_view message) {
  return refusal(403, "AccessDeniedException", message);
}

}  // namespace cox::api
