#include <boost/json.hpp>

#include "runtime/api/sigv4.hpp"
#include "runtime/api/stack_services.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

/// Clients of the network: who asks, a signature tells. Keys are given out on the unix socket only,
/// where the kernel tells who asks.
namespace cox::head {

namespace json = boost::json;

/// What the endpoint shows its clients; nothing where plain HTTP will do.
Result<std::optional<os::TlsCertificate>> HeadCore::network_certificate() {
  const auto& network = options_.network;
  if (!network.certificate.certificate.empty()) return network.certificate;
  if (network.on_loopback) return std::nullopt;
  // Its name is not "head": agents take that one for their head.
  auto issued = os::issue_certificate(ca_, "api", {network.host, "localhost", "127.0.0.1"});
  if (!issued) return fail(within("Coxswain.Api", issued.error()));
  auto kept = os::write_file_atomic(network.ca_file, ca_.certificate, 0644);
  if (!kept) return fail(kept.error());
  ca_bundle_ = network.ca_file;
  return os::TlsCertificate{issued->certificate, issued->private_key};
}

Result<void> HeadCore::serve_network() {
  auto& network = options_.network;
  if (!network.listener) return {};
  if (auto loaded = keys_.load(); !loaded) return loaded;
  if (auto loaded = uploads_.load(clock_.now()); !loaded) return loaded;
  const auto certificate = network_certificate();
  if (!certificate) return fail(certificate.error());
  const bool is_v6 = network.host.find(':') != std::string::npos;
  endpoint_ = fmt::format("{}://{}:{}", *certificate ? "https" : "http",
                          is_v6 ? "[" + network.host + "]" : network.host,
                          os::local_port(network.listener));
  os::HttpLimits limits;
  limits.body_bytes_max = api::kUploadBytesMax;  // far above what any other operation takes
  limits.too_large = [](const std::map<std::string, std::string>& headers) {
    const auto refusal = api::render_too_large(api::service_claimed(headers));
    return os::HttpResponse{refusal.status, refusal.content_type, refusal.headers, refusal.body};
  };
  auto http = os::serve_http(
      loop_, std::move(network.listener),
      [this](const os::HttpRequest& request, const std::shared_ptr<os::HttpReply>& reply) {
        handle_signed(request, reply);
      },
      limits, *certificate);
  if (!http) return fail(within("Coxswain.Api", http.error()));
  network_ = std::move(*http);
  return {};
}

void HeadCore::handle_signed(const os::HttpRequest& request,
                             const std::shared_ptr<os::HttpReply>& reply) {
  const auto send = [&](const api::Answer& given) {
    const auto service = api::service_claimed(request.headers);
    if (api::is_stack_service(service)) return answer(reply, api::render_refusal(service, given));
    answer(reply, given.status, given.body, given.error_type);
  };
  const api::SignedCall call{request.method, request.target, request.headers, request.body,
                             endpoint_.starts_with("https:")};
  const auto now = clock_.now();
  const auto read = api::read_claim(call, now);
  if (const auto* refused = std::get_if<api::Answer>(&read)) return send(*refused);
  const auto& claim = std::get<api::Claim>(read);
  const auto* key = keys_.find(claim.key_id);
  if (key == nullptr) return send(api::refuse_unknown_key());
  if (!api::is_signed_by(call, claim, key->secret)) return send(api::refuse_signature());
  if (!replays_.admit(claim.signature, claim.signed_at, now, claim.signed_at + api::kClockSkewMs)) {
    return send(api::refuse_replay());
  }
  if (api::is_stack_service(claim.service)) {
    return handle_stack_service(claim, request, key->user, reply);
  }
  handle_aws(request, key->user, claim.region, reply);
}

void HeadCore::answer(const std::shared_ptr<os::HttpReply>& reply, const api::StackAnswer& given) {
  os::HttpResponse response{given.status, given.content_type, given.headers, given.body};
  response.headers["x-amzn-RequestId"] = new_uuid();
  if (!given.error_type.empty()) response.headers["x-amzn-ErrorType"] = given.error_type;
  journal_->answer([reply, response = std::move(response)] { reply->send(response); });
}

void HeadCore::handle_stack_service(const api::Claim& claim, const os::HttpRequest& request,
                                    const JobUser& user,
                                    const std::shared_ptr<os::HttpReply>& reply) {
  const auto outcome = api::handle_stack_service(
      state_,
      {claim.service, claim.region, request.method, request.target, request.headers, request.body});
  if (const auto* given = std::get_if<api::StackAnswer>(&outcome)) return answer(reply, *given);
  keep_upload(std::get<api::KeepUpload>(outcome), request.body, user, reply);
}

/// The bytes first, then the name: a name never stands for bytes that are not there.
void HeadCore::keep_upload(const api::KeepUpload& upload, const std::string& bytes,
                           const JobUser& user, const std::shared_ptr<os::HttpReply>& reply) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  blobs_->put(bytes, [this, url = upload.url, size, user, reply](const Result<std::string>& hash) {
    if (!hash) return answer(reply, api::render_not_kept(hash.error()));
    const JobFile file{url.substr(url.rfind('/') + 1), *hash, size, 0600};
    if (auto kept = uploads_.keep(user, url, file, clock_.now()); !kept) {
      return answer(reply, api::render_not_kept(kept.error()));
    }
    answer(reply, api::render_kept(*hash));
  });
}

/// The original awsbsub has put the job's files into the folder that the job's environment names.
void HeadCore::attach_uploads(JobSpec& spec) const {
  const auto attach = [&](const std::vector<EnvVar>& environment) {
    for (const auto& variable : environment) {
      if (!spec.files.empty()) return;
      if (variable.name != "PCLUSTER_JOB_S3_URL") continue;
      spec.files = uploads_.in_folder(spec.user, variable.value);
    }
  };
  attach(spec.environment);
  for (const auto& group : spec.groups) attach(group.environment);
}

void HeadCore::route_credentials(const JobUser& user, const std::shared_ptr<os::HttpReply>& reply) {
  if (endpoint_.empty()) {
    return refuse(reply, 404, fmt::format("cluster {} has no endpoint", state_.cluster().name));
  }
  const auto key = keys_.of(user);
  if (!key) return refuse(reply, 500, key.error().message);
  json::object told{{"accessKeyId", key->id},
                    {"secretAccessKey", key->secret},
                    {"region", state_.cluster().region},
                    {"endpointUrl", endpoint_}};
  if (!ca_bundle_.empty()) told["caBundle"] = ca_bundle_;
  answer(reply, 200, json::serialize(told));
}

}  // namespace cox::head
