#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/api/api.hpp"

/// What the original awsb* commands ask of AWS's other services, and no more: the stack of their
/// cluster (CloudFormation), its hosts (ECS and EC2), and a place for a job's files (S3).
/// Source: the calls of aws-parallelcluster-awsbatch-cli 1.4.0. Pure.
namespace cox::api {

/// boto3 sends files of up to 8 MiB as one PutObject.
inline constexpr std::size_t kUploadBytesMax = 8u << 20;

struct StackCall {
  std::string service;  ///< of the credential scope: one of is_stack_service()
  std::string region;   ///< of the credential scope
  std::string method;
  std::string target;                                 ///< path and query, as sent
  const std::map<std::string, std::string>& headers;  ///< names lower-case
  const std::string& body;
};

struct StackAnswer {
  int status = 200;
  std::string body;
  std::string error_type;  ///< for the x-amzn-ErrorType header; empty: no error
  std::string content_type;
  std::map<std::string, std::string> headers;  ///< further ones
};

/// PutObject: keep the call's body for jobs that name its folder, then answer by render_kept().
struct KeepUpload {
  std::string url;  ///< "s3://BUCKET/KEY"; each part of the key can be the name of a file
};

using StackOutcome = std::variant<StackAnswer, KeepUpload>;

[[nodiscard]] bool is_stack_service(std::string_view service);

/// The service in the credential scope of the Authorization header, whatever its signature is
/// worth; empty: none.
[[nodiscard]] std::string service_claimed(const std::map<std::string, std::string>& headers);
/// A refusal of the signature, in the error shape of the service.
[[nodiscard]] StackAnswer render_refusal(std::string_view service, const Answer& refusal);

/// The refusal of a body that nobody has read to its end.
[[nodiscard]] StackAnswer render_too_large(std::string_view service);

/// One call. Anything wrong with it is an answer with the error shape of its service.
[[nodiscard]] StackOutcome handle_stack_service(const View& view, const StackCall& call);

/// The bucket of S3 that a cluster has for its jobs' files.
[[nodiscard]] std::string files_bucket(const ClusterSettings& cluster);
[[nodiscard]] StackAnswer render_kept(const std::string& sha256);
/// conflict: the user has put too much; all else is the server's fault.
[[nodiscard]] StackAnswer render_not_kept(const Error& error);

}  // namespace cox::api
