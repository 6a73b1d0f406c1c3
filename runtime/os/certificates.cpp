#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/os/frame_link.hpp"

namespace cox::os {

namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;
constexpr long kClockSkewSeconds = 24L * 3600;
constexpr int kSerialBits = 127;
constexpr std::size_t kNameBytesMax = 64;  // ub-common-name of RFC 5280
constexpr std::size_t kClusterNameBytesMax = 40;

Key new_key() { return Key(EVP_EC_gen("P-256")); }

Bio memory(const std::string& text = {}) {
  return Bio(text.empty() ? BIO_new(BIO_s_mem())
                          : BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string contents(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string to_pem(const Key& key) {
  const auto bio = memory();
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return contents(bio);
}

std::string to_pem(const Certificate& certificate) {
  const auto bio = memory();
  PEM_write_bio_X509(bio.get(), certificate.get());
  return contents(bio);
}

bool add_extension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// The extension's value for these names; none when one of them is neither name nor address.
std::optional<std::string> alternative_names(const std::vector<std::string>& hosts) {
  std::string value;
  for (const auto& host : hosts) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    const bool is_address = ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
                            ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
    const bool is_name =
        !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
          return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
        });
    if (!is_address && !is_name) return std::nullopt;
    value += fmt::format("{}{}:{}", value.empty() ? "" : ",", is_address ? "IP" : "DNS", host);
  }
  return value;
}

/// A certificate for the key; signed by the issuer, or by itself when there is none.
Certificate new_certificate(const Key& key, const std::string& name, X509* issuer,
                            EVP_PKEY* issuer_key, const std::string& alternatives = {}) {
  Certificate made(X509_new());
  const Number serial(BN_new());
  if (!made || !serial ||
      BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1) {
    return nullptr;
  }
  X509_set_version(made.get(), X509_VERSION_3);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get()));
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -kClockSkewSeconds);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), kValidSeconds);
  X509_set_pubkey(made.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(made.get());
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), -1, 0) != 1) {
    return nullptr;
  }
  X509_set_issuer_name(made.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject);
  X509* const signer = issuer != nullptr ? issuer : made.get();
  // The identifiers of keys tell apart clusters that have had the same name.
  std::vector<std::pair<int, const char*>> extensions =
      issuer == nullptr
          ? std::vector<std::pair<int, const char*>>{{NID_basic_constraints, "critical,CA:TRUE"},
                                                     {NID_key_usage, "critical,keyCertSign"},
                                                     {NID_subject_key_identifier, "hash"}}
          : std::vector<std::pair<int, const char*>>{
                {NID_basic_constraints, "critical,CA:FALSE"},
                {NID_key_usage, "critical,digitalSignature"},
                {NID_ext_key_usage, "serverAuth,clientAuth"},
                {NID_subject_key_identifier, "hash"},
                {NID_authority_key_identifier, "keyid:always"}};
  if (!alternatives.empty()) extensions.emplace_back(NID_subject_alt_name, alternatives.c_str());
  const bool extended =
      std::all_of(extensions.begin(), extensions.end(), [&](const auto& extension) {
        return add_extension(made.get(), signer, extension.first, extension.second);
      });
  if (!extended || X509_sign(made.get(), issuer_key, EVP_sha256()) == 0) return nullptr;
  return made;
}

}  // namespace

Result<CaKeys> make_ca(const std::string& cluster_name) {
  const auto key = new_key();
  const auto certificate =
      key ? new_certificate(key, "Coxswain cluster " + cluster_name.substr(0, kClusterNameBytesMax),
                            nullptr, key.get())
          : nullptr;
  if (!certificate) return fail(Errc::internal, "cannot make the cluster's certificate authority");
  return CaKeys{to_pem(certificate), to_pem(key)};
}

Result<TlsIdentity> issue_certificate(const CaKeys& ca, const std::string& common_name,
                                      const std::vector<std::string>& hosts) {
  if (common_name.empty() || common_name.size() > kNameBytesMax ||
      common_name.find('\0') != std::string::npos) {
    return fail(Errc::invalid_argument, "a certificate's name has 1 to {} characters, not '{}'",
                kNameBytesMax, common_name.c_str());
  }
  const auto alternatives = alternative_names(hosts);
  if (!alternatives) {
    return fail(Errc::invalid_argument,
                "a certificate is for names and addresses of hosts, not '{}'",
                fmt::join(hosts, " "));
  }
  const auto certificate_text = memory(ca.certificate);
  const auto key_text = memory(ca.private_key);
  const Certificate issuer(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key issuer_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!issuer || !issuer_key) {
    return fail(Errc::invalid_argument, "the cluster's certificate authority cannot be read");
  }
  const auto key = new_key();
  const auto certificate =
      key ? new_certificate(key, common_name, issuer.get(), issuer_key.get(), *alternatives)
          : nullptr;
  if (!certificate) return fail(Errc::internal, "cannot issue a certificate for {}", common_name);
  return TlsIdentity{to_pem(certificate), to_pem(key), ca.certificate};
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace cox::os
