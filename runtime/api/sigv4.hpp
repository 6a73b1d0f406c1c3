#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/api/api.hpp"
#include "runtime/base/units.hpp"

/// AWS Signature Version 4 in a header, as boto3 and the AWS CLI make it. Pure: the clock is an
/// argument, and who has which key is the caller's to know.
/// Source: "Signature Version 4 signing process", AWS General Reference.
namespace cox::api {

/// An HTTP request as it came in. Header names are lower-case.
struct SignedCall {
  std::string method;
  std::string target;  ///< path and query, as sent
  std::map<std::string, std::string> headers;
  std::string body;
  bool through_tls = false;  ///< then S3's clients need not hash a body
};

/// What a request says of its own signature.
struct Claim {
  std::string key_id;
  std::string date;  ///< of the scope: yyyymmdd
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  ///< in the order of the header
  std::string signature;                    ///< 64 lower-case hexadecimal digits
  std::string amz_date;                     ///< yyyymmddThhmmssZ
  Millis signed_at;
};

inline constexpr std::int64_t kClockSkewMs = 300'000;  ///< a clock may be off by five minutes

/// Reads the claim and checks all that needs no key: that it is whole, names this service, signs
/// the host and every X-Amz header that was sent, and is not older or newer than kClockSkewMs.
/// Otherwise the refusal to send.
[[nodiscard]] std::variant<Claim, Answer> read_claim(const SignedCall& call, Millis now);

/// The signature that the owner of `secret` would have made. Pure.
[[nodiscard]] std::string signature_of(const SignedCall& call, const Claim& claim,
                                       const std::string& secret);

/// Compares in constant time.
[[nodiscard]] bool is_signed_by(const SignedCall& call, const Claim& claim,
                                const std::string& secret);

// Refusals, in the services' own codes.
/// SHA-256 in lower-case hexadecimal. Pure.
[[nodiscard]] std::string sha256_hex(std::string_view text);

[[nodiscard]] Answer refuse_unknown_key();
[[nodiscard]] Answer refuse_signature();
[[nodiscard]] Answer refuse_replay();
[[nodiscard]] Answer refuse_access(std::string_view message);

}  // namespace cox::api
