#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/http.hpp"
#include "runtime/ports/clock.hpp"
#include "runtime/ports/node_provider.hpp"
#include "runtime/ports/stager.hpp"

namespace cox::head {

/// Where clients of the network reach the API. Through TLS unless its listener is on loopback and
/// no certificate is given.
struct NetworkEndpoint {
  os::Fd listener;                   ///< TCP socket; empty: none
  std::string host;                  ///< what clients know it by: stands in the endpoint's URL
  bool on_loopback = true;           ///< nobody outside this machine can reach it
  os::TlsCertificate certificate{};  ///< empty: issued by the cluster's authority
  std::string ca_file{};             ///< where the authority's certificate is put for clients
};

/// Fetches a node's script (a path or a URL): its text, or nothing where the node has it itself.
/// Answers on the loop, never from inside the call.
using ScriptFetcher = std::function<void(const std::string& script,
                                         std::function<void(Result<std::optional<std::string>>)>)>;

/// What a head runs by.
struct HeadOptions {
  ClusterSettings cluster;
  std::string directory;  ///< its own: store.db, logs/, blobs/, keys, ca.crt, ca.key are made here
  os::Fd api_listener;    ///< unix socket for clients
  os::Fd agent_listener;  ///< TCP socket that agents dial
  NetworkEndpoint network;  ///< for signed requests
  /// The types that a compute environment's words mean; empty: none can be made by API.
  std::function<Result<std::vector<InstanceType>>(const std::vector<std::string>&)> find_types;
  /// Whether podman can be found; empty: not asked, it is there.
  std::function<bool()> has_podman;
  Stager* stager = nullptr;  ///< for nodes that share no file system with this machine; or none
  os::Fd host_listener;  ///< a further TCP socket that agents dial: those on other hosts; or none
  ScriptFetcher fetch_script{};     ///< empty: every node has its scripts itself
  bool update_goes_on = false;      ///< the head before this one has begun an update
  int creation_ms = 30'000;         ///< the first nodes' agents must have dialled home by then
  int node_lost_after_ms = 10'000;  ///< a silent node is lost after so long
  int first_call_ms = 120'000;      ///< and one that was waited for, if it does not dial home
};

/// The state of the cluster's making, for `pcluster create`.
struct Readiness {
  bool ready = false;   ///< the head node and the first compute nodes are up
  std::string failure;  ///< set: it will not become ready
};

/// A cluster's file that is to take the place of the one it runs by.
struct UpdateRequest {
  std::string text;
  std::string file_name;         ///< as the user named it, without directories
  std::string cluster_template;  ///< version 2: its section
};

/// The head of one cluster: turns events into durable state, answers clients, drives agents and the
/// provider. Runs on the loop's thread; commits on a thread of its own.
///
/// HTTP below /v1/ and POST / is AWS's (runtime/api), on the unix socket and, with a signature, on
/// the network listener. Our own, on the unix socket only:
///   PUT  /cox/v1/blobs                   body: bytes → {"sha256"}; made durable
///   GET  /cox/v1/cluster                 {"name","status","reason","nodes":[…],"headNode":{…}}
///   GET  /cox/v1/scaling                 [{"computeEnvironment","state","text","vcpus","minvCpus",
///                                        "maxvCpus","comingvCpus","waitingJobs"}]
///   GET  /cox/v1/nodes                   what awsbhosts shows
///   GET  /cox/v1/events[?follow=1]       NDJSON of {"at","resource","state","reason"}
///   GET  /cox/v1/wait?job=ID             answers when the job has ended: DescribeJobs' job object
///   GET  /cox/v1/explain?job=ID          {"reasons":[{"kind","text",…}],"changes":[{"text",…}]}
///   GET  /cox/v1/history[?queue=&user=&status=&since=ms&until=ms&limit=N]
///                                        {"jobs":[…],"more":N,"keptDays":N}
///   GET  /cox/v1/output?job=ID[&ranks=0,2-4][&stream=stdout|stderr][&head=N][&tail=N][&follow=1]
///        NDJSON of {"t":ms,"q":sequence,"s":"stdout","n":node index,"r":rank or
///        absent,"m":"text"}; with follow=1 it ends when the job's output is complete; the last
///        line is
///        {"end":true,"status":"SUCCEEDED"}
///   POST /cox/v1/credentials             {"accessKeyId","secretAccessKey","region","endpointUrl"},
///        and "caBundle" (a path) when its certificate is of the cluster's own authority
///   POST /cox/v1/fleet                   {"status":"ENABLED"|"DISABLED"}
///   POST /cox/v1/update                  {"text","file","template"}: the new file; {} once begun
///   POST /cox/v1/shutdown                ends all nodes, answers {} and then calls on_shutdown
class Head {
 public:
  virtual ~Head() = default;

  /// Replays the store, adopts nodes that still exist, provisions the head node (ordinal 0) and the
  /// environments' first nodes (desired, at least min, vCPUs), and serves.
  [[nodiscard]] virtual Result<void> start() = 0;
  virtual void on_readiness(std::function<void(Readiness)> handler) = 0;
  virtual void on_shutdown(std::function<void()> handler) = 0;
  /// Who carries updates out. It answers once the update is begun for good, or why it is not.
  virtual void on_update(
      std::function<void(UpdateRequest, std::function<void(Result<void>)>)> handler) = 0;

  /// Whether reconfigure() would take these settings over. Errors: conflict, with the reason: more
  /// vCPUs are there than a new MaxvCpus allows, nodes run of types that go, jobs wait in a queue
  /// that goes, a client has made something of a new name.
  [[nodiscard]] virtual Result<void> check(const ClusterSettings& settings) const = 0;
  /// Takes over what these settings of the cluster's file change, while everything goes on; what
  /// clients have set beside the file stays. `done` is called when it is durable.
  /// Doing it twice is harmless. Errors: as check(); nothing is changed then.
  [[nodiscard]] virtual Result<void> reconfigure(ClusterSettings settings,
                                                 std::function<void()> done) = 0;
  /// Runs an update's scripts on the head node, which is up and stays so whatever comes of them:
  /// `done` hears of the last one's good end, or why one has failed; none is run after that. Of an
  /// update that goes on after the head's end (HeadOptions::update_goes_on) those have run that
  /// had.
  virtual void run_on_head_node(NodeScripts scripts, std::function<void(Result<void>)> done) = 0;
  /// The update is in force for good, or taken back.
  virtual void forget_head_node_scripts() = 0;
  /// A line of the cluster's story: /cox/v1/events.
  virtual void tell(std::string resource, std::string state, std::string reason) = 0;
};

[[nodiscard]] std::unique_ptr<Head> make_head(os::EventLoop& loop, const Clock& clock,
                                              NodeProvider& provider, HeadOptions options);

}  // namespace cox::head
